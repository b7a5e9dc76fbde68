/** Asks the coordinator and turns its stream into an answer's events. Expected failures are events; it does not throw. */
import { ChatCompletionChunkSchema, type ChatCompletionChunk } from '@tussah/protocol/chat-response';
import { ErrorBodySchema, failure, type Failure } from '@tussah/protocol/errors';
import * as v from 'valibot';
import type { AnswerEvent, AskFailure } from './answer.ts';
import { EventTooLarge, SseParser } from './sse.ts';

export interface Question {
  readonly model: string;
  readonly messages: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[];
}

export interface AskOptions {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Null asks as a guest. */
  readonly apiKey: string | null;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

/** OpenAI's default of 1 suits models of their size; small ones wander off. This is what Llama and Qwen advise. */
const TEMPERATURE = 0.6;

type Finished = Extract<AnswerEvent, { type: 'finished' }>;

const unreachable: Failure = {
  code: 'unreachable',
  message: 'The coordinator could not be reached.',
  remedy: 'Check your connection, then ask again.',
};
const cut: Failure = {
  code: 'stream_cut',
  message: 'The connection ended before the answer did. Only what you received is charged.',
  remedy: 'Check your connection, then ask again.',
};
const unreadable: Failure = {
  code: 'unreadable_answer',
  message: 'The coordinator sent something this page does not understand.',
  remedy: 'Reload the page to get its newest version, then ask again.',
};

/** Yields text as it comes, then exactly one of `finished`, `failed` and `stopped`. */
export async function* ask(question: Question, options: AskOptions): AsyncGenerator<AnswerEvent, void, void> {
  const { signal } = options;
  let began = false;
  try {
    const response = await options.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        ...(options.apiKey === null ? {} : { authorization: `Bearer ${options.apiKey}` }),
      },
      body: JSON.stringify({
        ...question,
        temperature: TEMPERATURE,
        stream: true,
        stream_options: { include_usage: true },
      }),
      // The key goes in the header alone; there are no cookies to send.
      credentials: 'omit',
      signal,
    });
    if (!response.ok) {
      yield { type: 'failed', failure: await failureOf(response) };
      return;
    }
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
    if (response.body === null || !isStream) {
      yield { type: 'failed', failure: unreadable };
      return;
    }
    began = true;
    yield* read(response.body, options.now);
  } catch (error) {
    if (signal.aborted) yield { type: 'stopped' };
    else if (error instanceof EventTooLarge) yield { type: 'failed', failure: unreadable };
    else yield { type: 'failed', failure: began ? cut : unreachable };
  }
}

async function* read(
  body: ReadableStream<Uint8Array>,
  now: () => number,
): AsyncGenerator<AnswerEvent, void, void> {
  const parser = new SseParser();
  let end: Partial<Finished> = {};
  for await (const bytes of chunksOf(body)) {
    for (const { data } of parser.push(bytes)) {
      if (data === '[DONE]') {
        yield finished(end);
        return;
      }
      const decoded = decode(data);
      if ('failure' in decoded) {
        yield { type: 'failed', failure: decoded.failure };
        return;
      }
      const { chunk } = decoded;
      const text = chunk.choices.map(({ delta }) => delta.content ?? '').join('');
      if (text !== '') yield { type: 'text-delta', text, atMs: now() };
      end = { ...end, ...endOf(chunk) };
    }
  }
  // Without `[DONE]` the answer is whole only if its end was said; a receipt is committed before it leaves.
  yield finished(end);
}

/** Safari's streams can't be iterated yet. Leaving the loop early cancels the stream. */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // After an abort this rejects with the abort itself, which was reported already.
    await reader.cancel().catch(() => undefined);
  }
}

function finished(end: Partial<Finished>): AnswerEvent {
  const { finishReason, usage = null, jobId = null, receipt = null } = end;
  if (finishReason === undefined) return { type: 'failed', failure: cut };
  return { type: 'finished', finishReason, usage, jobId, receipt };
}

/** What a chunk says about the end; usage, reason and receipt may come in one chunk or in several. */
function endOf(chunk: ChatCompletionChunk): Partial<Finished> {
  const finishReason = chunk.choices.find((choice) => choice.finish_reason !== null)?.finish_reason;
  return {
    ...(finishReason == null ? {} : { finishReason }),
    ...(chunk.usage == null ? {} : { usage: chunk.usage }),
    ...(chunk.tussah === undefined ? {} : chunk.tussah),
  };
}

function decode(data: string): { readonly chunk: ChatCompletionChunk } | { readonly failure: AskFailure } {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return { failure: unreadable };
  }
  const error = v.safeParse(ErrorBodySchema, value);
  if (error.success) return { failure: fromBody(error.output.error) };
  const chunk = v.safeParse(ChatCompletionChunkSchema, value);
  return chunk.success ? { chunk: chunk.output } : { failure: unreadable };
}

const fromBody = ({ code, message, remedy }: v.InferOutput<typeof ErrorBodySchema>['error']): Failure => ({
  code,
  message,
  remedy,
});

/** The failure that a refusal carries; something between us and the coordinator may answer in another shape. */
async function failureOf(response: Response): Promise<AskFailure> {
  const body: unknown = await response.json().catch(() => null);
  const parsed = v.safeParse(ErrorBodySchema, body);
  const known = parsed.success
    ? fromBody(parsed.output.error)
    : failure('internal', `The answer was an error page with status ${response.status}.`);
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds > 0
    ? { ...known, retryAfterSeconds: Math.ceil(seconds) }
    : known;
}
