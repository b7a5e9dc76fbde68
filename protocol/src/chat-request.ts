/**
 * `POST /v1/chat/completions`: OpenAI's request, read leniently, turned into one exact internal form. What can't be
 * honoured is refused by name, never ignored; neutral values of unsupported parameters (null, `n: 1`, `tools: []`) pass.
 */
import * as v from 'valibot';
import { fail, failure, ok, type ErrorCode, type Result } from './errors.ts';
import { JobIdSchema } from './ids.ts';
import { limits } from './limits.ts';
import { NanoSchema } from './money.ts';
import { defaultSampling, TierSchema, TokenIdSchema, type Sampling, type Tier } from './sampling.ts';

const nullish = <Schema extends v.GenericSchema>(schema: Schema) => v.optional(v.nullable(schema));
const whole = (min: number, max: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max));
const between = (min: number, max: number) => v.pipe(v.number(), v.minValue(min), v.maxValue(max));
/** Lone surrogates have no UTF-8 and no canonical form (RFC 8785), so no tokens and no hash. */
const wellFormed = v.check((text: string) => text.isWellFormed(), 'contains a lone surrogate');
const content = v.pipe(v.string(), v.maxLength(limits.messageCharacters), wellFormed);

const TextPartSchema = v.strictObject({ type: v.literal('text'), text: content });
/** Left in assistant messages that clients send back as they got them; only empty values mean nothing. */
const empty = nullish(v.pipe(v.array(v.unknown()), v.maxLength(0)));

const MessageSchema = v.strictObject({
  role: v.picklist(['system', 'developer', 'user', 'assistant']),
  content: v.union([
    content,
    v.pipe(v.array(TextPartSchema), v.minLength(1), v.maxLength(limits.messagesPerRequest)),
  ]),
  refusal: v.optional(v.null()),
  annotations: empty,
  tool_calls: empty,
  audio: v.optional(v.null()),
  function_call: v.optional(v.null()),
});

/** Our extension: where to run, and what the client demands at least. */
export const TussahRequestSchema = v.strictObject({
  tier: nullish(TierSchema),
  /** The job is refused if it could cost more. */
  maxPriceNano: nullish(NanoSchema),
  /** Contributors that usually take longer to the first token are not used. */
  maxTtftMs: nullish(whole(1, 600_000)),
  minTokensPerSecond: nullish(between(0, 100_000)),
  /** How long the job may wait for a contributor; 0 refuses at once when none is free. */
  maxWaitMs: nullish(whole(0, limits.maxWaitMsMax)),
  /** Chunks then say which token ids they carry, so that the answer can be resumed after a lost connection or a restart. */
  resumable: nullish(v.boolean()),
  /** Goes on with the answer to this very request, sent before: its job, and all ids received so far. */
  resume: nullish(
    v.strictObject({
      jobId: JobIdSchema,
      ids: v.pipe(v.array(TokenIdSchema), v.maxLength(limits.completionTokensMax)),
    }),
  ),
});

const StopStringSchema = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(limits.stopStringCharacters),
  wellFormed,
);

/** The header `Idempotency-Key`. */
export const IdempotencyKeySchema = v.pipe(
  v.string(),
  v.regex(/^[\x21-\x7e]+$/, 'not visible ASCII'),
  v.maxLength(limits.idempotencyKeyCharacters),
);

/** Which answer to cancel: by its id, or by the key that it was asked for with. */
export const CancelRequestSchema = v.union([
  v.strictObject({ jobId: JobIdSchema }),
  v.strictObject({ idempotencyKey: IdempotencyKeySchema }),
]);

export const ChatRequestSchema = v.strictObject({
  model: v.pipe(v.string(), v.minLength(1), v.maxLength(limits.modelIdCharacters), wellFormed),
  messages: v.pipe(v.array(MessageSchema), v.minLength(1), v.maxLength(limits.messagesPerRequest)),
  stream: nullish(v.boolean()),
  stream_options: nullish(
    v.strictObject({ include_usage: nullish(v.boolean()), include_obfuscation: nullish(v.literal(false)) }),
  ),
  temperature: nullish(between(0, 2)),
  top_p: nullish(between(0, 1)),
  max_tokens: nullish(whole(1, limits.completionTokensMax)),
  max_completion_tokens: nullish(whole(1, limits.completionTokensMax)),
  stop: nullish(
    v.union([StopStringSchema, v.pipe(v.array(StopStringSchema), v.maxLength(limits.stopStrings))]),
  ),
  seed: nullish(v.pipe(v.number(), v.safeInteger())),
  presence_penalty: nullish(between(-2, 2)),
  frequency_penalty: nullish(between(-2, 2)),
  logprobs: nullish(v.boolean()),
  top_logprobs: nullish(whole(0, limits.topLogprobs)),
  user: nullish(v.pipe(v.string(), v.maxLength(limits.userCharacters), wellFormed)),
  n: nullish(v.literal(1)),
  tussah: nullish(TussahRequestSchema),
  // Parameters of OpenAI's API that no engine here honours; their neutral values are accepted.
  response_format: nullish(v.strictObject({ type: v.literal('text') })),
  tools: empty,
  functions: empty,
  tool_choice: nullish(v.literal('none')),
  parallel_tool_calls: nullish(v.boolean()),
  logit_bias: nullish(v.strictObject({})),
  store: nullish(v.literal(false)),
  service_tier: nullish(v.picklist(['auto', 'default'])),
  modalities: nullish(v.strictTuple([v.literal('text')])),
});

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** A request after reading: defaults filled in, synonyms joined. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly sampling: Sampling;
  /** Undefined: as many as the context and the coordinator's default allow. */
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  readonly seed: number | undefined;
  readonly topLogprobs: number | null;
  readonly user: string | undefined;
  readonly tier: Tier;
  readonly maxPriceNano: bigint | undefined;
  readonly maxTtftMs: number | undefined;
  readonly minTokensPerSecond: number | undefined;
  readonly maxWaitMs: number;
  readonly resumable: boolean;
  readonly resume: { readonly jobId: string; readonly ids: readonly number[] } | undefined;
}

/** Fields whose presence with a meaningful value is a request for something that is not offered. */
const unsupported = new Set([
  'response_format',
  'tools',
  'functions',
  'tool_choice',
  'logit_bias',
  'store',
  'service_tier',
  'modalities',
  'n',
]);

/** Reads a decoded JSON body. Fails with `invalid_request` or `unsupported_parameter`, naming the field. */
export function readChatRequest(input: unknown): Result<ChatRequest, ErrorCode> {
  const parsed = v.safeParse(ChatRequestSchema, input, { abortEarly: true });
  if (!parsed.success) return fail(explain(parsed.issues[0]));
  const body = parsed.output;
  const { max_tokens: older, max_completion_tokens: newer } = body;
  if (older != null && newer != null && older !== newer)
    return fail(failure('invalid_request', 'max_tokens and max_completion_tokens differ.', 'max_tokens'));
  if (body.top_logprobs != null && body.logprobs !== true)
    return fail(failure('invalid_request', 'top_logprobs needs logprobs: true.', 'top_logprobs'));
  if (body.stream_options != null && body.stream !== true)
    return fail(failure('invalid_request', 'stream_options needs stream: true.', 'stream_options'));
  const tussah = body.tussah ?? {};
  if (tussah.resumable === true && body.stream !== true)
    return fail(failure('invalid_request', 'tussah.resumable needs stream: true.', 'tussah.resumable'));
  if (tussah.resume != null && tussah.resumable !== true)
    return fail(failure('invalid_request', 'tussah.resume needs tussah.resumable: true.', 'tussah.resume'));
  return ok({
    model: body.model,
    messages: body.messages.map(readMessage),
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    sampling: {
      temperature: body.temperature ?? defaultSampling.temperature,
      topP: body.top_p ?? defaultSampling.topP,
      presencePenalty: body.presence_penalty ?? 0,
      frequencyPenalty: body.frequency_penalty ?? 0,
    },
    maxTokens: newer ?? older ?? undefined,
    stop: body.stop == null ? [] : typeof body.stop === 'string' ? [body.stop] : body.stop,
    seed: body.seed ?? undefined,
    topLogprobs: body.logprobs === true ? (body.top_logprobs ?? 0) : null,
    user: body.user ?? undefined,
    tier: tussah.tier ?? 'public',
    maxPriceNano: tussah.maxPriceNano == null ? undefined : BigInt(tussah.maxPriceNano),
    maxTtftMs: tussah.maxTtftMs ?? undefined,
    minTokensPerSecond: tussah.minTokensPerSecond ?? undefined,
    maxWaitMs: tussah.maxWaitMs ?? limits.maxWaitMsDefault,
    resumable: tussah.resumable ?? false,
    resume: tussah.resume ?? undefined,
  });
}

function readMessage(message: v.InferOutput<typeof MessageSchema>): ChatMessage {
  const { role, content } = message;
  return {
    role: role === 'developer' ? 'system' : role,
    content: typeof content === 'string' ? content : content.map((part) => part.text).join(''),
  };
}

/** Message fields and content types of OpenAI's API whose meaning would be lost. */
const unsupportedInMessages = new Set([
  'refusal',
  'annotations',
  'tool_calls',
  'audio',
  'function_call',
  'type',
]);

type Path = readonly unknown[];

/** Says what was expected where. Valibot's own sentence quotes what it got, which may be a prompt. */
function explain(issue: v.BaseIssue<unknown>) {
  const { path, cause } = furthest(issue);
  const param = path.length === 0 ? undefined : path.map(pathItem).join('').replace(/^\./, '').slice(0, 120);
  const missing = cause.received === 'undefined' && cause.expected === `"${String(path.at(-1))}"`;
  if (missing) return failure('invalid_request', `${param} is missing.`, param);
  if (cause.expected === 'never' || asksForUnsupported(path))
    return failure('unsupported_parameter', `${param ?? 'A parameter'} cannot be honoured.`, param);
  return failure('invalid_request', `${param ?? 'The body'}: ${sentence(cause)}.`, param);
}

/** Of a union's alternatives, the one that was followed into the value, so that the path leads to the fault. */
function furthest(issue: v.BaseIssue<unknown>): {
  readonly path: Path;
  readonly cause: v.BaseIssue<unknown>;
} {
  const path = (issue.path ?? []).map((item) => item.key);
  const inner = issue.issues?.find((candidate) => candidate.path !== undefined);
  if (inner === undefined) return { path, cause: issue };
  const further = furthest(inner);
  return { path: [...path, ...further.path], cause: further.cause };
}

/** Names are shown only where they look like names: anything else could be part of a prompt. */
function pathItem(key: unknown): string {
  if (typeof key === 'number') return `[${key}]`;
  return typeof key === 'string' && /^[\w$-]{1,64}$/.test(key) ? `.${key}` : '.?';
}

function asksForUnsupported(path: Path): boolean {
  const [field, , inMessage] = path;
  if (field !== 'messages') return typeof field === 'string' && unsupported.has(field);
  const last = inMessage === 'content' ? path.at(-1) : inMessage;
  return typeof last === 'string' && unsupportedInMessages.has(last);
}

function sentence(cause: v.BaseIssue<unknown>): string {
  // The messages of our own checks are constants.
  if (cause.type === 'check' || cause.type === 'regex') return cause.message;
  if (cause.type === 'safe_integer') return 'expected a whole number';
  const length = cause.type === 'min_length' || cause.type === 'max_length' ? 'length ' : '';
  return `expected ${length}${cause.expected ?? 'another value'}`;
}
