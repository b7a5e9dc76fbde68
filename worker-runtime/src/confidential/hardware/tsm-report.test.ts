import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scriptedKernel, type KernelChanges } from '../testing/scripted-kernel.ts';
import { tsmReport } from './tsm-report.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tussah-tsm-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const data = new Uint8Array(64).map((_, i) => i);
const echo = (inblob: Uint8Array) => Promise.resolve(Uint8Array.of(1, 2, 3, inblob[63] ?? 0));
const ask = (changes: KernelChanges = {}) =>
  tsmReport(data, root, scriptedKernel({ provider: 'tdx_guest', report: echo, ...changes }));

it('gives what the kernel has made of the report data, and removes its folder', async () => {
  expect(await ask()).toEqual({
    ok: true,
    value: { provider: 'tdx_guest', outblob: Uint8Array.of(1, 2, 3, 63), auxblob: new Uint8Array() },
  });
  expect(readdirSync(root)).toEqual([]);
});

it('gives the certificates that an SEV host has stapled', async () => {
  const result = await ask({ provider: 'sev_guest', auxblob: Uint8Array.of(9) });
  expect(result).toMatchObject({ value: { provider: 'sev_guest', auxblob: Uint8Array.of(9) } });
});

it('refuses report data of another size: that would be a bug', async () => {
  await expect(tsmReport(new Uint8Array(63), root)).rejects.toThrow('64 bytes');
});

describe('fails closed', () => {
  it.each<[string, string, KernelChanges]>([
    ['somebody else has written', 'tsm_raced', { foreignWrites: 1 }],
    ['the kernel refuses', 'tsm_refused', { report: () => Promise.reject(new Error('EIO')) }],
    ['an unknown provider', 'tsm_malformed', { provider: 'arm_cca_guest' }],
    ['an empty report', 'tsm_malformed', { report: () => Promise.resolve(new Uint8Array()) }],
    [
      'a report beyond the kernel’s bound',
      'tsm_malformed',
      { report: () => Promise.resolve(new Uint8Array(32_769)) },
    ],
    ['a generation that is no number', 'tsm_malformed', { generation: 'x' }],
  ])('%s', async (_, code, changes) => {
    expect(await ask(changes)).toMatchObject({ ok: false, failure: { code, remedy: expect.any(String) } });
    expect(readdirSync(root)).toEqual([]);
  });

  it('no such folder', async () => {
    expect(await tsmReport(data, join(root, 'missing'))).toMatchObject({ failure: { code: 'tsm_missing' } });
  });
});
