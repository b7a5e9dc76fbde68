/** The real coordinator in a process of its own, which tells its CPU time when asked. Its arguments are settings. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readConfig } from '@tussah/coordinator/shell/config';
import { startCoordinator } from '@tussah/coordinator/shell/coordinator';
import { pino } from 'pino';

const root = resolve(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'tussah-bench-'));
const config = readConfig(['--port', '0', '--data', folder, ...process.argv.slice(2)], {}, root);
// Logs go where an operator's would: through the logger, to a descriptor.
const log = pino({ level: 'info', base: null }, pino.destination({ dest: '/dev/null', sync: false }));
const coordinator = await startCoordinator({
  config,
  modelsFolder: join(root, 'models'),
  version: 'bench',
  log,
});
const adminToken = readFileSync(join(folder, 'admin-token'), 'utf8');
process.send?.({ url: coordinator.url, adminToken });
process.on('message', () => process.send?.({ cpu: process.cpuUsage() }));
process.on('disconnect', () => {
  void coordinator.close().finally(() => {
    rmSync(folder, { recursive: true, force: true });
    process.exit();
  });
});
