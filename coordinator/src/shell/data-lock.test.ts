import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ConfigError } from './config.ts';
import { lockDataFolder } from './data-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-lock-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a folder is free again once it is given back', () => {
  lockDataFolder(folder)();
  expect(readdirSync(folder)).toEqual([]);
  lockDataFolder(folder)();
});

test('a folder of a process that runs is refused; one left by a crash is taken', async () => {
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  writeFileSync(join(folder, 'coordinator.pid'), String(other.pid));
  expect(() => lockDataFolder(folder)).toThrow(ConfigError);
  const ended = new Promise((done) => other.once('exit', done));
  other.kill('SIGKILL');
  await ended;
  expect(() => lockDataFolder(folder)()).not.toThrow();
});

test('nonsense in the file does not lock anybody out', () => {
  writeFileSync(join(folder, 'coordinator.pid'), 'nonsense');
  expect(() => lockDataFolder(folder)()).not.toThrow();
});
