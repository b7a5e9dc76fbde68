/**
 * A `fetch` for OpenAI's own client library: its chat completions become private chats, whole or streamed. Reading the catalogue
 * passes through; whatever else is asked is refused here, since it could carry a question in the clear.
 */
import { failure } from '@tussah/protocol/errors';
import type { Question } from '../chat-stream.ts';
import type { Fetch } from '../connection.ts';
import { ChunkWriter, completionOf, refusalResponse, type Head } from './openai-shapes.ts';
import type { PrivateChatOptions, PrivateClient } from './private-client.ts';
import type { PrivateEvent } from './private-events.ts';
import { readQuestion } from './question.ts';

export interface PrivateFetchOptions extends Pick<PrivateChatOptions, 'padding'> {
  /** For what passes through. */
  readonly fetch?: Fetch;
}

/** What may go to the coordinator as it is; it has no body. */
const catalogue = /^\/(?:models(?:\/[^/]+)?|network|receipts\/[^/]+)$/;

/** Takes requests below the client's `baseURL`, which has to be absolute for it. */
export function privateFetch(
  client: PrivateClient,
  options: PrivateFetchOptions = {},
): (input: string | URL | Request, init?: RequestInit) => Promise<Response> {
  const base = new URL(client.baseURL);
  return async (input, init) => {
    const request = new Request(input, init);
    // A request's own signal follows the one it was made with only as long as nobody collects the request.
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
    const stopping = signal === undefined ? {} : { signal };
    const { origin, pathname } = new URL(request.url);
    const below = origin === base.origin && pathname.startsWith(`${base.pathname}/`);
    const path = below ? pathname.slice(base.pathname.length) : '';
    if (request.method === 'POST' && path === '/chat/completions') {
      const body = (await request.json().catch(() => undefined)) as unknown;
      if (body === undefined) return refusalResponse(failure('invalid_json'));
      return answerPrivately(client, body, { ...options, ...stopping });
    }
    if (request.method !== 'GET' || !catalogue.test(path))
      return refusalResponse(
        failure('not_found', 'Only chat completions and the catalogue are served here.'),
      );
    return (options.fetch ?? fetch)(request.url, {
      headers: request.headers,
      ...stopping,
      redirect: 'error',
    });
  };
}

/**
 * Answers the decoded body of a chat completion. Failures have OpenAI's shape; those before the first text a status, too. As of any
 * `fetch`, the signal's reason is what it rejects with, or what the body breaks off with.
 */
export async function answerPrivately(
  client: PrivateClient,
  body: unknown,
  options: PrivateChatOptions = {},
): Promise<Response> {
  const read = readQuestion(body);
  if (!read.ok) return refusalResponse(read.failure);
  const { stream, stream_options: _, ...question } = body as Question & Record<string, unknown>;
  const { model, includeUsage } = read.value;
  const head: Head = { model, created: Math.floor(Date.now() / 1000), includeUsage };
  const left = new AbortController();
  const signal = AbortSignal.any([left.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const events = client.chat(question, { ...options, signal });
  return stream === true ? streamed(events, head, left, signal) : whole(events, head, signal);
}

async function whole(
  events: AsyncIterable<PrivateEvent>,
  head: Head,
  signal: AbortSignal,
): Promise<Response> {
  let text = '';
  for await (const event of events) {
    if (event.type === 'text-delta') text += event.text;
    if (event.type === 'stopped') throw signal.reason;
    if (event.type === 'failed' && event.text !== 'whole') return refusalResponse(event.failure);
    if (event.type === 'failed' || event.type === 'finished')
      return new Response(JSON.stringify(completionOf(head, text, event)), {
        headers: { 'content-type': 'application/json', ...jobHeader(event.jobId) },
      });
  }
  throw new Error('a chat without an end');
}

/** The status waits for the first text, so that what fails before it has its own. */
async function streamed(
  events: AsyncGenerator<PrivateEvent, void, void>,
  head: Head,
  left: AbortController,
  signal: AbortSignal,
): Promise<Response> {
  let jobId: string | null = null;
  for (;;) {
    const { done, value: event } = await events.next();
    if (done === true) throw new Error('a chat without an end');
    if (event.type === 'stopped') throw signal.reason;
    if (event.type === 'failed' && event.text !== 'whole') return refusalResponse(event.failure);
    if (event.type === 'assigned') jobId = event.jobId;
    if (event.type === 'verified' || event.type === 'assigned' || event.type === 'continued') continue;
    const lines = linesOf(event, events, new ChunkWriter(head, jobId));
    return new Response(streamOf(lines, left, signal), {
      headers: {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        ...jobHeader(jobId),
      },
    });
  }
}

async function* linesOf(
  first: PrivateEvent,
  rest: AsyncGenerator<PrivateEvent, void, void>,
  chunks: ChunkWriter,
): AsyncGenerator<string, void, void> {
  try {
    yield chunks.begin();
    for (let event: PrivateEvent | undefined = first; event !== undefined; event = await nextOf(rest)) {
      if (event.type === 'text-delta') yield chunks.text(event.text);
      else if (event.type === 'finished' || (event.type === 'failed' && event.text === 'whole'))
        yield chunks.end(event);
      else if (event.type === 'failed') yield chunks.failed(event.failure);
    }
  } finally {
    await rest.return();
  }
}

async function nextOf(events: AsyncGenerator<PrivateEvent, void, void>): Promise<PrivateEvent | undefined> {
  const next = await events.next();
  return next.done === true ? undefined : next.value;
}

/** Made as it is read; whoever stops reading ends the chat. */
function streamOf(
  lines: AsyncGenerator<string, void, void>,
  left: AbortController,
  signal: AbortSignal,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  // The caller's signal may last for long: nothing of this answer stays with it.
  const ended = new AbortController();
  return new ReadableStream({
    start(controller) {
      const stop = () => {
        // One that nobody asks for more would never hear of the end.
        void lines.return();
        controller.error(signal.reason);
      };
      signal.addEventListener('abort', stop, { signal: ended.signal });
    },
    async pull(controller) {
      const next = await lines.next();
      if (signal.aborted) return;
      if (next.done !== true) return controller.enqueue(encoder.encode(next.value));
      ended.abort();
      controller.close();
    },
    cancel: () => left.abort(),
  });
}

const jobHeader = (jobId: string | null): Record<string, string> =>
  jobId === null ? {} : { 'x-tussah-job-id': jobId };
