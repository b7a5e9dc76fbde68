/** The coordinator as it is, but soon out of patience, so that a test of losses need not wait for it. Flags: as main.ts. */
import { join } from 'node:path';
import { readConfig } from '@tussah/coordinator/shell/config';
import { startCoordinator } from '@tussah/coordinator/shell/coordinator';
import { pino } from 'pino';

const root = join(import.meta.dirname, '../..');
const config = readConfig(process.argv.slice(2), process.env, root);
const coordinator = await startCoordinator({
  config,
  core: { resumeGraceMs: 300, tokenSilenceMs: 2_000, continuationWaitMs: 60_000 },
  modelsFolder: join(root, 'models'),
  version: 'under test',
  log: pino({ level: config.logLevel, base: null }, pino.destination({ dest: 2, sync: false })),
});
process.stdout.write(`${JSON.stringify({ event: 'listening', url: coordinator.url })}\n`);
process.once('SIGTERM', () => void coordinator.close().then(() => process.exit()));
