/** A socket at `/worker` that says only what a test tells it to. */
import type { CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import { WebSocket } from 'ws';
import { onTestFinished } from 'vitest';
import { until } from './harness.ts';

export interface RawSocket {
  readonly frames: readonly CoordinatorFrame[];
  readonly socket: WebSocket;
  /** Close code and the last frame, once it is closed. */
  closed(): Promise<{ code: number; last: CoordinatorFrame | undefined }>;
}

export async function openRawSocket(url: string): Promise<RawSocket> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/worker`);
  const frames: CoordinatorFrame[] = [];
  let code: number | undefined;
  socket.on('message', (data) => frames.push(JSON.parse((data as Buffer).toString()) as CoordinatorFrame));
  socket.on('close', (given) => (code = given));
  socket.on('error', () => undefined);
  onTestFinished(() => socket.terminate());
  await until('the challenge', () => frames.length > 0);
  return {
    frames,
    socket,
    closed: async () => ({ code: await until('the close', () => code), last: frames.at(-1) }),
  };
}

/** The status of an upgrade that is refused. */
export function refusedUpgrade(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace(/^http/, 'ws'));
    socket.on('unexpected-response', (request, response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    socket.on('open', () => reject(new Error('it was accepted')));
    socket.on('error', () => undefined);
  });
}
