/** How tokens are chosen, as OpenAI names it. Temperature 0 is greedy. Penalties count generated tokens only. */
import * as v from 'valibot';
import { limits } from './limits.ts';

export const SamplingSchema = v.strictObject({
  temperature: v.pipe(v.number(), v.minValue(0), v.maxValue(2)),
  topP: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
  presencePenalty: v.pipe(v.number(), v.minValue(-2), v.maxValue(2)),
  frequencyPenalty: v.pipe(v.number(), v.minValue(-2), v.maxValue(2)),
});
export type Sampling = v.InferOutput<typeof SamplingSchema>;

/** OpenAI's own defaults. */
export const defaultSampling: Sampling = {
  temperature: 1,
  topP: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
};

export const TokenIdSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xff_ffff));

const byte = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255));
// Finite: JSON reads 1e999 as infinity and writes that as null.
const probability = {
  token: v.pipe(
    v.string(),
    v.maxLength(limits.tokenBytes),
    v.check((text) => text.isWellFormed(), 'contains a lone surrogate'),
  ),
  logprob: v.pipe(v.number(), v.finite()),
  bytes: v.nullable(v.pipe(v.array(byte), v.maxLength(limits.tokenBytes))),
};

/** One token's log probability, OpenAI's shape; `bytes` are the token's UTF-8 bytes. */
export const LogprobSchema = v.strictObject({
  ...probability,
  top_logprobs: v.pipe(v.array(v.strictObject(probability)), v.maxLength(limits.topLogprobs)),
});
export type Logprob = v.InferOutput<typeof LogprobSchema>;

export const FinishReasonSchema = v.picklist(['stop', 'length']);
export type FinishReason = v.InferOutput<typeof FinishReasonSchema>;

export const TierSchema = v.picklist(['public', 'private']);
export type Tier = v.InferOutput<typeof TierSchema>;
