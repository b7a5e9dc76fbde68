import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256Hex } from '@tussah/protocol/bytes';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { modelDigest } from './model-digest.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tussah-model-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('is over the files’ paths and hashes, sorted by path', async () => {
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'b.safetensors'), 'two');
  writeFileSync(join(folder, 'sub', 'a.json'), 'three');
  writeFileSync(join(folder, 'a.safetensors'), 'one');
  writeFileSync(join(folder, '.cache'), 'hidden');
  const entry = (path: string, text: string) => `{"path":"${path}","sha256":"${sha256Hex(text)}"}`;
  const list = [entry('a.safetensors', 'one'), entry('b.safetensors', 'two'), entry('sub/a.json', 'three')];
  expect(await modelDigest(folder)).toEqual({
    ok: true,
    value: sha256Hex(`tussah-model/1\n[${list.join(',')}]`),
  });
  const single = sha256Hex(`tussah-model/1\n[${entry('a.safetensors', 'one')}]`);
  expect(await modelDigest(join(folder, 'a.safetensors'))).toEqual({ ok: true, value: single });
});

it('refuses what is not there, and nothing at all', async () => {
  expect(await modelDigest(join(folder, 'x'))).toMatchObject({ failure: { code: 'weights_unreadable' } });
  expect(await modelDigest(folder)).toMatchObject({ failure: { code: 'weights_unreadable' } });
});
