/** What each engine promises about its tokens. Apart from the adapters, so that a page can read them without the engines. */
import type { EngineProfile } from '@tussah/protocol/engine-profile';

/** On a CPU, one thread of the same WebAssembly gives the same bits everywhere. */
export const wllamaProfile: EngineProfile = {
  engine: 'wllama',
  version: '3.8.1',
  prefix: 'text',
  seedBlock: 16,
  replay: 'bit-exact',
};

/** Its sampler draws on the host, alike everywhere; the logits differ a little from GPU to GPU. */
export const webllmProfile: EngineProfile = {
  engine: 'webllm',
  version: '0.2.86',
  prefix: 'ids',
  seedBlock: 1,
  replay: 'same-device',
};

export const fakeProfile: EngineProfile = {
  engine: 'fake',
  version: '1',
  prefix: 'ids',
  seedBlock: 1,
  replay: 'bit-exact',
};
