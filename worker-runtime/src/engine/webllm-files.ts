/**
 * Gives WebLLM the files of a build, every byte of which was checked by us.
 *
 * WebLLM reads its files through the Cache API and checks at most the configuration, the tokenizer and the library, never
 * the weights. So while it loads, `caches` in this worker is a stand-in that holds just the checked files, under an
 * address that nobody serves: WebLLM can read nothing else, neither from the network nor from what an earlier version
 * left in its own caches. (Its address must be http and must not say "localhost", or the library would bypass the cache.)
 */
import { type ExpectedFile, shardsOf } from '@tussah/models/verify-download';
import { expectedOf, fileOf, named, readFiles } from './build-files.ts';
import type { ModelFiles } from './download.ts';
import { engineError } from './engine-failures.ts';
import type { EngineBuild, LoadProgress } from './port.ts';

export interface WebllmFiles {
  /** For `ModelRecord.model` and `ModelRecord.model_lib`. */
  readonly model: string;
  readonly library: string;
  readonly byUrl: ReadonlyMap<string, Blob>;
  readonly tokenizer: Blob;
  readonly tokenizerConfig: Blob | null;
  readonly bytes: number;
}

const ORIGIN = 'https://webllm.tussah.invalid';

/** Downloads and checks everything; weights against the list's MD5 and size, and their SHA-256 where the build has it. */
export async function readWebllmFiles(
  store: ModelFiles,
  build: EngineBuild,
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<WebllmFiles> {
  const config = fileOf(build, 'mlc-chat-config.json', named('mlc-chat-config.json'));
  const tokenizer = fileOf(build, 'tokenizer.json', named('tokenizer.json'));
  const library = fileOf(build, 'library', ({ role }) => role === 'library');
  const index = fileOf(build, 'tensor-cache.json', named('tensor-cache.json'));
  const extra = build.files.find(named('tokenizer_config.json'));
  const indexBlob = await store.read(expectedOf(index), signal);
  const shards = await shardsIn(indexBlob, index.url, build);
  const small = [config, tokenizer, library, ...(extra === undefined ? [] : [extra])].map(expectedOf);
  const blobs = await readFiles(store, [...small, ...shards], onProgress, signal);

  const folder = `${ORIGIN}/${encodeURIComponent(build.id)}/resolve/main/`;
  const files: [string, Blob | undefined][] = [
    ['mlc-chat-config.json', blobs[0]],
    ['tokenizer.json', blobs[1]],
    ['library.wasm', blobs[2]],
    ['tensor-cache.json', indexBlob],
    ...shards.map(({ url }, i): [string, Blob | undefined] => [nameOf(url), blobs[small.length + i]]),
  ];
  const byUrl = new Map<string, Blob>();
  for (const [name, blob] of files) if (blob !== undefined) byUrl.set(folder + name, blob);
  return {
    model: folder,
    library: `${folder}library.wasm`,
    byUrl,
    tokenizer: blobs[1] ?? new Blob(),
    tokenizerConfig: extra === undefined ? null : (blobs[3] ?? null),
    bytes: [...byUrl.values()].reduce((sum, blob) => sum + blob.size, 0),
  };
}

async function shardsIn(index: Blob, url: string, build: EngineBuild): Promise<readonly ExpectedFile[]> {
  let list: unknown;
  try {
    list = JSON.parse(await index.text());
  } catch (error) {
    throw engineError('file_corrupt', 'tensor-cache.json is not JSON.', error);
  }
  const shards = shardsOf(list, url);
  if (!shards.ok) throw engineError('file_corrupt', shards.failure.message);
  return shards.value.map((shard) => {
    const known = build.files.find((file) => file.url === shard.url);
    return known?.sha256 === undefined || known.sha256 === null ? shard : { ...shard, sha256: known.sha256 };
  });
}

/** Runs `work` while `caches` holds `files` and nothing else. One at a time in a worker. */
export async function withOnlyTheseFiles<T>(
  files: ReadonlyMap<string, Blob>,
  work: () => Promise<T>,
): Promise<T> {
  const cache = new CheckedCache(files);
  const before = Object.getOwnPropertyDescriptor(globalThis, 'caches');
  Object.defineProperty(globalThis, 'caches', {
    configurable: true,
    value: { open: async () => cache, has: async () => true, keys: async () => [] },
  });
  try {
    return await work();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, 'caches');
    else Object.defineProperty(globalThis, 'caches', before);
  }
}

/** What WebLLM calls on a cache. */
class CheckedCache {
  readonly #files: ReadonlyMap<string, Blob>;

  constructor(files: ReadonlyMap<string, Blob>) {
    this.#files = files;
  }

  async match(request: RequestInfo | URL): Promise<Response | undefined> {
    const blob = this.#files.get(urlOf(request));
    if (blob === undefined) return undefined;
    const type = urlOf(request).endsWith('.wasm') ? 'application/wasm' : 'application/octet-stream';
    return new Response(blob, { headers: { 'content-type': type, 'content-length': String(blob.size) } });
  }

  /** Called for what is not there: fails closed instead of fetching. */
  async add(request: RequestInfo | URL): Promise<void> {
    throw engineError(
      'file_corrupt',
      `WebLLM asked for ${nameOf(urlOf(request))}, which is not part of the build.`,
    );
  }

  async keys(): Promise<Request[]> {
    return [...this.#files.keys()].map((url) => new Request(url));
  }

  async delete(): Promise<boolean> {
    return false;
  }
}

const urlOf = (request: RequestInfo | URL): string =>
  request instanceof Request ? request.url : String(request);
const nameOf = (url: string): string => url.slice(url.lastIndexOf('/') + 1);
