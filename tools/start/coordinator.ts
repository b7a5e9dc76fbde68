/** Runs the coordinator as a child process and waits until it listens. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Failure, type Result } from '@tussah/protocol/errors';
import * as v from 'valibot';
import { startNode, type Exit, type Running } from '../setup/processes.ts';

const listenTimeoutMs = 30_000;
/** It finishes running jobs first. */
const drainMs = 15_000;

const ListeningSchema = v.object({ event: v.literal('listening'), url: v.pipe(v.string(), v.url()) });

export interface Coordinator {
  readonly url: string;
  /** Resolves when it ends, for whatever reason. */
  readonly exited: Promise<Exit>;
  /** What to say when it ended though nobody asked it to. */
  readonly died: (exit: Exit) => Failure<'coordinator_failed'>;
  /** Lets it drain; resolves with how it ended. */
  stop(): Promise<Exit>;
}

/** `data` is an existing folder of its own. Its log goes to a file there, and to stderr when `verbose`. */
export async function startCoordinator(options: {
  readonly port: number;
  readonly data: string;
  /** File with the policy for confidential nodes; null serves none. */
  readonly nodePolicy: string | null;
  readonly verbose: boolean;
}): Promise<Result<Coordinator, 'coordinator_failed'>> {
  const log = join(options.data, 'coordinator.log');
  writeFileSync(log, '');
  let heard: (url: string) => void = () => undefined;
  const listening = new Promise<string>((resolve) => (heard = resolve));
  const child = startNode(
    'coordinator/src/main.ts',
    [
      '--port',
      String(options.port),
      '--data',
      options.data,
      ...(options.nodePolicy === null ? [] : ['--node-policy', options.nodePolicy]),
    ],
    {
      onLine: (line, stream) => {
        const url = stream === 'stdout' ? listeningUrl(line) : undefined;
        if (url !== undefined) return heard(url);
        appendFileSync(log, `${line}\n`);
        if (options.verbose) process.stderr.write(`${line}\n`);
      },
    },
  );
  const died = (exit: Exit) => failed(`The coordinator ended unexpectedly (${exit.how}).`, child);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), listenTimeoutMs);
  });
  const first = await Promise.race([listening, child.exited, late]);
  clearTimeout(timer);
  if (typeof first === 'string')
    return ok({ url: first, exited: child.exited, died, stop: () => child.stop(drainMs) });
  child.kill();
  return fail(
    first === undefined
      ? failed(`The coordinator did not listen within ${listenTimeoutMs / 1000} s.`, child)
      : died(first),
  );
}

/** The address in its one line of readiness; undefined for any other line. */
export function listeningUrl(line: string): string | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const read = v.safeParse(ListeningSchema, JSON.parse(line));
    return read.success ? read.output.url.replace(/\/$/, '') : undefined;
  } catch {
    return undefined;
  }
}

function failed(message: string, child: Running): Failure<'coordinator_failed'> {
  const lines = child.tail().split('\n');
  const tail = lines
    .filter((line) => listeningUrl(line) === undefined)
    .slice(-8)
    .join('\n');
  return {
    code: 'coordinator_failed',
    message: tail === '' ? message : `${message} Its last lines:\n${tail}`,
    remedy: 'Look at those lines; `npm start -- --verbose` shows all of its log.',
  };
}
