/** What `POST /v1/chat/completions` answers: OpenAI's shapes, with `tussah: { jobId, receipt }` at the end. */
import * as v from 'valibot';
import { ReceiptSchema } from './receipts.ts';
import { FinishReasonSchema, LogprobSchema, TokenIdSchema } from './sampling.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const UsageSchema = v.object({ prompt_tokens: count, completion_tokens: count, total_tokens: count });
export type Usage = v.InferOutput<typeof UsageSchema>;

const logprobs = v.nullable(v.object({ content: v.array(LogprobSchema), refusal: v.null() }));

/** The proof that goes with an answer. */
export const TussahResponseSchema = v.object({ jobId: v.string(), receipt: ReceiptSchema });

/** Which part of a resumable answer a chunk carries: `ids` are those of its text, `position` the first one's. */
export const TussahChunkSchema = v.object({
  jobId: v.string(),
  position: count,
  ids: v.array(TokenIdSchema),
});
export type TussahChunk = v.InferOutput<typeof TussahChunkSchema>;

export const ChatCompletionSchema = v.object({
  id: v.string(),
  object: v.literal('chat.completion'),
  created: count,
  model: v.string(),
  system_fingerprint: v.string(),
  choices: v.array(
    v.object({
      index: v.literal(0),
      message: v.object({ role: v.literal('assistant'), content: v.string(), refusal: v.null() }),
      logprobs,
      finish_reason: FinishReasonSchema,
    }),
  ),
  usage: UsageSchema,
  tussah: TussahResponseSchema,
});
export type ChatCompletion = v.InferOutput<typeof ChatCompletionSchema>;

export const ChatCompletionChunkSchema = v.object({
  id: v.string(),
  object: v.literal('chat.completion.chunk'),
  created: count,
  model: v.string(),
  system_fingerprint: v.string(),
  choices: v.array(
    v.object({
      index: v.literal(0),
      delta: v.object({ role: v.optional(v.literal('assistant')), content: v.optional(v.string()) }),
      logprobs: v.optional(logprobs),
      finish_reason: v.nullable(FinishReasonSchema),
    }),
  ),
  usage: v.optional(v.nullable(UsageSchema)),
  tussah: v.optional(v.union([TussahResponseSchema, TussahChunkSchema])),
});
export type ChatCompletionChunk = v.InferOutput<typeof ChatCompletionChunkSchema>;
