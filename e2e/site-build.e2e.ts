/** The site's build is reproducible, and what a coordinator serves can be compared with it. */
import {
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readRelease } from '@tussah/protocol/site/release';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { main as verifySite } from '../tools/verify-site/main.ts';
import { readBuild } from '../web/release/read-build.ts';
import { NetworkUnderTest, root } from './network-under-test.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-build-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sources = ['web', 'protocol', 'attestation', 'client', 'models', 'worker-runtime'];
const files = ['package.json', 'package-lock.json', 'tsconfig.json', 'vite.config.ts'];
const left = new Set(['node_modules', 'dist', 'train', 'compile']);

/** A checkout in another place, with dependencies of its own: links where the disk allows, else copies. */
function copyCheckout(to: string): string {
  mkdirSync(to, { recursive: true });
  for (const name of sources)
    cpSync(join(root, name), join(to, name), {
      recursive: true,
      filter: (path) => !left.has(basename(path)),
    });
  for (const name of files) copyFileSync(join(root, name), join(to, name));
  linkFolder(join(root, 'node_modules'), join(to, 'node_modules'));
  return to;
}

function linkFolder(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    // The pinned Node and the engines of the confidential node take no part in it.
    if (/^(node-|@node-|\.)/.test(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) linkFolder(source, target);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else linkFile(source, target);
  }
}

function linkFile(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}

function build(checkout: string, env: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn'], {
    cwd: checkout,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: 'inherit',
  });
  return new Promise((done, failed) =>
    child.once('exit', (code) =>
      code === 0 ? done(join(checkout, 'web/dist')) : failed(new Error(`vite build ended with ${code}`)),
    ),
  );
}

let first = '';
let second = '';
beforeAll(async () => {
  first = await build(copyCheckout(join(folder, 'a')), { TZ: 'UTC', LC_ALL: 'C', NODE_ENV: 'test' });
  second = await build(copyCheckout(join(folder, 'somewhere else', 'deeper')), {
    TZ: 'Asia/Kathmandu',
    LC_ALL: 'tr_TR.UTF-8',
    LANG: 'tr_TR.UTF-8',
  });
});

describe('the build of the site', () => {
  test('is the same in another folder, at another time, in another time zone and language', () => {
    expect(readBuild(first).length).toBeGreaterThan(10);
    expect(readBuild(second)).toEqual(readBuild(first));
    expect(readFileSync(join(second, 'release.json'))).toEqual(readFileSync(join(first, 'release.json')));
  });

  test('lists each of its files', () => {
    const read = readRelease(readFileSync(join(first, 'release.json'), 'utf8'));
    expect(read.ok && read.value.release.files).toEqual(readBuild(first));
  });
});

describe('npm run verify -- site', () => {
  let network: NetworkUnderTest;
  beforeAll(async () => {
    network = await NetworkUnderTest.start(['--site', first]);
  });
  afterAll(() => network.stop());

  async function verify(): Promise<{ status: number; out: string }> {
    let out = '';
    const status = await verifySite(['site', network.url, '--build', second], {
      out: (text) => (out += text),
      error: (text) => (out += text),
    });
    return { status, out };
  }

  test('finds that a coordinator serves the same as was built elsewhere', async () => {
    const { status, out } = await verify();
    expect(out).toMatch(/^\d+ files, \d+ bytes, version .*\nunsigned\nsame\n$/);
    expect(status).toBe(0);
  });

  test('finds a file that the coordinator serves otherwise', async () => {
    writeFileSync(join(first, 'robots.txt'), 'changed');
    const { status, out } = await verify();
    expect(out).toMatch(/^changed {3}\/robots\.txt: SHA-256 /);
    expect(status).toBe(1);
  });
});
