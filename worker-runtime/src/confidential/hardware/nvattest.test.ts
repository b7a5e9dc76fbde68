import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hexOf } from '@tussah/protocol/bytes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scriptedNvattest } from '../testing/scripted-nvattest.ts';
import { collectGpuEvidence } from './nvattest.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tussah-nvattest-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const nonce = new Uint8Array(32).fill(0x9c);
const collect = (body: string, timeoutMs = 20_000) =>
  collectGpuEvidence(nonce, { executable: scriptedNvattest(folder, body), timeoutMs });
const good = `{ arch: 'HOPPER', nonce, evidence: 'EeAB', certificate: 'LS0t', driver_version: '590.12' }`;

it('gives report and certificates of each GPU, for its nonce', async () => {
  const result = await collect(
    `print({ evidences: [${good}, ${good}], result_code: 0, result_message: 'Ok' })`,
  );
  const each = { report: 'EeAB', certificates: 'LS0t' };
  expect(result).toEqual({ ok: true, value: [each, each] });
});

it('asks as NVIDIA documents it', async () => {
  const wanted = ['collect-evidence', '--device', 'gpu', '--nonce', hexOf(nonce), '--format', 'json'];
  const same = `JSON.stringify(args) === ${JSON.stringify(JSON.stringify(wanted))}`;
  const result = await collect(`print({ evidences: [${good}], result_code: ${same} ? 0 : 1 })`);
  expect(result.ok).toBe(true);
});

describe('fails closed', () => {
  it.each([
    ['an exit code', 'nvattest_failed', 'process.exit(3)'],
    ['its own result code', 'nvattest_malformed', `print({ evidences: [${good}], result_code: 7 })`],
    ['no GPU', 'nvattest_malformed', 'print({ evidences: [], result_code: 0 })'],
    ['text', 'nvattest_malformed', `print('GPU 0: ok')`],
    [
      'another nonce',
      'nvattest_malformed',
      `print({ evidences: [{ ...${good}, nonce: '00'.repeat(32) }], result_code: 0 })`,
    ],
    ['too many GPUs', 'nvattest_malformed', `print({ evidences: Array(17).fill(${good}), result_code: 0 })`],
    [
      'evidence that is not base64',
      'nvattest_malformed',
      `print({ evidences: [{ ...${good}, evidence: '<>' }], result_code: 0 })`,
    ],
    ['endless output', 'nvattest_failed', `setInterval(() => print('x'.repeat(1e6)), 0)`],
  ])('%s', async (_, code, body) => {
    expect(await collect(body)).toMatchObject({ ok: false, failure: { code } });
  });

  it('a tool that hangs', async () => {
    const result = await collect('setInterval(() => undefined, 1000)', 300);
    expect(result).toMatchObject({ failure: { message: expect.stringContaining('timeout') } });
  });

  it('no such tool', async () => {
    const result = await collectGpuEvidence(nonce, { executable: join(folder, 'missing') });
    expect(result).toMatchObject({ failure: { code: 'nvattest_missing' } });
  });
});
