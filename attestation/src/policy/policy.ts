/**
 * What a verifier accepts, as a file. Every member has to be written out, apart from those that only narrow further: a policy
 * is read by people, and what is not in it is refused.
 */
import { fail, ok, type Result } from '@tussah/protocol/errors';
import * as v from 'valibot';
import { parseJson } from '../bytes/json.ts';
import { limits } from '../limits.ts';
import { demand, Malformed } from '../malformed.ts';
import { parseAs } from '../schema.ts';

const hex = (bytes: number) =>
  v.pipe(
    v.string(),
    v.regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `not ${bytes} bytes in lowercase hexadecimal`),
  );
const list = <Schema extends v.GenericSchema>(item: Schema) =>
  v.pipe(v.array(item), v.maxLength(limits.policyEntries));
const someOf = <Schema extends v.GenericSchema>(item: Schema) => v.pipe(list(item), v.minLength(1));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const moment = v.pipe(v.string(), v.isoTimestamp());
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(128));

/** What Intel says of a platform, PCS API "TCB Info V3", `tcbStatus`; `Revoked` can't be accepted. */
export const tdxStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
] as const;
export const snpProducts = ['Milan', 'Genoa', 'Turin'] as const;
export type SnpProduct = (typeof snpProducts)[number];
export const gpuModes = ['passthrough', 'protected-pcie'] as const;
export type GpuMode = (typeof gpuModes)[number];

const TdxImageSchema = v.strictObject({
  mrTd: hex(48),
  rtmr: v.strictTuple([hex(48), hex(48), hex(48), hex(48)]),
  /** Zero unless written out. */
  mrConfigId: v.optional(hex(48), '00'.repeat(48)),
  mrOwner: v.optional(hex(48), '00'.repeat(48)),
  mrOwnerConfig: v.optional(hex(48), '00'.repeat(48)),
});
export type TdxImage = v.InferOutput<typeof TdxImageSchema>;

const SnpImageSchema = v.strictObject({
  measurement: hex(48),
  hostData: v.optional(hex(32), '00'.repeat(32)),
});
export type SnpImage = v.InferOutput<typeof SnpImageSchema>;

/** An image by its name, and what its machine measures on each kind of hardware. */
const ImageSchema = v.strictObject({
  name,
  tdx: v.optional(TdxImageSchema),
  snp: v.optional(SnpImageSchema),
});

const TdxSchema = v.strictObject({
  /** Of platform, quoting enclave and module together, as Intel's library merges them. */
  statuses: someOf(v.picklist(tdxStatuses)),
  /** `tcbEvaluationDataNumber` of TCB info and QE identity. */
  evaluationNumberMin: count,
  /** The TCB levels of platform, quoting enclave and module are at least of this date. */
  tcbDateMin: v.optional(moment),
  /** PPIDs of the machines allowed; any machine when left out. */
  platforms: v.optional(list(hex(16))),
});
export type TdxPolicy = v.InferOutput<typeof TdxSchema>;

/** Security version numbers as in the ABI's TCB_VERSION (AMD 56860); `fmc` is Turin's. */
const SnpTcbSchema = v.strictObject({
  fmc: v.optional(count, 0),
  bootloader: count,
  tee: count,
  snp: count,
  microcode: count,
});
/** Protections that a guest policy can demand of the platform: AMD 56860, POLICY. */
export const guestProtections = [
  'single-socket',
  'aes-256-xts',
  'rapl-disabled',
  'ciphertext-hiding',
  'page-swap-disabled',
] as const;
/** What a platform can say of itself: AMD 56860, PLATFORM_INFO. */
export const platformStates = ['tsme', 'ecc', 'rapl-disabled', 'ciphertext-hiding', 'alias-check'] as const;
export type PlatformState = (typeof platformStates)[number];

const SnpSchema = v.strictObject({
  products: someOf(v.picklist(snpProducts)),
  tcbMin: v.partial(v.strictObject({ Milan: SnpTcbSchema, Genoa: SnpTcbSchema, Turin: SnpTcbSchema })),
  vmpl: someOf(v.pipe(count, v.maxValue(3))),
  guestPolicy: v.optional(
    v.strictObject({ allow: list(v.picklist(['smt', 'cxl'])), demand: list(v.picklist(guestProtections)) }),
    { allow: ['smt'], demand: [] },
  ),
  /** `alias-check`: no two addresses are the same memory (AMD-SB-3015, BadRAM). */
  platformInfo: v.optional(v.strictObject({ demand: list(v.picklist(platformStates)) }), {
    demand: ['alias-check'],
  }),
  /** CHIP_IDs of the machines allowed; any machine when left out. */
  platforms: v.optional(list(hex(64))),
});
export type SnpPolicy = v.InferOutput<typeof SnpSchema>;

/** Index in the report and the digests that are right there. A reference manifest's index is one lower. */
const MeasurementsSchema = v.pipe(
  v.record(v.pipe(v.string(), v.regex(/^[1-9]\d{0,2}$/)), someOf(hex(48))),
  v.minEntries(1),
);
const ReferenceSchema = v.strictObject({
  driver: name,
  vbios: name,
  measurements: MeasurementsSchema,
  /** Indexes that may have any value, such as those that NVIDIA's manifests list as inactive. All others must be above. */
  ignored: v.optional(list(v.pipe(count, v.minValue(1), v.maxValue(254))), []),
});
export type GpuReference = v.InferOutput<typeof ReferenceSchema>;

/** NVIDIA's remote attestation service: its public keys as JWKs (RFC 7517) with key ids. */
const JwkSchema = v.object({
  kty: v.literal('EC'),
  crv: v.literal('P-384'),
  kid: v.pipe(v.string(), v.minLength(1), v.maxLength(256)),
  x: v.pipe(v.string(), v.maxLength(128)),
  y: v.pipe(v.string(), v.maxLength(128)),
});
export type NrasKey = v.InferOutput<typeof JwkSchema>;

const GpuSchema = v.strictObject({
  /** The first word in the name of the chain's second certificate, such as `GH100`. */
  models: someOf(name),
  modes: someOf(v.picklist(gpuModes)),
  references: someOf(ReferenceSchema),
  nrasKeys: v.pipe(v.array(JwkSchema), v.maxLength(limits.jwks)),
  /** Chip ids of the GPUs allowed: SHA-256 of the key in the chain's second certificate. Any GPU when left out. */
  platforms: v.optional(list(hex(32))),
});
export type GpuPolicy = v.InferOutput<typeof GpuSchema>;

/** What a node has to state of a model: the digest of its weights, and the configurations allowed; any when left out. */
const ModelSchema = v.strictObject({ digest: hex(32), configs: v.optional(someOf(hex(32))) });

export const PolicySchema = v.strictObject({
  version: v.literal(1),
  name,
  /** How old signed collateral may be: TCB info, QE identity, CRLs and OCSP responses. */
  collateralAgeMaxMs: count,
  /** How far ahead a bundle's end may lie. */
  lifetimeMaxMs: count,
  images: someOf(ImageSchema),
  tdx: v.optional(TdxSchema),
  snp: v.optional(SnpSchema),
  /** By model id. A bundle does not name its model: whoever asks for one compares (`Expectations`). */
  models: v.optional(v.record(name, ModelSchema), {}),
  /** Left out, a bundle with a GPU is refused; there, a bundle without one is. */
  gpu: v.optional(GpuSchema),
  /** SHA-256 of the roots of simulated evidence accepted. Nothing but tests and development names any. */
  simulatedRoots: v.optional(v.pipe(v.array(hex(32)), v.maxLength(16)), []),
});
export type Policy = v.InferOutput<typeof PolicySchema>;

/** Reads a policy file's text. */
export function parsePolicy(text: string): Result<Policy, 'bad_policy'> {
  try {
    demand(
      text.length <= limits.policyCharacters,
      `policy: longer than ${limits.policyCharacters} characters`,
    );
    return ok(parseAs(PolicySchema, parseJson(text, 'policy'), 'policy'));
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return badPolicy(error.message);
  }
}

const badPolicy = (problem: string) =>
  fail({
    code: 'bad_policy',
    message: `The policy can't be used: ${problem}.`,
    remedy: 'Compare it with attestation/README.md.',
  });
