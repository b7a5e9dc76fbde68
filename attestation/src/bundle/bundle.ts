/** An attestation bundle: a node's statement with all evidence for it, and with everything stapled that verifying needs. */
import * as v from 'valibot';
import { StatementSchema } from '../binding/statement.ts';
import { parseJson } from '../bytes/json.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';
import { RevocationSchema } from '../nvidia/revocation.ts';
import { parseAs } from '../schema.ts';

const base64 = (bytes: number) => v.pipe(v.string(), v.maxLength(Math.ceil(bytes / 3) * 4));

const TdxPartSchema = v.strictObject({
  kind: v.literal('tdx'),
  quote: base64(limits.quoteBytes),
  /** As in `tdx/collateral.ts`; its shape is a step of the quote's verification. */
  collateral: v.unknown(),
  eventLog: v.optional(
    v.variant('format', [
      v.strictObject({ format: v.literal('dstack'), events: v.unknown() }),
      v.strictObject({ format: v.literal('ccel'), data: base64(limits.eventLogBytes) }),
    ]),
  ),
});
export type TdxPart = v.InferOutput<typeof TdxPartSchema>;

const SnpPartSchema = v.strictObject({
  kind: v.literal('snp'),
  report: base64(2048),
  vcek: base64(limits.derBytes),
  chain: base64(limits.derBytes),
  crl: base64(limits.derBytes),
});
export type SnpPart = v.InferOutput<typeof SnpPartSchema>;

const GpuPartSchema = v.strictObject({
  report: base64(limits.spdmBytes),
  certificates: base64(limits.derBytes),
  revocation: RevocationSchema,
});
export type GpuPart = v.InferOutput<typeof GpuPartSchema>;

export const BundleSchema = v.strictObject({
  version: v.literal(1),
  statement: StatementSchema,
  machine: v.variant('kind', [TdxPartSchema, SnpPartSchema]),
  gpus: v.pipe(v.array(GpuPartSchema), v.maxLength(limits.gpus)),
});
export type Bundle = v.InferOutput<typeof BundleSchema>;

/** Throws `Malformed`. */
export function parseBundle(text: string): Bundle {
  demand(text.length <= limits.bundleCharacters, `bundle: longer than ${limits.bundleCharacters} characters`);
  return parseAs(BundleSchema, parseJson(text, 'bundle'), 'bundle');
}
