/** The bundled model as a subject of the engine contract, in a browser test. */
import { fileOf } from './build-files.ts';
import type { EngineSubject } from './contract.ts';
import type { EngineBuild, EngineFile } from './port.ts';
import { openCodec, type TokenCodec } from './token-codec.ts';

const address = (path: string) => new URL(path, globalThis.location.href).href;

async function sha256Of(blob: Blob): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A served file with the hash it has now; undefined where it is not served. */
async function tinyFile(role: EngineFile['role'], name: string): Promise<EngineFile | undefined> {
  const url = address(`/models/tiny/${name}`);
  const response = await fetch(url, { cache: 'no-store' });
  const kind = response.headers.get('content-type') ?? '';
  if (!response.ok || kind.includes('text/html')) return undefined;
  const blob = await response.blob();
  return { role, url, bytes: blob.size, sha256: await sha256Of(blob) };
}

async function served(files: readonly Promise<EngineFile | undefined>[]): Promise<EngineFile[]> {
  const all = await Promise.all(files);
  const present = all.filter((file) => file !== undefined);
  if (present.length < all.length) throw new Error('the bundled model is not served at /models/tiny');
  return present;
}

/** For wllama. */
export async function tinyGguf(): Promise<EngineBuild> {
  const files = await served([
    tinyFile('weights', 'tussah-tiny-f32.gguf'),
    tinyFile('tokenizer', 'tokenizer.json'),
    tinyFile('config', 'tokenizer_config.json'),
  ]);
  return { id: 'tiny-gguf', files, contextTokens: 512, webllmId: null };
}

/** For WebLLM. */
export async function tinyMlc(): Promise<EngineBuild> {
  const files = await served([
    tinyFile('weights', 'mlc/params_shard_0.bin'),
    tinyFile('index', 'mlc/tensor-cache.json'),
    tinyFile('config', 'mlc/mlc-chat-config.json'),
    tinyFile('tokenizer', 'mlc/tokenizer.json'),
    tinyFile('library', 'mlc/tussah-tiny-q0f32-webgpu.wasm'),
  ]);
  return { id: 'tiny-mlc', files, contextTokens: 512, webllmId: null };
}

export async function tinyCodec(): Promise<TokenCodec> {
  const read = async (name: string) => (await fetch(address(`/models/tiny/${name}`))).blob();
  return openCodec({ tokenizer: await read('tokenizer.json'), config: await read('tokenizer_config.json') });
}

export const chat = (question: string): string =>
  `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`;

/** The subject without its engine: the weights' hash is changed for one bad build, an address for the other. */
export async function tinySubject(
  build: EngineBuild,
): Promise<Omit<EngineSubject, 'create' | 'dispose' | 'cutTokens'>> {
  const spoiled = fileOf(build, 'weights', ({ role }) => role === 'weights');
  // WebLLM finds its weights beside the list of them, wherever the build says they are.
  const gone = build.files.find(({ role }) => role === 'library') ?? spoiled;
  const change = (which: EngineFile, file: Partial<EngineFile>): EngineBuild => ({
    ...build,
    id: `${build.id}-changed`,
    files: build.files.map((each) => (each.url === which.url ? { ...each, ...file } : each)),
  });
  const elsewhere = address(`/models/tiny/none${gone.url.slice(gone.url.lastIndexOf('/'))}`);
  return {
    codec: await tinyCodec(),
    build,
    otherBuild: { ...build, id: `${build.id}-short`, contextTokens: 256 },
    corruptBuild: change(spoiled, { sha256: '0'.repeat(64) }),
    missingBuild: change(gone, { url: elsewhere, sha256: '1'.repeat(64) }),
    // Not a question it was trained to answer, and not even a chat.
    prompts: { plain: chat('Who are you?'), wide: chat('Hello!'), open: 'Привет, a 🙂 or' },
  };
}
