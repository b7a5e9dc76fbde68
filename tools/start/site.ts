/** Builds the site when its sources are not those it was built from. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { startActivity } from '../setup/activity.mjs';
import { withLock } from '../setup/lock.mjs';
import { root, startNode } from '../setup/processes.ts';
import { filesBelow, hashOfFiles } from '../setup/stamp.mjs';

const sources = [
  'web',
  'protocol',
  'attestation',
  'client',
  'models',
  'worker-runtime',
  'vite.config.ts',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
];
/** What does not get into the site, though it lies among its sources. */
const irrelevant =
  /(^|\/)(node_modules|dist|\.[^/]*|headless|confidential)$|^models\/tiny\/(train|compile)$|\.test\.ts$|\.md$/;
const index = join(root, 'web', 'dist', 'index.html');
const stampPath = join(root, '.tussah', 'site.json');
const buildTimeoutMs = 180_000;

export const isSiteSource = (path: string): boolean => !irrelevant.test(path);

/** Resolves with whether it was built now. Vite's own output is shown when it fails. */
export async function ensureSite(): Promise<Result<'built' | 'fresh', 'build_failed'>> {
  if (isFresh(sourcesHash())) return ok('fresh');
  mkdirSync(join(root, '.tussah'), { recursive: true });
  return withLock(join(root, '.tussah', 'site.lock'), {
    onWait: (pid) =>
      process.stderr.write(`Waiting for another process (${pid}), which is building the site ...\n`),
    work: build,
  });
}

async function build(): Promise<Result<'built' | 'fresh', 'build_failed'>> {
  const hash = sourcesHash();
  if (isFresh(hash)) return ok('fresh');
  const activity = startActivity('Building the site');
  const child = startNode('node_modules/vite/bin/vite.js', ['build', '--logLevel', 'warn'], {
    onLine: (line) => activity.note(line),
  });
  const timer = setTimeout(() => child.kill(), buildTimeoutMs);
  const exit = await child.exited;
  clearTimeout(timer);
  if (exit.code !== 0 || !existsSync(index)) {
    activity.failed(exit.how);
    process.stderr.write(`${child.tail()}\n`);
    return fail({
      code: 'build_failed',
      message: `The site could not be built (vite build: ${exit.how}).`,
      remedy: 'Look at the lines above; `npm run build` shows all of them.',
    });
  }
  activity.done();
  writeFileSync(stampPath, JSON.stringify({ sources: hash, indexMtimeMs: statSync(index).mtimeMs }));
  return ok('built');
}

const sourcesHash = (): string => hashOfFiles(root, filesBelow(root, sources, isSiteSource));

/** The time of its index tells that nobody built it anew by hand in between, from other sources. */
function isFresh(hash: string): boolean {
  if (!existsSync(stampPath) || !existsSync(index)) return false;
  return (
    readFileSync(stampPath, 'utf8') ===
    JSON.stringify({ sources: hash, indexMtimeMs: statSync(index).mtimeMs })
  );
}
