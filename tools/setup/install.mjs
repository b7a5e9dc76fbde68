/** Installs the packages of this checkout when they are missing or belong to another state of it. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startActivity } from './activity.mjs';
import { withLock } from './lock.mjs';
import { SetupFailure } from './setup-failure.mjs';
import { hashOfFiles } from './stamp.mjs';

const stampOf = (root) => join(root, 'node_modules', '.tussah-stamp');
/** npm is silent while it unpacks, and that takes a while on a slow disk. */
const silenceMs = 300_000;

/**
 * `install`, not `ci`: some registries lack packages of other platforms, so that a lock file written there would be
 * refused elsewhere. `no-save`: the lock file is read and left alone. No package here needs an install script.
 */
const npmArguments = [
  'install',
  '--no-save',
  '--ignore-scripts',
  '--include=dev',
  '--include=optional',
  '--engine-strict=false',
  '--no-audit',
  '--no-fund',
  '--no-update-notifier',
  '--progress=false',
  '--color=false',
  '--json=false',
  '--dry-run=false',
  '--loglevel=http',
  '--fetch-retry-mintimeout=1000',
  '--fetch-retry-maxtimeout=5000',
  '--fetch-timeout=60000',
];

/** Hash of all that decides what is installed. */
export function installStamp(root) {
  const { workspaces = [] } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const files = ['package.json', 'package-lock.json', ...workspaces.map((name) => `${name}/package.json`)];
  return `${process.platform}-${process.arch} ${hashOfFiles(root, files)}`;
}

export function needsInstall(root) {
  const stamp = stampOf(root);
  return !existsSync(stamp) || readFileSync(stamp, 'utf8') !== installStamp(root);
}

/** Throws `SetupFailure`. A second one at the same time waits for the first and then has nothing to do. */
export async function install(root) {
  if (!needsInstall(root)) return;
  try {
    mkdirSync(join(root, '.tussah'), { recursive: true });
  } catch {
    throw unwritable(root);
  }
  await withLock(join(root, '.tussah', 'install.lock'), {
    onWait: (pid) =>
      process.stderr.write(`Waiting for another process (${pid}), which is installing the packages ...\n`),
    work: async () => {
      if (!needsInstall(root)) return;
      const stamp = installStamp(root);
      await runNpm(root);
      writeFileSync(stampOf(root), stamp);
    },
  });
}

async function runNpm(root) {
  const activity = startActivity('Installing the packages with npm (once; half a minute to some minutes)');
  const complaints = [];
  let fetched = 0;
  const outcome = await npm(root, (line) => {
    const url = /^npm http (?:fetch|cache) (?:GET )?(?:\d+ )?(\S+)/.exec(line)?.[1];
    if (url === undefined) {
      if (line.startsWith('npm error')) complaints.push(line.slice('npm error'.length).trim());
      return;
    }
    fetched++;
    activity.note(`${fetched} fetched, ${packageOf(url)}`);
  });
  if (outcome === 'done') return activity.done(`${fetched} fetched`);
  activity.failed();
  throw explain(root, outcome, complaints);
}

/** Resolves with `done`, `missing`, `silent`, or the signal or exit code that npm ended with. */
function npm(root, onLine) {
  // Where npm started us it says which it is; that one is known to work, even where `npm` is a wrapper.
  const { npm_execpath: script, npm_node_execpath: node } = process.env;
  const known = script !== undefined && /npm-cli\.c?js$/.test(script) && existsSync(script);
  const child = known
    ? spawn(node ?? process.execPath, [script, ...npmArguments], options(root, false))
    : spawn(
        process.platform === 'win32' ? 'npm.cmd' : 'npm',
        npmArguments,
        options(root, process.platform === 'win32'),
      );
  return new Promise((resolve) => {
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        child.kill('SIGKILL');
        resolve('silent');
      }, silenceMs);
    };
    let stoppedBy;
    const stop = (signal) => {
      stoppedBy = signal;
      child.kill(signal);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
    heard();
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        heard();
        onLine(line);
      });
    child.once('error', () => end('missing'));
    child.once('close', (code, signal) =>
      end(stoppedBy ?? signal ?? (code === 0 ? 'done' : `exit code ${code}`)),
    );
    function end(outcome) {
      clearTimeout(silence);
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, stop);
      resolve(outcome);
    }
  });
}

const options = (root, shell) => ({ cwd: root, stdio: ['ignore', 'pipe', 'pipe'], shell });

/** `https://host/@scope/name/-/name-1.2.3.tgz` is shown as `name-1.2.3`, `https://host/@scope%2fname` as `@scope/name`. */
function packageOf(url) {
  const path = decodeURIComponent(url.replace(/^\w+:\/\/[^/]+\//, ''));
  return /\/-\/(?:.*\/)?(.+)\.tgz/.exec(path)?.[1] ?? path;
}

function explain(root, outcome, complaints) {
  const text = complaints.join('\n');
  const has = (pattern) => pattern.test(text);
  if (outcome === 'missing')
    return new SetupFailure(
      'npm_missing',
      'npm was not found.',
      'Install Node with npm, and have npm in the PATH.',
    );
  if (outcome.startsWith('SIG'))
    return new SetupFailure('interrupted', 'The installation was interrupted.', 'Run the command again.');
  if (has(/ENOSPC/))
    return new SetupFailure('disk_full', 'The disk is full.', 'Free about 1 GB, then run the command again.');
  if (has(/EACCES|EPERM|EROFS/)) return unwritable(root, text);
  if (
    outcome === 'silent' ||
    has(/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH/)
  )
    return new SetupFailure(
      'offline',
      'The packages could not be downloaded: the registry does not answer.',
      'Connect to the Internet (or set npm_config_registry, npm_config_proxy), then run the command again; what was downloaded is kept.',
    );
  return new SetupFailure(
    'install_failed',
    `npm install failed (${outcome}).${text === '' ? '' : `\n${text.slice(0, 2000)}`}`,
    'Look at the lines above; deleting node_modules and running the command again helps where it is half written.',
  );
}

const unwritable = (root, detail = '') =>
  new SetupFailure(
    'not_writable',
    `The packages could not be written.${detail === '' ? '' : `\n${detail.slice(0, 2000)}`}`,
    `Run this as a user who may write ${root} and the npm cache in the home folder.`,
  );
