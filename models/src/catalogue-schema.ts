/**
 * The shape of the catalogue. A build is one set of files for one engine; two contributors with the same build can continue
 * each other's answers.
 */
import { sha256Hex } from '@tussah/protocol/bytes';
import { signedBytes } from '@tussah/protocol/canonical';
import { Sha256Schema } from '@tussah/protocol/ids';
import { limits } from '@tussah/protocol/limits';
import { PriceSchema } from '@tussah/protocol/money';
import * as v from 'valibot';

const positive = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(80));

export const ModelFileSchema = v.strictObject({
  /** `index` lists further weight files with their sizes and MD5 sums (MLC's tensor-cache.json). */
  role: v.picklist(['weights', 'index', 'tokenizer', 'config', 'library']),
  /** A path on the site that serves the catalogue, or an address on another host. */
  url: v.pipe(v.string(), v.regex(/^(\/(?!\/)|https:\/\/)[^\s]+$/, 'neither a path of the site nor https')),
  bytes: v.optional(positive),
  sha256: v.optional(Sha256Schema),
});
export type ModelFile = v.InferOutput<typeof ModelFileSchema>;

export const BuildSchema = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._-]*$/), v.maxLength(limits.buildIdCharacters)),
  engine: v.picklist(['webllm', 'wllama']),
  /** `buildDigest` of the files, or null while the hash of one of them is not known. */
  digest: v.nullable(Sha256Schema),
  /** As the engine's community calls it: `f32`, `q4f16_1`. */
  quantisation: name,
  /** What the engine allocates, in MiB. */
  memoryMb: positive,
  files: v.pipe(v.array(ModelFileSchema), v.minLength(1)),
  /** WebGPU features without which the build cannot run. */
  requiredFeatures: v.array(v.picklist(['shader-f16'])),
  /** `model_id` in WebLLM's own list. */
  webllmId: v.optional(name),
});
export type Build = v.InferOutput<typeof BuildSchema>;

export const ModelSchema = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]*$/), v.maxLength(limits.modelIdCharacters)),
  name,
  family: name,
  /** As published, rounded. */
  parameters: positive,
  /** Prompt and answer together, in every build of the model. */
  contextTokens: positive,
  /** Of the build that needs least. */
  memoryMb: positive,
  /** WebGPU features that every build needs. */
  requiredFeatures: v.array(v.picklist(['shader-f16'])),
  licence: v.strictObject({ name, url: v.pipe(v.string(), v.startsWith('https://')) }),
  price: PriceSchema,
  /** What each build delivers through this network today, not what the model could do elsewhere. */
  capabilities: v.array(v.picklist(['logprobs', 'json', 'tools'])),
  builds: v.pipe(v.array(BuildSchema), v.minLength(1)),
});
export type Model = v.InferOutput<typeof ModelSchema>;

export const CatalogueSchema = v.pipe(
  v.array(ModelSchema),
  v.check((models) => distinct(models.map(({ id }) => id)), 'two models have the same id'),
  v.check(
    (models) => distinct(models.flatMap(({ builds }) => builds.map(({ id }) => id))),
    'two builds have the same id',
  ),
);

/**
 * SHA-256 over the canonical list of file hashes: role, file name and hash, in the order of the names. Addresses are left
 * out, so a mirror has the same digest. Null when the hash of a file is unknown.
 */
export function buildDigest(files: readonly ModelFile[]): string | null {
  const list = [];
  for (const { role, url, sha256 } of files) {
    if (sha256 === undefined) return null;
    list.push({ role, name: url.slice(url.lastIndexOf('/') + 1), sha256 });
  }
  list.sort((a, b) => (a.name < b.name ? -1 : 1));
  return sha256Hex(signedBytes('tussah model build v1', list));
}

function distinct(ids: readonly string[]): boolean {
  return new Set(ids).size === ids.length;
}
