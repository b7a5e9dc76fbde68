import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { prebuiltAppConfig } from '@mlc-ai/web-llm';
import { describe, expect, test } from 'vitest';
import { buildDigest } from './catalogue-schema.ts';
import { buildById, buildRunsOn, buildsFor, catalogue, modelById } from './catalogue.ts';

/** The members of WebLLM's records that are compared; its own types do not resolve under `nodenext`. */
interface Offered {
  readonly model_id: string;
  readonly model: string;
  readonly model_lib: string;
  readonly vram_required_MB?: number;
  readonly required_features?: readonly string[];
  readonly overrides?: { readonly context_window_size?: number };
}
const offered = new Map(
  (prebuiltAppConfig.model_list as Offered[]).map((record) => [record.model_id, record]),
);
const builds = catalogue.flatMap((model) => model.builds.map((build) => ({ model, build, id: build.id })));
const fromWebllm = builds.filter(({ build }) => build.webllmId !== undefined);

describe('builds for WebLLM', () => {
  test.each(fromWebllm)(
    '$id is in the list of the installed package, with its library, memory and context',
    ({ model, build }) => {
      const record = offered.get(build.webllmId ?? '');
      expect(record).toBeDefined();
      expect(build.files.find(({ role }) => role === 'library')?.url).toBe(record?.model_lib);
      expect(build.files.find(({ role }) => role === 'config')?.url).toBe(
        `${record?.model}/resolve/main/mlc-chat-config.json`,
      );
      expect(build.memoryMb).toBe(Math.ceil(record?.vram_required_MB ?? 0));
      expect(model.contextTokens).toBe(record?.overrides?.context_window_size);
      for (const feature of record?.required_features ?? [])
        expect(build.requiredFeatures).toContain(feature);
    },
  );

  test('are quantised as their name says, and need shader-f16 exactly when computing in 16 bits', () => {
    for (const { build } of fromWebllm) {
      expect(build.quantisation).toMatch(/^q\df(16|32)(_1)?$/);
      expect(build.requiredFeatures.includes('shader-f16')).toBe(build.quantisation.includes('f16'));
    }
  });
});

describe('the bundled model', () => {
  const build = buildById('wllama-tussah-tiny-f32')?.build;

  test('comes first, and its files are the committed ones', () => {
    expect(catalogue[0]?.id).toBe('tussah-tiny');
    for (const file of build?.files ?? []) {
      const path = new URL(`..${file.url.replace(/^\/models/, '')}`, import.meta.url);
      expect(file.bytes).toBe(statSync(path).size);
      expect(file.sha256).toBe(createHash('sha256').update(readFileSync(path)).digest('hex'));
    }
  });

  test('has a digest, since all its hashes are known', () => {
    expect(build?.digest).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('the digest of a build', () => {
  const a = { role: 'weights', url: 'https://one.example/x/a.bin', sha256: 'a'.repeat(64) } as const;
  const b = { role: 'config', url: '/models/b.json', sha256: 'b'.repeat(64) } as const;

  test('depends on hashes, names and roles, not on order or address', () => {
    const digest = buildDigest([a, b]);
    expect(buildDigest([b, a])).toBe(digest);
    expect(buildDigest([{ ...a, url: '/mirror/a.bin' }, b])).toBe(digest);
    expect(buildDigest([{ ...a, sha256: 'c'.repeat(64) }, b])).not.toBe(digest);
    expect(buildDigest([{ ...a, url: '/x/other.bin' }, b])).not.toBe(digest);
    expect(buildDigest([{ ...a, role: 'library' }, b])).not.toBe(digest);
  });

  test('is null while a hash is unknown', () => {
    expect(buildDigest([a, { role: 'config', url: '/b.json' }])).toBeNull();
  });
});

describe('looking up', () => {
  test('finds models and builds by id, and nothing else', () => {
    expect(modelById('llama-3.2-1b-instruct')?.family).toBe('Llama 3');
    expect(modelById('constructor')).toBeUndefined();
    for (const { model, build } of builds) expect(buildById(build.id)).toEqual({ model, build });
  });

  test('gives a device what it can run', () => {
    const model = modelById('smollm2-360m-instruct');
    if (!model) throw new Error('missing');
    const ids = (memoryMb: number, features: string[] | undefined) =>
      buildsFor(model, { memoryMb, features: features && new Set(features) }).map(
        ({ quantisation }) => quantisation,
      );
    expect(ids(8000, ['shader-f16'])).toEqual(['q4f16_1', 'q4f32_1']);
    expect(ids(8000, [])).toEqual(['q4f32_1']);
    expect(ids(400, ['shader-f16'])).toEqual(['q4f16_1']);
    expect(ids(8000, undefined)).toEqual([]);
  });

  test('lets wllama run without a GPU', () => {
    const build = buildById('wllama-tussah-tiny-f32')?.build;
    expect(build && buildRunsOn(build, { memoryMb: 500, features: undefined })).toBe(true);
  });
});

test('memory and features of a model are those of its least demanding build', () => {
  const model = modelById('llama-3.2-1b-instruct');
  expect(model?.memoryMb).toBe(880);
  expect(model?.requiredFeatures).toEqual([]);
  expect(modelById('gemma-3-1b-it')?.requiredFeatures).toEqual(['shader-f16']);
});
