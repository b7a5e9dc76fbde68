/** What `/v1/models` and `/v1/network` say. */
import * as v from 'valibot';
import { EngineNameSchema } from './engine-profile.ts';
import { NanoSchema, PriceSchema } from './money.ts';
import { TierSchema } from './sampling.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** OpenAI's model object, with what one needs to choose under `tussah`. */
export const ModelObjectSchema = v.object({
  id: v.string(),
  object: v.literal('model'),
  created: count,
  owned_by: v.string(),
  tussah: v.object({
    name: v.string(),
    family: v.string(),
    parameters: count,
    contextTokens: count,
    capabilities: v.array(v.string()),
    licence: v.object({ name: v.string(), url: v.string() }),
    price: PriceSchema,
    engines: v.array(EngineNameSchema),
    /** Contributors that hold the model now, and those of them that are free. */
    contributors: count,
    idle: count,
  }),
});
export type ModelObject = v.InferOutput<typeof ModelObjectSchema>;
export const ModelListSchema = v.object({ object: v.literal('list'), data: v.array(ModelObjectSchema) });

export const NetworkSchema = v.object({
  /** When this was counted, in milliseconds since 1970. */
  atMs: count,
  coordinator: v.string(),
  tiers: v.array(TierSchema),
  contributors: count,
  running: count,
  queued: count,
  answered: count,
  completionTokens: count,
  guests: v.object({ accepted: v.boolean(), remainingNano: NanoSchema }),
  /** Confidential nodes by model, and the lowest price asked; absent where the private tier is not offered. */
  nodes: v.optional(v.array(v.object({ model: v.string(), nodes: count, price: PriceSchema }))),
  models: v.array(
    v.object({
      id: v.string(),
      contributors: count,
      idle: count,
      queued: count,
      running: count,
      /** Median of the speeds of contributors that served jobs; null before the first. */
      tokensPerSecond: v.nullable(v.number()),
      /** Lowest price asked now by somebody ready to serve; null when nobody is. */
      price: v.nullable(PriceSchema),
      engines: v.array(EngineNameSchema),
    }),
  ),
});
export type Network = v.InferOutput<typeof NetworkSchema>;
