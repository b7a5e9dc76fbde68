/** One streamed chat over a kept connection, and when each part of it came. */
import { Agent, request as httpRequest } from 'node:http';
import type { Run } from '../engines/page-api.ts';

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** Ends the kept connection. */
export const hangUp = (): void => agent.destroy();

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string } }[];
  readonly usage: { readonly completion_tokens: number } | null;
}

/**
 * Times are milliseconds from just before the request is written. Nothing is parsed until the answer is over, so that
 * reading it costs as little as can be.
 */
export async function timedChat(url: string, key: string, body: string): Promise<Run> {
  const pieces: { readonly atMs: number; readonly text: string }[] = [];
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    authorization: `Bearer ${key}`,
  };
  const startMs = performance.now();
  await new Promise<void>((done, failed) => {
    const request = httpRequest(
      `${url}/v1/chat/completions`,
      { method: 'POST', agent, headers },
      (response) => {
        response.setEncoding('utf8');
        response.on('data', (text: string) => pieces.push({ atMs: performance.now() - startMs, text }));
        response.on('error', failed);
        response.on('end', done);
      },
    );
    request.on('error', failed);
    request.end(body);
  });
  return runOf(pieces);
}

/** An event counts as come when its last character has. */
function runOf(pieces: readonly { readonly atMs: number; readonly text: string }[]): Run {
  let firstMs = Number.NaN;
  let lastMs = Number.NaN;
  let tokens = 0;
  let answer = '';
  let unread = '';
  let ended = false;
  for (const { atMs, text } of pieces) {
    const events = (unread + text).split('\n\n');
    unread = events.pop() ?? '';
    for (const event of events) {
      const data = event.replace(/^data: /, '');
      if (data === '[DONE]') {
        ended = true;
        continue;
      }
      const { choices, usage } = JSON.parse(data) as Partial<Chunk>;
      tokens = usage?.completion_tokens ?? tokens;
      const content = choices?.[0]?.delta.content ?? '';
      if (content === '') continue;
      if (answer === '') firstMs = atMs;
      lastMs = atMs;
      answer += content;
    }
  }
  if (!ended)
    throw new Error(
      `no whole answer: ${pieces
        .map(({ text }) => text)
        .join('')
        .slice(-300)}`,
    );
  return { firstMs, lastMs, tokens, text: answer };
}
