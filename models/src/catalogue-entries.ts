/**
 * The models of the catalogue, as data. The first is the bundled one; the others are models that WebLLM 0.2.86 offers.
 * Memory is WebLLM's `vram_required_MB`, rounded up. Licences are those of the weights.
 */
import manifest from '../tiny/manifest.json' with { type: 'json' };
import mlcManifest from '../tiny/mlc/manifest.json' with { type: 'json' };
import type { Build, Model, ModelFile } from './catalogue-schema.ts';

type BuildEntry = Omit<Build, 'digest'>;
type ModelEntry = Omit<Model, 'builds' | 'memoryMb' | 'requiredFeatures'> & {
  readonly builds: readonly BuildEntry[];
};

const HUGGING_FACE = 'https://huggingface.co/mlc-ai';
const LIBRARIES =
  'https://raw.githubusercontent.com/mlc-ai/binary-mlc-llm-libs/main/web-llm-models/v0_2_86/base';

/** A build from WebLLM's list. Its hashes are not published, so its digest is null: see models/README.md. */
function webllm(webllmId: string, memoryMb: number, libraryStem = stemOf(webllmId)): BuildEntry {
  const quantisation = /-(q\d+f(?:16|32)(?:_\d)?)-MLC/.exec(webllmId)?.[1] ?? '';
  const folder = `${HUGGING_FACE}/${webllmId.replace(/-1k$/, '')}/resolve/main`;
  return {
    id: `webllm-${webllmId.toLowerCase()}`,
    engine: 'webllm',
    quantisation,
    memoryMb: Math.ceil(memoryMb),
    files: [
      { role: 'config', url: `${folder}/mlc-chat-config.json` },
      { role: 'tokenizer', url: `${folder}/tokenizer.json` },
      { role: 'index', url: `${folder}/tensor-cache.json` },
      { role: 'library', url: `${LIBRARIES}/${libraryStem}-${quantisation}_cs1k-webgpu.wasm` },
    ],
    // Kernels in 16-bit floats need it, also where WebLLM's own list does not say so.
    requiredFeatures: quantisation.includes('f16') ? ['shader-f16'] : [],
    webllmId,
  };
}

function stemOf(webllmId: string): string {
  return webllmId.replace(/-q\d+f.*$/, '');
}

const tinyFile = (role: ModelFile['role'], name: keyof typeof manifest.files): ModelFile => ({
  role,
  url: `/models/tiny/${name}`,
  ...manifest.files[name],
});

const tinyWllama: BuildEntry = {
  id: 'wllama-tussah-tiny-f32',
  engine: 'wllama',
  quantisation: 'f32',
  memoryMb: 64,
  files: [
    tinyFile('weights', 'tussah-tiny-f32.gguf'),
    tinyFile('tokenizer', 'tokenizer.json'),
    tinyFile('config', 'tokenizer_config.json'),
  ],
  requiredFeatures: [],
};

const mlcFile = (role: ModelFile['role'], name: keyof typeof mlcManifest.files): ModelFile => ({
  role,
  url: `/models/tiny/mlc/${name}`,
  ...mlcManifest.files[name],
});

const tinyWebllm: BuildEntry = {
  id: 'webllm-tussah-tiny-f32',
  engine: 'webllm',
  quantisation: 'q0f32',
  memoryMb: 192,
  files: [
    mlcFile('weights', 'params_shard_0.bin'),
    mlcFile('index', 'tensor-cache.json'),
    mlcFile('config', 'mlc-chat-config.json'),
    mlcFile('tokenizer', 'tokenizer.json'),
    mlcFile('config', 'tokenizer_config.json'),
    mlcFile('library', 'tussah-tiny-q0f32-webgpu.wasm'),
  ],
  requiredFeatures: [],
};

/** Builds of the bundled model, the best first: the same weights for either engine. */
const tinyBuilds: readonly BuildEntry[] = [tinyWebllm, tinyWllama];

const apache = { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' };
const mit = { name: 'MIT', url: 'https://opensource.org/license/mit' };
const llama32 = { name: 'Llama 3.2 Community License', url: 'https://www.llama.com/llama3_2/license/' };
const llama31 = { name: 'Llama 3.1 Community License', url: 'https://www.llama.com/llama3_1/license/' };
const gemma = { name: 'Gemma Terms of Use', url: 'https://ai.google.dev/gemma/terms' };

/** Nanoton per million tokens; reading costs a quarter of writing. */
const price = (completionNano: number) => ({
  promptNanoPerMillion: String(completionNano / 4),
  completionNanoPerMillion: String(completionNano),
});
const upTo200M = price(4_000_000);
const upTo1B = price(12_000_000);
const upTo2B = price(24_000_000);
const upTo4B = price(48_000_000);
const upTo9B = price(96_000_000);

export const entries: readonly ModelEntry[] = [
  {
    id: 'tussah-tiny',
    name: 'Tussah Tiny',
    family: 'Tussah',
    parameters: 690_000,
    contextTokens: manifest.shape.context,
    licence: apache,
    price: upTo200M,
    capabilities: ['logprobs'],
    builds: tinyBuilds,
  },
  {
    id: 'smollm2-135m-instruct',
    name: 'SmolLM2 135M Instruct',
    family: 'SmolLM2',
    parameters: 135_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo200M,
    capabilities: [],
    builds: [
      webllm('SmolLM2-135M-Instruct-q0f16-MLC', 359.69),
      webllm('SmolLM2-135M-Instruct-q0f32-MLC', 719.38),
    ],
  },
  {
    id: 'smollm2-360m-instruct',
    name: 'SmolLM2 360M Instruct',
    family: 'SmolLM2',
    parameters: 360_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo1B,
    capabilities: [],
    builds: [
      webllm('SmolLM2-360M-Instruct-q4f16_1-MLC', 376.06),
      webllm('SmolLM2-360M-Instruct-q4f32_1-MLC', 579.61),
    ],
  },
  {
    id: 'smollm2-1.7b-instruct',
    name: 'SmolLM2 1.7B Instruct',
    family: 'SmolLM2',
    parameters: 1_700_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo2B,
    capabilities: [],
    builds: [
      webllm('SmolLM2-1.7B-Instruct-q4f16_1-MLC', 1774.19),
      webllm('SmolLM2-1.7B-Instruct-q4f32_1-MLC', 2692.38),
    ],
  },
  {
    id: 'qwen2.5-0.5b-instruct',
    name: 'Qwen2.5 0.5B Instruct',
    family: 'Qwen2.5',
    parameters: 490_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo1B,
    capabilities: [],
    builds: [
      webllm('Qwen2.5-0.5B-Instruct-q4f16_1-MLC', 944.62, 'Qwen2-0.5B-Instruct'),
      webllm('Qwen2.5-0.5B-Instruct-q4f32_1-MLC', 1060.2, 'Qwen2-0.5B-Instruct'),
    ],
  },
  {
    id: 'qwen2.5-1.5b-instruct',
    name: 'Qwen2.5 1.5B Instruct',
    family: 'Qwen2.5',
    parameters: 1_540_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo2B,
    capabilities: [],
    builds: [
      webllm('Qwen2.5-1.5B-Instruct-q4f16_1-MLC', 1629.75, 'Qwen2-1.5B-Instruct'),
      webllm('Qwen2.5-1.5B-Instruct-q4f32_1-MLC', 1888.97, 'Qwen2-1.5B-Instruct'),
    ],
  },
  {
    id: 'qwen2.5-7b-instruct',
    name: 'Qwen2.5 7B Instruct',
    family: 'Qwen2.5',
    parameters: 7_610_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo9B,
    capabilities: [],
    builds: [
      webllm('Qwen2.5-7B-Instruct-q4f16_1-MLC', 5106.67, 'Qwen2-7B-Instruct'),
      webllm('Qwen2.5-7B-Instruct-q4f32_1-MLC', 5900.09, 'Qwen2-7B-Instruct'),
    ],
  },
  {
    id: 'qwen3-0.6b',
    name: 'Qwen3 0.6B',
    family: 'Qwen3',
    parameters: 600_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo1B,
    capabilities: [],
    builds: [webllm('Qwen3-0.6B-q4f16_1-MLC', 1403.34), webllm('Qwen3-0.6B-q4f32_1-MLC', 1924.98)],
  },
  {
    id: 'qwen3-1.7b',
    name: 'Qwen3 1.7B',
    family: 'Qwen3',
    parameters: 1_700_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo2B,
    capabilities: [],
    builds: [webllm('Qwen3-1.7B-q4f16_1-MLC', 2036.66), webllm('Qwen3-1.7B-q4f32_1-MLC', 2635.44)],
  },
  {
    id: 'qwen3-4b',
    name: 'Qwen3 4B',
    family: 'Qwen3',
    parameters: 4_000_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo4B,
    capabilities: [],
    builds: [webllm('Qwen3-4B-q4f16_1-MLC', 3431.59), webllm('Qwen3-4B-q4f32_1-MLC', 4327.71)],
  },
  {
    id: 'qwen3-8b',
    name: 'Qwen3 8B',
    family: 'Qwen3',
    parameters: 8_200_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo9B,
    capabilities: [],
    builds: [webllm('Qwen3-8B-q4f16_1-MLC', 5695.78), webllm('Qwen3-8B-q4f32_1-MLC', 6852.55)],
  },
  {
    id: 'llama-3.2-1b-instruct',
    name: 'Llama 3.2 1B Instruct',
    family: 'Llama 3',
    parameters: 1_230_000_000,
    contextTokens: 4096,
    licence: llama32,
    price: upTo2B,
    capabilities: [],
    builds: [
      webllm('Llama-3.2-1B-Instruct-q4f16_1-MLC', 879.04),
      webllm('Llama-3.2-1B-Instruct-q4f32_1-MLC', 1128.82),
    ],
  },
  {
    id: 'llama-3.2-3b-instruct',
    name: 'Llama 3.2 3B Instruct',
    family: 'Llama 3',
    parameters: 3_210_000_000,
    contextTokens: 4096,
    licence: llama32,
    price: upTo4B,
    capabilities: [],
    builds: [
      webllm('Llama-3.2-3B-Instruct-q4f16_1-MLC', 2263.69),
      webllm('Llama-3.2-3B-Instruct-q4f32_1-MLC', 2951.51),
    ],
  },
  {
    id: 'llama-3.1-8b-instruct',
    name: 'Llama 3.1 8B Instruct',
    family: 'Llama 3',
    parameters: 8_030_000_000,
    contextTokens: 4096,
    licence: llama31,
    price: upTo9B,
    capabilities: [],
    builds: [
      webllm('Llama-3.1-8B-Instruct-q4f16_1-MLC', 5001, 'Llama-3_1-8B-Instruct'),
      webllm('Llama-3.1-8B-Instruct-q4f32_1-MLC', 6101.01, 'Llama-3_1-8B-Instruct'),
    ],
  },
  {
    id: 'gemma-2-2b-it',
    name: 'Gemma 2 2B',
    family: 'Gemma',
    parameters: 2_600_000_000,
    contextTokens: 4096,
    licence: gemma,
    price: upTo4B,
    capabilities: [],
    builds: [webllm('gemma-2-2b-it-q4f16_1-MLC', 1895.3), webllm('gemma-2-2b-it-q4f32_1-MLC', 2508.75)],
  },
  {
    id: 'gemma-3-1b-it',
    name: 'Gemma 3 1B',
    family: 'Gemma',
    parameters: 1_000_000_000,
    contextTokens: 4096,
    licence: gemma,
    price: upTo1B,
    capabilities: [],
    builds: [webllm('gemma3-1b-it-q4f16_1-MLC', 711.07)],
  },
  {
    id: 'phi-3.5-mini-instruct',
    name: 'Phi 3.5 mini',
    family: 'Phi',
    parameters: 3_820_000_000,
    contextTokens: 4096,
    licence: mit,
    price: upTo4B,
    capabilities: [],
    builds: [
      webllm('Phi-3.5-mini-instruct-q4f16_1-MLC', 3672.07),
      webllm('Phi-3.5-mini-instruct-q4f32_1-MLC', 5483.12),
    ],
  },
  {
    id: 'mistral-7b-instruct-v0.3',
    name: 'Mistral 7B Instruct v0.3',
    family: 'Mistral',
    parameters: 7_250_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo9B,
    capabilities: [],
    builds: [
      webllm('Mistral-7B-Instruct-v0.3-q4f16_1-MLC', 4573.39),
      webllm('Mistral-7B-Instruct-v0.3-q4f32_1-MLC', 5619.27),
    ],
  },
  {
    id: 'olmo-2-1b-instruct',
    name: 'OLMo 2 1B Instruct',
    family: 'OLMo',
    parameters: 1_480_000_000,
    contextTokens: 4096,
    licence: apache,
    price: upTo2B,
    capabilities: [],
    builds: [
      webllm('OLMo-2-0425-1B-Instruct-q4f16_1-MLC', 1776.75),
      webllm('OLMo-2-0425-1B-Instruct-q4f32_1-MLC', 2453.51),
    ],
  },
];
