/** The coordinator's command as a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { root, until } from './harness.ts';

const main = join(root, 'coordinator/src/main.ts');

export interface Child {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly errors: () => string;
  /** The exit code; -1 when a signal ended it. */
  readonly exited: Promise<number>;
}

export function startCommand(args: readonly string[]): Child {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const exited = new Promise<number>((resolve) => {
    child.on('close', (code) => resolve(code ?? -1));
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { process: child, output: () => output, errors: () => errors, exited };
}

/** Runs a command to its end. */
export async function runCommand(
  ...args: readonly string[]
): Promise<{ code: number; output: string; errors: string }> {
  const child = startCommand(args);
  return { code: await child.exited, output: child.output(), errors: child.errors() };
}

/** Starts a server and waits until it listens. */
export async function startServer(
  dataFolder: string,
  ...flags: readonly string[]
): Promise<Child & { url: string }> {
  const site = join(dataFolder, 'no-site');
  const child = startCommand(['serve', '--port', '0', '--data', dataFolder, '--site', site, ...flags]);
  const line = await until('it listens', () => /^.*"listening".*$/m.exec(child.output())?.[0]);
  const { url } = JSON.parse(line) as { url: string };
  return { ...child, url };
}
