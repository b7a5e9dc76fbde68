/** The sealed request as the coordinator sees it (docs/private-tier.md, The sealed request). */
import * as v from 'valibot';
import { sha256Hex } from '../bytes.ts';
import { signedBytes } from '../canonical.ts';
import { JobIdSchema, Sha256Schema } from '../ids.ts';
import { limits } from '../limits.ts';
import { NanoSchema } from '../money.ts';
import { base64Of } from './base64.ts';
import { privateLimits } from './private-limits.ts';

export const suiteNames = ['xwing-hkdf-sha256-aes256gcm', 'x25519-hkdf-sha256-aes256gcm'] as const;
/** The stronger first. */
export const SuiteSchema = v.picklist(suiteNames);
export type SuiteName = v.InferOutput<typeof SuiteSchema>;

export const PaddingSchema = v.picklist(['none', 'buckets', 'paced']);
export type Padding = v.InferOutput<typeof PaddingSchema>;

const whole = (min: number, max: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max));

/** Canonical JSON, in which it is signed and hashed, has no form for a lone surrogate. */
export const ModelIdSchema = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(limits.modelIdCharacters),
  v.check((text) => text.isWellFormed(), 'contains a lone surrogate'),
);

/** A bundle's name: SHA-256 of its text. */
export const BundleNameSchema = Sha256Schema;

export const SealedHeaderSchema = v.strictObject({
  version: v.literal(1),
  suite: SuiteSchema,
  /** Drawn by the client. */
  jobId: JobIdSchema,
  model: ModelIdSchema,
  modelDigest: Sha256Schema,
  maxPromptTokens: whole(1, privateLimits.promptTokens),
  maxTokens: whole(1, limits.completionTokensMax),
  maxPriceNano: NanoSchema,
  padding: PaddingSchema,
  notAfterMs: whole(0, Number.MAX_SAFE_INTEGER),
  /** In the client's order. */
  candidates: v.pipe(
    v.array(BundleNameSchema),
    v.minLength(1),
    v.maxLength(privateLimits.candidates),
    v.check((names) => new Set(names).size === names.length, 'names a candidate twice'),
  ),
});
export type SealedHeader = v.InferOutput<typeof SealedHeaderSchema>;

export const WrapSchema = v.strictObject({
  /** HPKE's encapsulated key. */
  enc: base64Of(privateLimits.encBytes),
  /** The body key sealed to this candidate: 48 bytes. */
  wrapped: base64Of(48),
});
export type Wrap = v.InferOutput<typeof WrapSchema>;

/** `POST /v1/sealed/chat/completions`. */
export const SealedRequestSchema = v.pipe(
  v.strictObject({
    header: SealedHeaderSchema,
    wraps: v.pipe(v.array(WrapSchema), v.maxLength(privateLimits.candidates)),
    body: base64Of(privateLimits.bodyBytes),
  }),
  v.check(
    ({ header, wraps }) => wraps.length === header.candidates.length,
    'needs a wrap for each candidate',
  ),
);
export type SealedRequest = v.InferOutput<typeof SealedRequestSchema>;

/** HH of the specification, in hexadecimal. */
export const headerHashOf = (header: SealedHeader): string =>
  sha256Hex(signedBytes('tussah-header/1', header));
