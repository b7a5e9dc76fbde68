/** Run by sigkill.test.ts in a process of its own: the real coordinator on real sockets and a real disk, with a kill switch. */
import { join } from 'node:path';
import { pino } from 'pino';
import { readConfig } from '../config.ts';
import { startCoordinator } from '../coordinator.ts';
import { KillSwitch, killingEffects, type KillPlan } from './kill-switch.ts';
import { KillingStore } from './killing-store.ts';

export interface ChildSettings {
  /** Of the repository. */
  readonly root: string;
  readonly dataFolder: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly kill: KillPlan | null;
  /** Where there is a private tier. */
  readonly nodePolicy: string | null;
}

const { root, dataFolder, port, kill, nodePolicy } = JSON.parse(process.argv[2] ?? '') as ChildSettings;
const killSwitch = new KillSwitch(kill);
const site = join(dataFolder, 'no-site');
const flags = ['--port', `${port}`, '--data', dataFolder, '--site', site, '--log-level', 'error'];
if (nodePolicy !== null) flags.push('--node-policy', nodePolicy);
const config = readConfig(flags, {}, root);
const coordinator = await startCoordinator({
  config,
  modelsFolder: join(root, 'models'),
  version: '0.1.0',
  log: pino({ level: config.logLevel, base: null }, pino.destination({ dest: 2, sync: true })),
  // Times as short as the answers of this suite, and turns enough for an answer that is cut again and again.
  core: {
    checkpointMs: 60,
    resumeWindowMs: 6_000,
    continuationWaitMs: 6_000,
    resumeGraceMs: 300,
    attempts: 32,
  },
  openStore: (path) => new KillingStore(path, killSwitch),
  wrapEffects: (handlers) => killingEffects(handlers, killSwitch),
});
const { url, publicKey } = coordinator;
process.stdout.write(`${JSON.stringify({ event: 'listening', url, publicKey })}\n`);
process.on('SIGTERM', () => void coordinator.close().then(() => process.exit(0)));
