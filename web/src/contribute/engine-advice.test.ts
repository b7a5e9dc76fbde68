import { catalogue, type Model } from '@tussah/models/catalogue';
import { describe, expect, it } from 'vitest';
import { adviseEngine } from './engine-advice.ts';

const tiny = catalogue.find((model) => model.id === 'tussah-tiny');
const wllama = tiny?.builds.find((build) => build.engine === 'wllama');
if (tiny === undefined || wllama === undefined) throw new Error('the catalogue has no wllama build');
const gpuBuild = {
  ...wllama,
  id: 'gpu',
  engine: 'webllm' as const,
  requiredFeatures: ['shader-f16' as const],
};
const both: Model = { ...tiny, builds: [gpuBuild, wllama] };
const device = (features?: readonly string[]) => ({
  memoryMb: 8000,
  features: features === undefined ? undefined : new Set(features),
  softwareGpu: false,
});
const advise = (engine: 'auto' | 'webllm' | 'wllama', features?: readonly string[]) =>
  adviseEngine('m', engine, device(features), () => both);

describe('adviseEngine', () => {
  it('names the graphics card where it can run', () => {
    expect(advise('auto', ['shader-f16'])).toEqual({
      build: gpuBuild,
      sentence: 'This will run in WebLLM, on the graphics card.',
    });
  });
  it('says why it is the processor instead', () => {
    expect(advise('auto')).toMatchObject({
      build: wllama,
      sentence: expect.stringMatching(/wllama.*WebGPU/),
    });
  });
  it('names the processor without a reason where it was asked for', () => {
    expect(advise('wllama', ['shader-f16'])).toEqual({
      build: wllama,
      sentence: 'This will run in wllama, on the processor.',
    });
  });
  it('says why nothing can run, and what to do', () => {
    expect(advise('webllm')).toMatchObject({
      build: null,
      sentence: expect.stringMatching(/WebGPU.*Choose/),
    });
    expect(adviseEngine('no-such-model', 'auto', device()).build).toBeNull();
  });
});
