/**
 * Asks for a streamed answer and brings it home whole: when the connection breaks or the coordinator restarts, it connects
 * again by itself and goes on from the very token it has. Runs in browsers and in Node.
 */
import type { ChatRequestSchema } from '@tussah/protocol/chat-request';
import { hexOf } from '@tussah/protocol/bytes';
import { limits } from '@tussah/protocol/limits';
import type * as v from 'valibot';
import { attempt, type Ended, type Request } from './attempt.ts';
import { Outage, type BackOff } from './back-off.ts';
import { failures, type ChatEvent } from './events.ts';
import { ReceivedAnswer } from './received.ts';

type Wire = v.InferInput<typeof ChatRequestSchema>;

/** The body of a chat without what this client sets itself: streaming, usage and resuming. */
export type Question = Readonly<Omit<Wire, 'messages' | 'stream' | 'stream_options' | 'tussah'>> & {
  readonly messages: readonly Readonly<Wire['messages'][number]>[];
  readonly tussah?: Readonly<Omit<NonNullable<Wire['tussah']>, 'resumable' | 'resume'>>;
};

/** Times in milliseconds. */
export interface Reconnecting extends BackOff {
  /** What `totalMs` is until the coordinator has answered once: nobody waits a minute for a mistyped address. */
  readonly firstTotalMs: number;
  /** A connection over which nothing came for this long is given up. */
  readonly silenceMs: number;
}

export interface ChatOptions {
  /** Ends with `/v1`. The default suits a page that the coordinator itself serves. */
  readonly baseURL?: string;
  /** Null asks as a guest. */
  readonly apiKey?: string | null;
  /** Ends the answer, here and where it is made; what was delivered is charged. */
  readonly signal?: AbortSignal;
  /** One job however often it is asked for; drawn at random by default. */
  readonly idempotencyKey?: string;
  readonly fetch?: Request['fetch'];
  readonly reconnecting?: Partial<Reconnecting>;
}

export const defaultReconnecting: Reconnecting = {
  baseMs: 250,
  capMs: 5_000,
  totalMs: 60_000,
  firstTotalMs: 10_000,
  // Longer than an answer may rest while it moves to another contributor, which has to read the prompt first.
  silenceMs: limits.tokenSilenceMs + limits.firstTokenSilenceMs,
};

/**
 * Yields text as it comes, `resumed` after each break, and then exactly one of `finished`, `failed` and `stopped`. Expected
 * failures are events; it does not throw.
 */
export async function* streamChat(
  question: Question,
  options: ChatOptions = {},
): AsyncGenerator<ChatEvent, void, void> {
  const bounds = { ...defaultReconnecting, ...options.reconnecting };
  const signal = options.signal ?? new AbortController().signal;
  if (signal.aborted) {
    yield { type: 'stopped' };
    return;
  }
  // Before the first text there is nothing to go on from, so it asks again: the key lets it find the same job.
  const key = options.idempotencyKey ?? hexOf(crypto.getRandomValues(new Uint8Array(16)));
  const requests = requestsOf(question, options, bounds, key, signal);
  const answer = new ReceivedAnswer();
  let reached = false;
  let outage: Outage | undefined;
  let over = false;
  try {
    for (;;) {
      const before = answer.tokens;
      const ended = yield* attempt(requests(answer), answer);
      if (ended.kind !== 'lost') {
        over = true;
        yield endOf(answer, ended, signal);
        return;
      }
      reached ||= ended.reached;
      if (outage === undefined || answer.tokens > before) outage = new Outage(performance.now());
      const totalMs = reached ? bounds.totalMs : Math.min(bounds.totalMs, bounds.firstTotalMs);
      const waitMs = outage.next({ ...bounds, totalMs }, performance.now(), Math.random(), ended.waitMs);
      if (waitMs !== undefined) await pause(waitMs, signal);
      if (waitMs === undefined || signal.aborted) {
        yield endOf(answer, ended, signal);
        return;
      }
    }
  } finally {
    // Whoever leaves before the end wants no more of it; otherwise the coordinator would wait for a return.
    if (!over) void cancel(options, key);
  }
}

/** Tells the coordinator that nobody comes back. A page that is being closed still sends it; if it is lost, the wait ends it. */
async function cancel(options: ChatOptions, key: string): Promise<void> {
  const { baseURL, headers } = addressOf(options);
  const body = JSON.stringify({ idempotencyKey: key });
  const init = { method: 'POST', headers, body, credentials: 'omit', keepalive: true } as const;
  const response = await (options.fetch ?? fetch)(`${baseURL}/chat/completions/cancel`, init).catch(
    () => null,
  );
  await response?.body?.cancel();
}

const addressOf = ({ baseURL = '/v1', apiKey = null }: ChatOptions) => ({
  baseURL,
  headers: {
    'content-type': 'application/json',
    ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
  },
});

/** The last event. An answer whose end was said is whole, even if its proof was lost on the way. */
function endOf(answer: ReceivedAnswer, ended: Ended, signal: AbortSignal): ChatEvent {
  if (answer.finished !== undefined) return answer.finished;
  if (ended.kind === 'finished') throw new Error('an answer without a finish reason passed for finished');
  if (signal.aborted) return { type: 'stopped' };
  if (ended.kind === 'failed') return { type: 'failed', failure: ended.failure, receipt: ended.receipt };
  const failure = answer.tokens > 0 && !ended.reached ? failures.cut : ended.failure;
  return { type: 'failed', failure, receipt: null };
}

/** Makes the next request: the question, or the question with what has come of its answer. */
function requestsOf(
  question: Question,
  options: ChatOptions,
  { silenceMs }: Reconnecting,
  key: string,
  signal: AbortSignal,
): (answer: ReceivedAnswer) => Request {
  const { baseURL, headers: own } = addressOf(options);
  const headers = { ...own, accept: 'text/event-stream' };
  const waitMs = question.tussah?.maxWaitMs ?? limits.maxWaitMsDefault;
  return ({ resumable: resume }) => ({
    url: `${baseURL}/chat/completions`,
    headers: resume === undefined ? { ...headers, 'idempotency-key': key } : headers,
    body: JSON.stringify({
      ...question,
      stream: true,
      stream_options: { include_usage: true },
      tussah: { ...question.tussah, resumable: true, ...(resume === undefined ? {} : { resume }) },
    }),
    fetch: options.fetch ?? fetch,
    signal,
    firstSilenceMs: waitMs + silenceMs,
    silenceMs,
  });
}

/** Resolves early when the signal ends it. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
