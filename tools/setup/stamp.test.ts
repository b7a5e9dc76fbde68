import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { filesBelow, hashOfFiles } from './stamp.mjs';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tussah-stamp-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (path: string, text: string) => writeFileSync(join(root, path), text);

describe('the hash over files', () => {
  it('is the same for the same contents', () => {
    write('a', '1');
    const first = hashOfFiles(root, ['a']);
    write('a', '1');
    expect(hashOfFiles(root, ['a'])).toBe(first);
  });

  it('changes with a content, a name, a missing file, and where one file ends and the next begins', () => {
    write('a', '12');
    write('b', '3');
    const hashes = [hashOfFiles(root, ['a', 'b']), hashOfFiles(root, ['a']), hashOfFiles(root, ['a', 'c'])];
    write('a', '1');
    write('b', '23');
    hashes.push(hashOfFiles(root, ['a', 'b']));
    write('b', '');
    hashes.push(hashOfFiles(root, ['a', 'b']));
    expect(new Set(hashes).size).toBe(5);
  });
});

describe('the files below folders', () => {
  it('come in one order, without what is not kept', () => {
    for (const folder of ['src', 'src/deep', 'dist']) mkdirSync(join(root, folder));
    for (const file of ['src/z.ts', 'src/a.ts', 'src/deep/m.ts', 'dist/out.js', 'top.ts']) write(file, '');
    const keep = (path: string) => path !== 'dist';
    expect(filesBelow(root, ['.'], keep)).toEqual(['src/a.ts', 'src/deep/m.ts', 'src/z.ts', 'top.ts']);
    expect(filesBelow(root, ['top.ts', 'nowhere'], keep)).toEqual(['top.ts']);
  });
});
