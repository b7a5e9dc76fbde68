/**
 * A coordinator for tests of the client: real HTTP on loopback, one known answer, and a script that says how each
 * connection goes. It resumes as the real one does, and refuses what the real one would.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorBody, failure, type ErrorCode } from '@tussah/protocol/errors';
import { unsignedReceipt } from '@tussah/protocol/receipt-fixture';
import { newIdentity } from '@tussah/protocol/signatures';
import { onTestFinished } from 'vitest';

/** Text of one chunk, with its token ids. */
export interface Piece {
  readonly text: string;
  readonly ids: readonly number[];
}

export const pieces: readonly Piece[] = [
  { text: 'Silk', ids: [11] },
  { text: ' from', ids: [12, 13] },
  { text: ' шёл', ids: [14, 15, 16] },
  { text: 'ковая 🐛', ids: [17] },
  { text: '\n"wild"', ids: [18, 19] },
  { text: '.', ids: [20] },
];
export const wholeText = pieces.map((piece) => piece.text).join('');
export const wholeIds = pieces.flatMap((piece) => piece.ids);
export const jobId = 'job_000000000000000000000001';
const coordinator = await newIdentity();
const contributor = await newIdentity();
export const receipt = unsignedReceipt({
  coordinator,
  jobId,
  segments: [{ contributor, tokens: wholeIds.length, promptTokens: 3 }],
});
export const usage = {
  prompt_tokens: 3,
  completion_tokens: wholeIds.length,
  total_tokens: 3 + wholeIds.length,
};

export const line = (value: unknown): string =>
  `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;

const chunk = (choices: readonly object[], rest: object = { usage: null }): string =>
  line({
    id: `chatcmpl-${jobId}`,
    object: 'chat.completion.chunk',
    created: 1,
    model: 'tussah-tiny',
    system_fingerprint: 'fp',
    choices,
    ...rest,
  });

export const textChunk = ({ text, ids }: Piece, position: number, job = jobId): string =>
  chunk([{ index: 0, delta: { content: text }, finish_reason: null }], {
    usage: null,
    tussah: { jobId: job, position, ids },
  });

/** The events of the answer from a token on; that must be the first of a piece. */
export function eventsFrom(position: number): string[] {
  const events = [chunk([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }])];
  let at = 0;
  for (const piece of pieces) {
    if (at >= position) events.push(textChunk(piece, at));
    at += piece.ids.length;
  }
  return [
    ...events,
    chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]),
    chunk([], { usage, tussah: { jobId, receipt } }),
    line('[DONE]'),
  ];
}

export interface Asked {
  readonly headers: IncomingHttpHeaders;
  readonly body: {
    readonly messages?: unknown;
    readonly stream?: boolean;
    readonly tussah?: { readonly resumable?: boolean; readonly resume?: { jobId: string; ids: number[] } };
  };
}

/** How one connection goes. */
export type Play = (response: ServerResponse, asked: Asked) => void;

/** Sends events and then ends the answer properly, cuts the connection, or stays silent. */
export const stream =
  (events: readonly string[], then: 'end' | 'cut' | 'silence' = 'end'): Play =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.flushHeaders();
    const text = events.join('');
    if (then === 'end') response.end(text);
    else if (then === 'cut') response.write(text, () => response.socket?.destroy());
    else response.write(text);
  };

/** Answers from where the client is, as far as `bytes` bytes of it. */
export const answers =
  (bytes = Infinity): Play =>
  (response, { body }) => {
    const ids = body.tussah?.resume?.ids ?? [];
    if (ids.some((id, i) => id !== wholeIds[i])) return refuses('resume_mismatch')(response);
    const whole = Buffer.from(eventsFrom(ids.length).join(''));
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    if (bytes >= whole.length) response.end(whole);
    else if (bytes === 0) response.socket?.destroy();
    else response.write(whole.subarray(0, bytes), () => response.socket?.destroy());
  };

export const refuses =
  (code: ErrorCode, status = 503, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(errorBody(failure(code))));
  };

/** Takes one connection after another as the script says; further ones are cut at once. */
export async function startScripted(script: readonly Play[]): Promise<{
  readonly baseURL: string;
  readonly asked: Asked[];
  /** Bodies of the cancellations. */
  readonly cancelled: unknown[];
  stop(): Promise<void>;
}> {
  const asked: Asked[] = [];
  const cancelled: unknown[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (data: string) => (text += data));
    request.on('end', () => {
      if (request.url?.endsWith('/cancel') === true) {
        cancelled.push(JSON.parse(text));
        response.writeHead(202).end();
        return;
      }
      const play = script[asked.length];
      const about: Asked = { headers: request.headers, body: JSON.parse(text) as Asked['body'] };
      asked.push(about);
      if (play === undefined) request.socket.destroy();
      else play(response, about);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  onTestFinished(stop);
  return { baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked, cancelled, stop };
}
