/** A coordinator in a process of its own that tells its memory, with short times and a site of one page. */
import { pino } from 'pino';
import { readConfig } from '../config.ts';
import { startCoordinator } from '../coordinator.ts';

const [root = '', modelsFolder = '', dataFolder = '', siteFolder = ''] = process.argv.slice(2);

const coordinator = await startCoordinator({
  config: readConfig(
    ['--port', '0', '--log-level', 'debug', '--data', dataFolder, '--site', siteFolder],
    {},
    root,
  ),
  modelsFolder,
  version: '0.1.0',
  log: pino({ level: 'debug', base: null }, pino.destination({ dest: 2, sync: false })),
  requestTimeoutMs: 2_000,
  core: {
    helloTimeoutMs: 2_000,
    acceptTimeoutMs: 2_000,
    firstTokenSilenceMs: 2_000,
    tokenSilenceMs: 2_000,
    resumeGraceMs: 150,
  },
});

export type ChildMessage =
  | { readonly kind: 'listening'; readonly url: string; readonly publicKey: string }
  | { readonly kind: 'memory'; readonly rss: number; readonly live: number; readonly cpuMs: number };

const tell = (message: ChildMessage) => process.send?.(message);

process.on('message', (message) => {
  if (message === 'stop') void coordinator.close().then(() => process.exit(0));
  if (message !== 'memory') return;
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  tell({ kind: 'memory', rss, live: heapUsed + external, cpuMs: (user + system) / 1000 });
});
void coordinator.broken.then(() => process.exit(70));
tell({ kind: 'listening', url: coordinator.url, publicKey: coordinator.publicKey });
