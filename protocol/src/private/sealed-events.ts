/** Events of the answer to a sealed request, each the data of one server-sent event; `[DONE]` ends them. */
import * as v from 'valibot';
import { ErrorBodySchema } from '../errors.ts';
import { Sha256Schema } from '../ids.ts';
import { base64Of } from './base64.ts';
import { DirectoryHeadSchema, ProvenEntrySchema } from './directory.ts';
import { privateLimits } from './private-limits.ts';
import { PrivateReceiptSchema } from './private-receipt.ts';
import { SignedRefusalSchema } from './statements.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** That a candidate has left: its entry in a directory that goes on from the one the client chose from. */
export const DepartureSchema = v.strictObject({
  head: DirectoryHeadSchema,
  ...ProvenEntrySchema.entries,
});
export type Departure = v.InferOutput<typeof DepartureSchema>;

/** Why a candidate was passed by. */
export const SkipSchema = v.union([SignedRefusalSchema, DepartureSchema]);
export type Skip = v.InferOutput<typeof SkipSchema>;

export const SealedEventSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('chunk'),
    index: v.pipe(count, v.maxValue(privateLimits.chunks)),
    data: base64Of(privateLimits.chunkBytes),
    last: v.boolean(),
  }),
  v.strictObject({
    type: v.literal('assigned'),
    /** Place in the header's candidates. */
    candidate: v.pipe(count, v.maxValue(privateLimits.candidates - 1)),
    /** 32 bytes, hexadecimal. */
    responseNonce: Sha256Schema,
    skipped: v.pipe(v.array(SkipSchema), v.maxLength(privateLimits.candidates - 1)),
  }),
  v.strictObject({ type: v.literal('receipt'), receipt: PrivateReceiptSchema }),
  v.strictObject({
    type: v.literal('failed'),
    error: ErrorBodySchema.entries.error,
    /** Of candidates that refused, for whoever has none left. */
    skipped: v.pipe(v.array(SkipSchema), v.maxLength(privateLimits.candidates)),
  }),
]);
export type SealedEvent = v.InferOutput<typeof SealedEventSchema>;
