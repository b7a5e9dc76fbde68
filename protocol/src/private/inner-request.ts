/** What only client and node see: the request inside the seal, and what chunks of the answer say. */
import * as v from 'valibot';
import { JobIdSchema } from '../ids.ts';
import { limits } from '../limits.ts';
import { FinishReasonSchema, SamplingSchema } from '../sampling.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = (characters: number) =>
  v.pipe(
    v.string(),
    v.maxLength(characters),
    v.check((value) => value.isWellFormed(), 'contains a lone surrogate'),
  );

export const InnerRequestSchema = v.strictObject({
  version: v.literal(1),
  jobId: JobIdSchema,
  model: text(limits.modelIdCharacters),
  maxTokens: v.pipe(count, v.minValue(1), v.maxValue(limits.completionTokensMax)),
  messages: v.pipe(
    v.array(
      v.strictObject({
        role: v.picklist(['system', 'user', 'assistant']),
        content: text(limits.messageCharacters),
      }),
    ),
    v.minLength(1),
    v.maxLength(limits.messagesPerRequest),
  ),
  sampling: SamplingSchema,
  stop: v.pipe(v.array(text(limits.stopStringCharacters)), v.maxLength(limits.stopStrings)),
  seed: v.nullable(v.pipe(v.number(), v.safeInteger())),
  /** The answer so far, which the node goes on with. */
  continuation: v.nullable(v.strictObject({ text: text(limits.messageCharacters) })),
});
export type InnerRequest = v.InferOutput<typeof InnerRequestSchema>;

export const innerFailures = ['upstream_failed', 'too_long', 'unsupported'] as const;

/** `{}` is cover. Nothing but cover follows `end` or `failed`. */
export const ChunkPayloadSchema = v.strictObject({
  text: v.optional(text(limits.textPerDelta)),
  end: v.optional(
    v.strictObject({ finishReason: FinishReasonSchema, promptTokens: count, completionTokens: count }),
  ),
  failed: v.optional(v.strictObject({ code: v.picklist(innerFailures) })),
});
export type ChunkPayload = v.InferOutput<typeof ChunkPayloadSchema>;
