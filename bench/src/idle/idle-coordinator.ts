/** The real coordinator in a process of its own, which tells its memory and CPU time when asked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readConfig } from '@tussah/coordinator/shell/config';
import { startCoordinator } from '@tussah/coordinator/shell/coordinator';
import { pino } from 'pino';
import { tellUsage } from './usage.ts';

const root = resolve(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'tussah-bench-'));
const bounds = ['contributors-per-network', 'connections-per-network'].flatMap((name) => [
  `--${name}`,
  '20000',
]);
const coordinator = await startCoordinator({
  config: readConfig(['--port', '0', '--data', folder, ...bounds], {}, root),
  modelsFolder: join(root, 'models'),
  version: 'bench',
  log: pino({ level: 'info', base: null }, pino.destination({ dest: '/dev/null', sync: false })),
});
process.send?.({ url: coordinator.url });
tellUsage();
process.on('disconnect', () => {
  void coordinator.close().finally(() => {
    rmSync(folder, { recursive: true, force: true });
    process.exit();
  });
});
