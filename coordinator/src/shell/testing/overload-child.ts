/** A coordinator in a process of its own, with short times and many connections from one address, that tells its memory. */
import { pino } from 'pino';
import { readConfig } from '../config.ts';
import { startCoordinator } from '../coordinator.ts';

const [root = '', modelsFolder = '', dataFolder = '', timeoutMs = '', most = ''] = process.argv.slice(2);
const patienceMs = Number(timeoutMs);
const flags = ['--port', '0', '--data', dataFolder, '--site', `${dataFolder}/no-site`];
const bounds = ['contributors-per-network', 'connections-per-network', 'connections-max'];

const coordinator = await startCoordinator({
  config: readConfig([...flags, ...bounds.flatMap((name) => [`--${name}`, most])], {}, root),
  modelsFolder,
  version: '0.1.0',
  log: pino({ level: 'silent' }),
  requestTimeoutMs: patienceMs,
  core: { helloTimeoutMs: patienceMs, heartbeatMs: patienceMs / 2, heartbeatTimeoutMs: patienceMs },
});

process.on('message', () => {
  globalThis.gc?.();
  process.send?.({ rss: process.memoryUsage().rss });
});
process.on('disconnect', () => process.exit());
process.send?.({ url: coordinator.url });
