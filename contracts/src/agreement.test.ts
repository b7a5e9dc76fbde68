import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import expectedHashes from '../code-hashes.json' with { type: 'json' };
import { codeHashes, readSource } from './compile.ts';
import { contractErrors } from './errors.ts';
import { fees } from './fees.ts';
import { opcodes } from './opcodes.ts';

const schemes = join(import.meta.dirname, '../schemes');
const found = (text: string, pattern: RegExp): [string, string][] =>
  [...text.matchAll(pattern)].map(([, name = '', value = '']) => [name, value]);

test('opcodes are the same in Tolk and TypeScript', () => {
  const inTolk = found(
    readSource('messages.tolk').replaceAll(/struct \((0x[\da-f]+)\) (\w+)/g, 'OP $2 = $1;'),
    /OP (\w+) = (0x[\da-f]+);/g,
  );
  expect(Object.fromEntries(inTolk.map(([name, value]) => [name, Number(value)]))).toEqual(opcodes);
});

test('opcodes are the same in the TL-B schemas', () => {
  const text = readdirSync(schemes)
    .map((file) => readFileSync(join(schemes, file), 'utf8'))
    .join('\n');
  const inSchemes = found(text, /^(\w+)#([\da-f]{8}) /gm);
  expect(Object.fromEntries(inSchemes.map(([name, value]) => [name, Number(`0x${value}`)]))).toEqual(opcodes);
});

test('no opcode is used twice', () => {
  expect(new Set(Object.values(opcodes)).size).toBe(Object.keys(opcodes).length);
});

test('error codes are the same in Tolk and TypeScript', () => {
  const inTolk = found(readSource('errors.tolk'), /const ERROR_(\w+) = (\w+)/g);
  const inTypeScript = Object.entries(contractErrors).map(([name, { code }]) => [name, code]);
  expect(inTolk.map(([name, code]) => [name, Number(code)])).toEqual(inTypeScript);
});

test('bounds of fees are the same in Tolk and TypeScript', () => {
  const inTolk = found(readSource('fees.tolk'), /const (\w+) = (?:ton\(")?([\d.]+)/g).map(([name, value]) => [
    name,
    name.startsWith('MAX_') ? BigInt(value) : BigInt(Math.round(Number(value) * 1e9)),
  ]);
  expect(Object.fromEntries(inTolk)).toEqual(fees);
});

test('the compiled code is the code that was reviewed', { timeout: 30_000 }, async () => {
  expect(await codeHashes()).toEqual(expectedHashes);
});
