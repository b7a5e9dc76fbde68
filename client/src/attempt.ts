/** One request of a streamed chat, from asking or resuming to the end of its connection, and what that end means. */
import { ErrorBodySchema, failure } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import * as v from 'valibot';
import { failures, type ChatEvent, type ChatFailure } from './events.ts';
import { asFailure, type ReceivedAnswer } from './received.ts';
import { EventTooLarge, SseParser, type ServerEvent } from './sse.ts';

export interface Request {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly signal: AbortSignal;
  /** A connection silent for longer counts as lost: until the answer begins, and then between two pieces of it. */
  readonly firstSilenceMs: number;
  readonly silenceMs: number;
}

export type Ended =
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly failure: ChatFailure; readonly receipt: Receipt | null }
  /** The next attempt may go better, after `waitMs` at least. `reached`: the coordinator, or something before it, answered. */
  | {
      readonly kind: 'lost';
      readonly failure: ChatFailure;
      readonly waitMs: number;
      readonly reached: boolean;
    };

/** A coordinator that stops or starts says these; so does the gateway before one that is away. */
const restarting = new Set(['coordinator_restarted', 'shutting_down']);
const gatewayStatuses = new Set([502, 503, 504]);
/** These are for who asks to decide about, but an answer that is half there waits. */
const crowded = new Set(['queue_full', 'rate_limited']);

const lost = (failed: ChatFailure, reached: boolean, waitMs = 0): Ended => ({
  kind: 'lost',
  failure: failed,
  waitMs,
  reached,
});
const failed = (why: ChatFailure, receipt: Receipt | null = null): Ended => ({
  kind: 'failed',
  failure: why,
  receipt,
});

/** Yields what comes and adds it to `answer`. Whether the caller stopped it is for the caller to see: it then says `lost`. */
export async function* attempt(
  request: Request,
  answer: ReceivedAnswer,
): AsyncGenerator<ChatEvent, Ended, void> {
  const connection = new Connection(request.signal);
  const resumes = answer.resumable;
  try {
    const response = await connection.ask(request);
    if (response === undefined) return lost(failures.unreachable, false);
    if (!response.ok) {
      const body = await connection.json(response, request.silenceMs);
      return refusalOf(response, body, resumes !== undefined);
    }
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
    if (response.body === null || !isStream) return failed(failures.unreadable);
    if (resumes !== undefined) yield { type: 'resumed', jobId: resumes.jobId, tokens: answer.tokens };
    return yield* readStream(connection.chunks(response.body, request.silenceMs), answer);
  } finally {
    connection.close();
  }
}

/** A request under way that ends with the caller's signal, with `close`, or when nothing comes for too long. */
class Connection {
  readonly #own = new AbortController();
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = AbortSignal.any([signal, this.#own.signal]);
  }

  close(): void {
    this.#own.abort();
  }

  /** The head of the answer; undefined when there is none. */
  async ask(request: Request): Promise<Response | undefined> {
    const { url, headers, body, fetch } = request;
    // The key goes in the header alone; there are no cookies to send.
    const init = { method: 'POST', headers, body, credentials: 'omit', signal: this.#signal } as const;
    return this.#unlessSilent(() => fetch(url, init), request.firstSilenceMs);
  }

  /** The body of a refusal; undefined where it is not JSON. */
  json(response: Response, silenceMs: number): Promise<unknown> {
    return this.#unlessSilent(() => response.json() as Promise<unknown>, silenceMs);
  }

  /** Safari's streams can't be iterated yet. A broken connection ends the list. */
  async *chunks(body: ReadableStream<Uint8Array>, silenceMs: number): AsyncGenerator<Uint8Array, void, void> {
    const reader = body.getReader();
    try {
      for (;;) {
        const read = await this.#unlessSilent(() => reader.read(), silenceMs);
        if (read?.value === undefined) return;
        yield read.value;
      }
    } finally {
      // After an abort this rejects with the abort itself.
      await reader.cancel().catch(() => undefined);
    }
  }

  async #unlessSilent<Value>(work: () => Promise<Value>, silenceMs: number): Promise<Value | undefined> {
    const timer = setTimeout(() => this.close(), silenceMs);
    try {
      return await work();
    } catch {
      // Browsers say nothing about why a request failed, and every reason has the same remedy.
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

async function* readStream(
  chunks: AsyncIterable<Uint8Array>,
  answer: ReceivedAnswer,
): AsyncGenerator<ChatEvent, Ended, void> {
  const parser = new SseParser();
  for await (const bytes of chunks) {
    const events = eventsIn(parser, bytes);
    if (events === undefined) return failed(failures.unreadable);
    for (const { data } of events) {
      const reading = answer.read(data);
      if (reading.kind === 'end') return { kind: 'finished' };
      if (reading.kind === 'failed') {
        // With a receipt it is settled, so there is nothing to come back to.
        const goesOn = restarting.has(reading.failure.code) && reading.receipt === null;
        return goesOn ? lost(reading.failure, true) : failed(reading.failure, reading.receipt);
      }
      if (reading.text !== '') yield { type: 'text-delta', text: reading.text };
    }
  }
  // Without `[DONE]` the answer is whole if its proof came: that is the last thing said.
  return answer.finished?.receipt == null ? lost(failures.cut, true) : { kind: 'finished' };
}

function eventsIn(parser: SseParser, bytes: Uint8Array): ServerEvent[] | undefined {
  try {
    return parser.push(bytes);
  } catch (error) {
    if (error instanceof EventTooLarge) return undefined;
    throw error;
  }
}

/** The failure that a refusal carries; something between us and the coordinator may answer in another shape. */
function refusalOf({ status, headers }: Response, body: unknown, resuming: boolean): Ended {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  const asked = Number.isFinite(seconds) && seconds > 0 ? { retryAfterSeconds: Math.ceil(seconds) } : {};
  const waitMs = 1000 * (asked.retryAfterSeconds ?? 0);
  const parsed = v.safeParse(ErrorBodySchema, body);
  if (!parsed.success) {
    const why = { ...failure('internal', `The answer was an error page with status ${status}.`), ...asked };
    return gatewayStatuses.has(status) ? lost(why, true, waitMs) : failed(why);
  }
  const why = { ...asFailure(parsed.output.error), ...asked };
  const passes = restarting.has(why.code) || (resuming && crowded.has(why.code));
  return passes ? lost(why, true, waitMs) : failed(why);
}
