/** The shape of a Hugging Face `tokenizer.json`, as far as we read it. */
import * as v from 'valibot';

export type TokenizerFailureCode = 'tokenizer_malformed' | 'tokenizer_unsupported';

const AddedTokenSchema = v.looseObject({
  id: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  content: v.pipe(v.string(), v.minLength(1)),
  special: v.optional(v.boolean(), false),
});

/** The members of a `tokenizer.json` that we read ourselves; the others go to the encoder untouched. */
export const TokenizerJsonSchema = v.looseObject({
  added_tokens: v.optional(v.array(AddedTokenSchema), []),
  decoder: v.nullish(v.looseObject({ type: v.string() })),
  model: v.looseObject({
    type: v.optional(v.string()),
    vocab: v.union([
      v.record(v.string(), v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
      v.array(v.tuple([v.string(), v.number()])),
    ]),
  }),
});
export type TokenizerJson = v.InferOutput<typeof TokenizerJsonSchema>;
