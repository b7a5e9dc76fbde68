/** One request of a streamed chat, from asking or resuming to the end of its connection, and what that end means. */
import { ErrorBodySchema, failure } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import * as v from 'valibot';
import { Connection, retryAfterOf, type Fetch } from './connection.ts';
import { failures, type ChatEvent, type ChatFailure } from './events.ts';
import { asFailure, type ReceivedAnswer } from './received.ts';
import { EventTooLarge, SseParser, type ServerEvent } from './sse.ts';

export interface Request {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly fetch: Fetch;
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

const REFUSAL_BYTES = 65_536;

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
  const { url, headers, body, fetch, silenceMs } = request;
  const connection = new Connection(request.signal);
  const resumes = answer.resumable;
  try {
    const response = await connection.ask(
      fetch,
      url,
      { method: 'POST', headers, body },
      request.firstSilenceMs,
    );
    if (response === undefined) return lost(failures.unreachable, false);
    if (!response.ok) {
      const refusal = await connection.json(response, REFUSAL_BYTES, silenceMs);
      return refusalOf(response, refusal, resumes !== undefined);
    }
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
    if (response.body === null || !isStream) return failed(failures.unreadable);
    if (resumes !== undefined) yield { type: 'resumed', jobId: resumes.jobId, tokens: answer.tokens };
    return yield* readStream(connection.chunks(response.body, silenceMs), answer);
  } finally {
    connection.close();
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
function refusalOf(response: Response, body: unknown, resuming: boolean): Ended {
  const { status } = response;
  const asked = retryAfterOf(response);
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
