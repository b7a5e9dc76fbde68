/**
 * Child processes that don't outlive us. Each leads a process group of its own, so that a Ctrl-C reaches only us and we
 * stop them in the right order, and so that what they started themselves can be ended with them.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const dieWithParent = new URL('./die-with-parent.mjs', import.meta.url).href;
const windows = process.platform === 'win32';
const tailLines = 60;

export interface StartOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

export interface Exit {
  /** Null when a signal ended it, or when it could not be started. */
  readonly code: number | null;
  /** How it ended, for a sentence: "exit code 1", "signal SIGKILL", "spawn ENOENT". */
  readonly how: string;
}

export interface Running {
  readonly pid: number | undefined;
  /** Resolves once it has ended and all its output was read; never rejects. */
  readonly exited: Promise<Exit>;
  /** Its last lines of output. */
  tail(): string;
  /** Asks it to end, and kills it with all its children after `graceMs`. */
  stop(graceMs: number): Promise<Exit>;
  kill(): void;
}

const running = new Set<Running>();

/** Kills whatever is left; for the moment when there is no time for more. */
export function killAll(): void {
  for (const each of running) each.kill();
}
process.on('exit', killAll);

/** Starts a script of this checkout, or of its packages, on the Node that runs us. */
export const startNode = (
  script: string,
  args: readonly string[],
  rest: Omit<StartOptions, 'command' | 'args'> = {},
) =>
  startProcess({
    ...rest,
    command: process.execPath,
    args: [`--import=${dieWithParent}`, script, ...args],
    env: { ...rest.env, TUSSAH_PARENT: String(process.pid) },
  });

export function startProcess({ command, args, env, onLine }: StartOptions): Running {
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: !windows,
    windowsHide: true,
  });
  const lines: string[] = [];
  for (const name of ['stdout', 'stderr'] as const)
    createInterface({ input: child[name] }).on('line', (line) => {
      lines.push(line);
      if (lines.length > tailLines) lines.shift();
      onLine?.(line, name);
    });
  const exited = new Promise<Exit>((resolve) => {
    child.once('error', (error) => resolve({ code: null, how: error.message }));
    child.once('exit', (code, signal) => {
      const exit = { code, how: code === null ? `signal ${signal}` : `exit code ${code}` };
      // A grandchild that lives on may hold the pipes open: what the child itself wrote arrives well within this.
      const enough = setTimeout(() => resolve(exit), 1000);
      child.once('close', () => {
        clearTimeout(enough);
        resolve(exit);
      });
    });
  });
  const self: Running = {
    pid: child.pid,
    exited,
    tail: () => lines.join('\n'),
    kill: () => killGroup(child),
    async stop(graceMs) {
      const timer = setTimeout(() => killGroup(child), graceMs);
      if (child.exitCode === null) child.kill('SIGTERM');
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
  };
  running.add(self);
  void forget(self);
  return self;
}

async function forget(ended: Running): Promise<void> {
  await ended.exited;
  ended.kill();
  running.delete(ended);
}

/** Ends what is left of a group, also after its leader has gone: no other group gets its number while a member lives. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  if (windows) {
    if (child.exitCode === null)
      spawnSync('taskkill', ['/pid', String(child.pid), '/T', '/F'], { stdio: 'ignore' });
    return;
  }
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}
