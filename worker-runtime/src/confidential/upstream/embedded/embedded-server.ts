/**
 * An OpenAI-compatible server for the bundled model, as small as the node needs it: chat completions as a stream, the list
 * of models, counting a prompt, its version. For development on loopback; it keeps and logs nothing.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { limits } from '@tussah/protocol/limits';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import * as v from 'valibot';
import { readText } from '../local-http.ts';
import type { EmbeddedModel } from './embedded-model.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const MessagesSchema = v.pipe(
  v.array(v.object({ role: v.picklist(['system', 'user', 'assistant']), content: v.string() })),
  v.minLength(1),
  v.maxLength(limits.messagesPerRequest + 1),
);
const prompt = {
  model: v.string(),
  messages: MessagesSchema,
  continue_final_message: v.optional(v.boolean(), false),
};
const TokenizeSchema = v.object(prompt);
const CompletionSchema = v.object({
  ...prompt,
  stream: v.literal(true),
  max_tokens: count,
  temperature: v.optional(v.pipe(v.number(), v.minValue(0)), 1),
  top_p: v.optional(v.number(), 1),
  presence_penalty: v.optional(v.number(), 0),
  frequency_penalty: v.optional(v.number(), 0),
  stop: v.optional(v.array(v.string()), []),
  seed: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
});

/** Escapes in JSON may double a text. */
const BODY_BYTES = 4 * privateLimits.bodyBytes;

export function embeddedServer(model: EmbeddedModel, version: string): Server {
  const server = createServer((request, response) => {
    handle(model, version, request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else refuse(response, 500, 'the model failed');
    });
  });
  // Counting and answering come over the same few connections.
  server.keepAliveTimeout = 60_000;
  return server;
}

async function handle(
  model: EmbeddedModel,
  version: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  switch (`${request.method} ${request.url}`) {
    case 'GET /version':
      return json(response, 200, { server: 'tussah-embedded', version });
    case 'GET /v1/models':
      return json(response, 200, {
        object: 'list',
        data: [{ id: model.id, object: 'model', owned_by: 'tussah', max_model_len: model.contextTokens }],
      });
    case 'POST /tokenize':
      return tokenize(model, await read(request), response);
    case 'POST /v1/chat/completions':
      return complete(model, await read(request), response);
    default:
      return refuse(response, 404, 'not found');
  }
}

async function read(request: IncomingMessage): Promise<unknown> {
  const text = await readText(request, BODY_BYTES);
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function tokenize(model: EmbeddedModel, body: unknown, response: ServerResponse): void {
  const parsed = v.safeParse(TokenizeSchema, body);
  const ids = parsed.success ? promptIds(model, parsed.output) : undefined;
  if (ids === undefined) return refuse(response, 400, 'bad request');
  if (!ids.ok) return refuse(response, 400, ids.failure.code);
  json(response, 200, { count: ids.value.length, max_model_len: model.contextTokens });
}

function promptIds(model: EmbeddedModel, asked: v.InferOutput<typeof TokenizeSchema>) {
  const { messages, continue_final_message: goesOn } = asked;
  return goesOn
    ? model.prompt(messages.slice(0, -1), messages.at(-1)?.content ?? '')
    : model.prompt(messages, null);
}

async function complete(model: EmbeddedModel, body: unknown, response: ServerResponse): Promise<void> {
  const parsed = v.safeParse(CompletionSchema, body);
  if (!parsed.success) return refuse(response, 400, 'bad request');
  const asked = parsed.output;
  if (asked.model !== model.id) return refuse(response, 404, 'no such model');
  const ids = promptIds(model, asked);
  if (!ids.ok) return refuse(response, 400, ids.failure.code);
  if (ids.value.length + asked.max_tokens > model.contextTokens)
    return refuse(response, 400, 'context_length_exceeded');
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const event = (value: unknown) => response.write(`data: ${JSON.stringify(value)}\n\n`);
  const completed = await model.complete(
    {
      ids: ids.value,
      maxTokens: asked.max_tokens,
      sampling: {
        temperature: asked.temperature,
        topP: asked.top_p,
        presencePenalty: asked.presence_penalty,
        frequencyPenalty: asked.frequency_penalty,
      },
      stop: asked.stop,
      seed: asked.seed ?? null,
      earlier: asked.continue_final_message ? (asked.messages.at(-1)?.content ?? '') : '',
    },
    (text) => event(chunk({ content: text }, null)),
    gone.signal,
  );
  if (gone.signal.aborted) return;
  event(chunk({}, completed.finishReason));
  const usage = {
    prompt_tokens: ids.value.length,
    completion_tokens: completed.completionTokens,
    total_tokens: ids.value.length + completed.completionTokens,
  };
  event({ object: 'chat.completion.chunk', choices: [], usage });
  response.end('data: [DONE]\n\n');
}

const chunk = (delta: object, finish_reason: string | null) => ({
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta, finish_reason }],
});

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

const refuse = (response: ServerResponse, status: number, message: string): void =>
  json(response, status, { error: { message } });
