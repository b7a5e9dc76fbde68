import type { Build, Model } from '@tussah/models/catalogue';
import { describe, expect, test } from 'vitest';
import { chooseBuild, type ContributorDevice } from './choose-build.ts';
import type { ContributorSettings } from './snapshot.ts';

const build = (engine: 'webllm' | 'wllama', part: Partial<Build> = {}): Build => ({
  id: `${engine}-tiny`,
  engine,
  digest: null,
  quantisation: 'f32',
  memoryMb: 64,
  requiredFeatures: [],
  files: [
    { role: 'tokenizer', url: '/models/tiny/tokenizer.json', bytes: 5, sha256: 'a'.repeat(64) },
    { role: 'weights', url: 'https://elsewhere.example/w' },
  ],
  ...part,
});
const model = (...builds: Build[]): Model => ({
  id: 'tiny',
  name: 'Tiny',
  family: 'Tiny',
  parameters: 1,
  contextTokens: 512,
  memoryMb: 64,
  requiredFeatures: [],
  licence: { name: 'MIT', url: 'https://example.org' },
  price: { promptNanoPerMillion: '1', completionNanoPerMillion: '1' },
  capabilities: [],
  builds,
});
const both = model(build('webllm'), build('wllama'));
const f16 = model(build('webllm', { requiredFeatures: ['shader-f16'] }), build('wllama'));

const gpu: ContributorDevice = { memoryMb: 1_000_000, features: new Set(), softwareGpu: false };
const none: ContributorDevice = { ...gpu, features: undefined };
const software: ContributorDevice = { ...gpu, softwareGpu: true };

const choose = (
  model: Model | undefined,
  device: ContributorDevice,
  engine: ContributorSettings['engine'] = 'auto',
) =>
  chooseBuild(
    { coordinatorUrl: 'https://tussah.example', model: 'tiny', engine, wallet: null, ask: null },
    device,
    () => model,
  );

describe('the build chosen', () => {
  test.each([
    ['the GPU where it can', both, gpu, 'auto', 'webllm', null],
    ['the CPU without WebGPU', both, none, 'auto', 'wllama', 'no WebGPU'],
    ['the CPU where WebGPU is the CPU', both, software, 'auto', 'wllama', 'computed by the CPU'],
    ['the CPU without 16-bit floats', f16, gpu, 'auto', 'wllama', 'shader-f16'],
    ['the CPU where there is nothing else', model(build('wllama')), gpu, 'auto', 'wllama', 'no build'],
    ['software WebGPU when it is asked for', both, software, 'webllm', 'webllm', null],
    ['the CPU when it is asked for', both, gpu, 'wllama', 'wllama', null],
  ] as const)('%s', (_, model, device, wish, engine, note) => {
    const chosen = choose(model, device, wish);
    expect(chosen).toMatchObject({ ok: true, value: { engine, build: { id: `${engine}-tiny` } } });
    const said = chosen.ok ? chosen.value.engineNote : '';
    expect(note === null ? said === null : said?.includes(note)).toBe(true);
  });

  test('names its files by whole addresses, and what is not known as null', () => {
    expect(choose(both, gpu)).toMatchObject({
      value: {
        build: {
          contextTokens: 512,
          webllmId: null,
          files: [
            { url: 'https://tussah.example/models/tiny/tokenizer.json', bytes: 5, sha256: 'a'.repeat(64) },
            { url: 'https://elsewhere.example/w', bytes: null, sha256: null },
          ],
        },
      },
    });
  });

  test.each([
    ['model_not_found', undefined, gpu, 'auto'],
    ['no_build', both, none, 'webllm'],
    ['no_build', model(build('webllm')), none, 'auto'],
    ['no_build', model(build('webllm', { memoryMb: 2_000_000 })), gpu, 'auto'],
  ] as const)('refused: %s', (code, model, device, wish) => {
    expect(choose(model, device, wish)).toMatchObject({ ok: false, failure: { code } });
  });
});
