/** The load, in a process of its own: clients that ask, read the stream and note when tokens arrive. */
import { Agent, request as httpRequest } from 'node:http';
import { requestBody } from '../relay/load.ts';
import { answerText } from './pacing.ts';

export interface LoadOrder {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Clients take these in turn. */
  readonly keys: readonly string[];
  readonly clients: number;
  /** Each client asks again and again until then; 0: once. */
  readonly seconds: number;
  /** Clients begin one after the other within this: in rhythm they would stay in step. */
  readonly spreadMs: number;
}

export type LoadReport =
  /** Every client has its first token. */
  | { readonly kind: 'all-begun' }
  | { readonly kind: 'failed'; readonly message: string }
  | {
      readonly kind: 'done';
      readonly requests: number;
      readonly seconds: number;
      /** From the request to the first token, and between arrivals of tokens of one answer, in milliseconds. */
      readonly firstMs: readonly number[];
      readonly gapsMs: readonly number[];
    };

const body = JSON.stringify(requestBody);
const ANSWER_TIMEOUT_MS = 90_000;

/** The content of chunks; a cheap reading, for the load must not cost more than what it measures. */
const contentOf = (events: string): string =>
  [...events.matchAll(/"content":\s?"([^"]*)"/g)].map((match) => match[1]).join('');

/** One chat read to its end; `onTokens` is called at each arrival that brings tokens. Rejects when the answer is not whole. */
function ask(agent: Agent, order: LoadOrder, key: string, onTokens: () => void): Promise<void> {
  return new Promise((done, failed) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      authorization: `Bearer ${key}`,
      ...order.headers,
    };
    const options = { method: 'POST', agent, headers, timeout: ANSWER_TIMEOUT_MS };
    const request = httpRequest(`${order.url}/v1/chat/completions`, options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
        if (/"content":\s?"[^"]/.test(part)) onTokens();
      });
      response.on('error', failed);
      response.on('end', () => {
        if (contentOf(text) === answerText && text.includes('data: [DONE]')) done();
        else failed(new Error(`not the answer that was sent: ${response.statusCode} ${text.slice(-300)}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error('no token for too long')));
    request.on('error', failed);
    request.end(body);
  });
}

async function run(order: LoadOrder): Promise<LoadReport> {
  // Connections of this round alone: a server closes those that have been idle for some seconds.
  const agent = new Agent({ keepAlive: true });
  const firstMs: number[] = [];
  const gapsMs: number[] = [];
  const beganMs = performance.now();
  const untilMs = beganMs + order.seconds * 1_000;
  const client = async (_: unknown, i: number): Promise<void> => {
    const key = order.keys[i % order.keys.length] ?? '';
    await new Promise((done) => setTimeout(done, (i / order.clients) * order.spreadMs));
    do {
      const askedMs = performance.now();
      let lastMs: number | undefined;
      await ask(agent, order, key, () => {
        const nowMs = performance.now();
        if (lastMs === undefined) {
          firstMs.push(nowMs - askedMs);
          if (order.seconds === 0 && firstMs.length === order.clients) report({ kind: 'all-begun' });
        } else gapsMs.push(nowMs - lastMs);
        lastMs = nowMs;
      });
    } while (performance.now() < untilMs);
  };
  await Promise.all(Array.from({ length: order.clients }, client));
  agent.destroy();
  const seconds = (performance.now() - beganMs) / 1_000;
  return { kind: 'done', requests: firstMs.length, seconds, firstMs, gapsMs };
}

const report = (what: LoadReport): void => void process.send?.(what);

process.on('message', (order: LoadOrder) => {
  run(order).then(report, (error: unknown) =>
    report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });
