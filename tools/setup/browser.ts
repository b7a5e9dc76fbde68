/** Makes sure that there is a browser to drive: an installed one, Playwright's own, or one from the system's packages. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fail, ok, type Failure, type Result } from '@tussah/protocol/errors';
import { findBrowser } from '../../worker-runtime/src/headless/find-browser.ts';
import { startActivity, type Activity } from './activity.mjs';
import { browserRemedy, browserSteps, type BrowserStep, type Machine } from './browser-steps.ts';
import { withLock } from './lock.mjs';
import { root, startNode, startProcess, type Running } from './processes.ts';

/** A download whose percentage does not rise for this long is given up: the system's packages are the better bet. */
const downloadSilenceMs = 20_000;
const packagesTimeoutMs = 600_000;

/** Path of a browser that starts. Installs one where there is none, which takes from seconds to minutes. */
export async function ensureBrowser(): Promise<Result<string, 'browser_missing'>> {
  const found = findBrowser();
  if (found !== undefined && runs(found)) return use(found);
  if (process.env['TUSSAH_BROWSER'])
    return fail({
      code: 'browser_missing',
      message: `TUSSAH_BROWSER names ${process.env['TUSSAH_BROWSER']}, which does not start.`,
      remedy: 'Name the executable of a Chrome or Chromium, or leave the variable away.',
    });
  mkdirSync(join(root, '.tussah'), { recursive: true });
  return withLock(join(root, '.tussah', 'browser.lock'), {
    onWait: (pid) => say(`Waiting for another process (${pid}), which is installing a browser ...`),
    work: installBrowser,
  });
}

async function installBrowser(): Promise<Result<string, 'browser_missing'>> {
  const machine = thisMachine();
  const before = findBrowser();
  say(
    before === undefined ? 'No Chrome or Chromium is installed.' : `${before} is there, but does not start.`,
  );
  for (const step of browserSteps(machine)) {
    await perform(step);
    const found = findBrowser();
    if (found !== undefined && runs(found)) return use(found);
    const own = playwrightsOwn();
    if (own !== undefined && runs(own)) return use(own);
  }
  return fail(missing(machine));
}

export const missing = (machine: Machine): Failure<'browser_missing'> => ({
  code: 'browser_missing',
  message: 'No Chrome or Chromium that starts is on this machine, and none could be installed.',
  remedy: browserRemedy(machine),
});

/** Everything started after this uses the same browser. */
function use(path: string): Result<string, never> {
  process.env['TUSSAH_BROWSER'] = path;
  return ok(path);
}

function perform(step: BrowserStep): Promise<void> {
  return step.kind === 'download' ? download(step.title) : installPackages(step.title, step.commands);
}

async function download(title: string): Promise<void> {
  const activity = startActivity(`${title} (about 180 MB, kept in the home folder)`);
  let percent = -1;
  let silence: NodeJS.Timeout | undefined;
  const child = startNode('node_modules/playwright/cli.js', ['install', '--no-shell', 'chromium'], {
    env: { PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: '10000' },
    onLine: (line) => {
      const now = Number(/(\d+)% of/.exec(line)?.[1] ?? Number.NaN);
      if (Number.isNaN(now)) return;
      // It begins anew for each part.
      if (now !== percent) wait();
      percent = now;
      activity.note(`${now}%`);
    },
  });
  wait();
  const exit = await child.exited;
  clearTimeout(silence);
  if (exit.code === 0) activity.done();
  else activity.failed(reason(child) ?? exit.how);
  function wait(): void {
    clearTimeout(silence);
    silence = setTimeout(() => {
      activity.note('no progress');
      child.kill();
    }, downloadSilenceMs);
  }
}

async function installPackages(title: string, commands: readonly (readonly string[])[]): Promise<void> {
  for (const [command = '', ...args] of commands) {
    const activity = startActivity(`${title}: ${[command, ...args].join(' ')}`);
    const child = startProcess({
      command,
      args,
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      onLine: (line) => activity.note(line),
    });
    const timer = setTimeout(() => child.kill(), packagesTimeoutMs);
    const exit = await child.exited;
    clearTimeout(timer);
    end(activity, child, exit.code === 0, exit.how);
    if (exit.code !== 0) return;
  }
}

function end(activity: Activity, child: Running, good: boolean, how: string): void {
  if (good) activity.done();
  else activity.failed(reason(child) ?? how);
}

/** The line that says why it failed, as Playwright and apt begin it; else the last one. */
function reason(child: Running): string | undefined {
  const lines = child.tail().split('\n');
  return (
    lines.find((line) => /^(Error|error|E): /.test(line)) ?? lines.findLast((line) => line.trim() !== '')
  );
}

/** A browser may be there and lack libraries, or be a stand-in that only says where to get it. */
function runs(path: string): boolean {
  // On Windows the option opens a window instead.
  if (process.platform === 'win32') return true;
  return spawnSync(path, ['--version'], { stdio: 'ignore', timeout: 15_000 }).status === 0;
}

function playwrightsOwn(): string | undefined {
  return findBrowser({ PATH: '' });
}

export function thisMachine(): Machine {
  const isRoot = process.getuid?.() === 0;
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const has = (program: string) => folders.some((folder) => executable(join(folder, program)));
  const sudo = !isRoot && has('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return { platform: process.platform, root: isRoot, sudo, has };
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const say = (line: string) => process.stderr.write(`${line}\n`);
