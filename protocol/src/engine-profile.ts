/** What an engine can promise about its tokens; part of each segment of a receipt. */
import * as v from 'valibot';

export const EngineNameSchema = v.picklist(['webllm', 'wllama', 'fake']);
export type EngineName = v.InferOutput<typeof EngineNameSchema>;

export const EngineProfileSchema = v.strictObject({
  engine: EngineNameSchema,
  /** Version of the engine's package. */
  version: v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,32}$/, 'not a version')),
  /** What an answer is continued from: exact token ids, or text that the engine tokenises again. */
  prefix: v.picklist(['ids', 'text']),
  /** Tokens that share one seed of the schedule. */
  seedBlock: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(256)),
  /** Whether another machine reproduces the same tokens from the same seeds. */
  replay: v.picklist(['bit-exact', 'same-device']),
});
export type EngineProfile = v.InferOutput<typeof EngineProfileSchema>;
