/**
 * `node tools/bootstrap.mjs <command> [args]`: sets this checkout up where needed, then runs the command on the pinned
 * Node. Plain JavaScript without dependencies, since it runs before anything is installed, on Node 16 and newer.
 * All it says goes to stderr: stdout belongs to the command.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { install, needsInstall } from './setup/install.mjs';
import { findNode } from './setup/pinned-node.mjs';
import { checkHome, SetupFailure } from './setup/setup-failure.mjs';

const dieWithParent = new URL('setup/die-with-parent.mjs', import.meta.url).href;
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** `browser`: it drives one; `ensures`: the script looks for the browser itself, after it has read its arguments. */
const commands = {
  start: { script: 'tools/start.ts', browser: true, ensures: true },
  test: { script: 'tools/test.ts', browser: true, ensures: true },
  coordinator: { script: 'coordinator/src/main.ts', browser: false, ensures: false },
  contribute: { script: 'worker-runtime/src/headless/contribute-main.ts', browser: true, ensures: false },
  node: { script: 'worker-runtime/src/confidential/node-main.ts', browser: false, ensures: false },
  proxy: { script: 'client/src/proxy/proxy-main.ts', browser: false, ensures: false },
  verify: { script: 'tools/verify.ts', browser: false, ensures: false },
  sim: { script: 'coordinator/src/sim/main.ts', browser: false, ensures: false },
  bench: { script: 'bench/src/main.ts', browser: true, ensures: false },
  mutate: { script: 'tools/mutate/main.ts', browser: false, ensures: false },
};

/** Signals that ask a program to end. npm passes on what the terminal has sent to all already: that is the same one. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const sameSignalMs = 1000;

const [name = '', ...args] = process.argv.slice(2);
const json = args.includes('--json');
const helpOnly = args.includes('--help') || args.includes('-h');

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof SetupFailure)) throw error;
  process.stderr.write(`\n${error.message}\n${error.remedy}\n`);
  const { code, message, remedy } = error;
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, remedy } })}\n`);
  process.exitCode = error.code === 'interrupted' ? 130 : 1;
}

async function main() {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined)
    throw new SetupFailure(
      'unknown_command',
      name === '' ? 'No command was given.' : `There is no command "${name}".`,
      `Use one of: ${Object.keys(commands).join(', ')}.`,
    );
  const browser = command.browser && !helpOnly;
  if (browser || needsInstall(root)) checkHome();
  await install(root);
  const node = findNode(root);
  if (browser && !command.ensures) {
    const { code, output } = await run(node, ['tools/ensure-browser.ts'], 'pipe');
    if (code !== 0) {
      if (json) process.stdout.write(output);
      return code;
    }
    process.env.TUSSAH_BROWSER = output.trim();
  }
  return (await run(node, [command.script, ...args], 'inherit')).code;
}

/** Runs a script of this checkout; resolves with its exit code, 128 and the signal's number when a signal ended it. */
function run(node, [script, ...rest], stdout) {
  const path = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`;
  const child = spawn(node, [`--import=${dieWithParent}`, join(root, script), ...rest], {
    stdio: ['inherit', stdout, 'inherit'],
    env: { ...process.env, PATH: path, TUSSAH_PARENT: String(process.pid) },
    // A terminal sends Ctrl-C to all of its group: out of it, the child gets each signal once, from here.
    detached: process.platform !== 'win32',
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => (output += text));
  const last = new Map();
  const pass = (signal) => {
    const now = Date.now();
    // On Windows `kill` ends a process at once, and the console tells it anyway.
    if (process.platform === 'win32' || now - (last.get(signal) ?? 0) < sameSignalMs) return;
    last.set(signal, now);
    child.kill(signal);
  };
  for (const signal of signals) process.on(signal, pass);
  const orphaned = onceOrphaned(() => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      for (const each of signals) process.off(each, pass);
      clearInterval(orphaned);
      resolve({ code: code ?? 128 + (constants.signals[signal] ?? 0), output });
    });
  });
}

/**
 * npm passes a SIGTERM on to the shell in between, which ends without passing it on. Without npm a parent may end for good
 * reasons, as a shell does that has put us into the background.
 */
function onceOrphaned(then) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    then();
  }, 500);
  timer.unref();
  if (process.env.npm_lifecycle_event === undefined) clearInterval(timer);
  return timer;
}
