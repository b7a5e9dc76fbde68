/** Starts the embedded upstream in a process of its own, and ends it. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import * as v from 'valibot';
import type { LoopbackAddress } from '../loopback.ts';

const main = fileURLToPath(new URL('./embedded-main.ts', import.meta.url));
const START_MS = 60_000;

const ListeningSchema = v.object({ event: v.literal('listening'), port: v.number() });

export interface EmbeddedUpstream {
  readonly to: LoopbackAddress;
  /** Resolves when it has ended, for whatever reason. */
  readonly exited: Promise<void>;
  stop(): Promise<void>;
}

export async function startEmbedded(
  places: number,
  version: string,
): Promise<Result<EmbeddedUpstream, 'embedded_failed'>> {
  const child = spawn(process.execPath, [main, String(places), version], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exited = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  child.stdin.on('error', () => undefined);
  const stop = async () => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), 2_000);
    await exited;
    clearTimeout(timer);
  };
  const heard = new Promise<number | undefined>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => resolve(portOf(line)));
    void exited.then(() => resolve(undefined));
    setTimeout(() => resolve(undefined), START_MS).unref();
  });
  const port = await heard;
  if (port !== undefined) return ok({ to: { address: '127.0.0.1', port }, exited, stop });
  await stop();
  return fail({
    code: 'embedded_failed',
    message: 'The embedded upstream did not start.',
    remedy: 'Check that node-llama-cpp’s build for this machine is installed, or give --upstream.',
  });
}

function portOf(line: string): number | undefined {
  try {
    const read = v.safeParse(ListeningSchema, JSON.parse(line));
    return read.success ? read.output.port : undefined;
  } catch {
    return undefined;
  }
}
