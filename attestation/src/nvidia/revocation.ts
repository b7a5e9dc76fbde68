/** What says that none of a GPU's certificates is revoked: one of two things. */
import * as v from 'valibot';
import { limits } from '../limits.ts';
import type { Unused } from '../verdict.ts';

const compact = v.pipe(v.string(), v.maxLength(limits.tokenCharacters));

/** `[["JWT", overall], {"GPU-0": token}]`, as NVIDIA's remote attestation service answers. */
export const DetachedEatSchema = v.strictTuple([
  v.strictTuple([v.literal('JWT'), compact]),
  v.record(v.string(), compact),
]);
export type DetachedEat = v.InferOutput<typeof DetachedEatSchema>;

export const RevocationSchema = v.union([
  /** OCSP responses, DER in base64, together for all certificates between leaf and root. */
  v.strictObject({
    ocsp: v.pipe(
      v.array(v.pipe(v.string(), v.maxLength(limits.derBytes))),
      v.maxLength(limits.ocspResponses),
    ),
  }),
  v.strictObject({ nras: DetachedEatSchema }),
]);
export type Revocation = v.InferOutput<typeof RevocationSchema>;

/** What was found in it. */
export interface Staple extends Unused {
  /** The moments at which answers or tokens were given. */
  readonly givenAtMs: readonly number[];
}
export const noStaple: Staple = { givenAtMs: [], unused: [] };
