/** Runs one check as a child process within a bounded time. */
import { startNode } from '../setup/processes.ts';

export interface CheckRun {
  readonly ok: boolean;
  readonly ms: number;
  /** All it printed, its end only where it is very long. */
  readonly output: string;
  /** How it ended when it was not well: "exit code 1", "no end within 60 s". */
  readonly how: string;
}

const outputLines = 2000;
/** vitest is given this to close its browser before it is killed. */
const graceMs = 3000;

export async function runCheck(
  script: string,
  args: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly env?: Readonly<Record<string, string>>;
    /** Called about every second while it runs. */
    readonly onTick?: () => void;
  },
): Promise<CheckRun> {
  const startedAt = performance.now();
  const lines: string[] = [];
  const child = startNode(script, args, {
    env: { NO_COLOR: '1', FORCE_COLOR: '0', ...options.env },
    onLine: (line) => {
      lines.push(line);
      if (lines.length > outputLines) lines.shift();
    },
  });
  let timedOut = false;
  const limit = setTimeout(() => {
    timedOut = true;
    void child.stop(graceMs);
  }, options.timeoutMs);
  const tick = setInterval(() => options.onTick?.(), 1000);
  const exit = await child.exited;
  clearTimeout(limit);
  clearInterval(tick);
  return {
    ok: exit.code === 0 && !timedOut,
    ms: performance.now() - startedAt,
    output: lines.join('\n'),
    how: timedOut ? `no end within ${options.timeoutMs / 1000} s` : exit.how,
  };
}
