/**
 * Tokenizers by model: bundled ones from disk, others fetched once from where the catalogue says and kept in the data
 * folder. The core sees them as codecs; requests are rendered with them.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { catalogue, type Model, type ModelFile } from '@tussah/models/catalogue';
import { promptRenderer, type PromptRenderer } from '@tussah/models/prompt';
import { loadTokenizer, type ChatTokenizer } from '@tussah/models/tokenizer';
import { fail, failure, ok, type Result } from '@tussah/protocol/errors';
import type { Codec, Codecs } from '../core/turn.ts';

const FILE_BYTES_MAX = 64 * 1024 * 1024;
const FETCH_TIMEOUT_MS = 60_000;
/** A failed download is not tried again before this. */
const RETRY_MS = 30_000;

export interface ModelText {
  readonly codec: Codec;
  readonly renderer: PromptRenderer;
}

export class Tokenizers implements Codecs {
  readonly #loaded = new Map<string, ModelText>();
  readonly #loading = new Map<string, Promise<Result<ModelText>>>();
  readonly #failedAtMs = new Map<string, number>();
  readonly #modelsFolder: string;
  readonly #cacheFolder: string;

  /** `modelsFolder` holds the bundled models; what is fetched goes to `cacheFolder`. */
  constructor(modelsFolder: string, cacheFolder: string) {
    this.#modelsFolder = modelsFolder;
    this.#cacheFolder = cacheFolder;
  }

  codecOf(model: string): Codec | undefined {
    return this.#loaded.get(model)?.codec;
  }

  /** Loads a model's tokenizer, once; concurrent callers share the work. */
  load(model: Model): Promise<Result<ModelText>> {
    const ready = this.#loaded.get(model.id);
    if (ready !== undefined) return Promise.resolve(ok(ready));
    const failedAtMs = this.#failedAtMs.get(model.id);
    if (failedAtMs !== undefined && Date.now() - failedAtMs < RETRY_MS)
      return Promise.resolve(
        fail(failure('no_contributor', `The tokenizer of ${model.id} could not be fetched.`)),
      );
    const running = this.#loading.get(model.id) ?? this.#load(model);
    this.#loading.set(model.id, running);
    return running.finally(() => this.#loading.delete(model.id));
  }

  /** Loads the tokenizers that need no network. */
  async loadBundled(): Promise<void> {
    for (const model of catalogue)
      if (tokenizerFiles(model).every((file) => file.url.startsWith('/'))) {
        const loaded = await this.load(model);
        if (!loaded.ok) throw new Error(`the bundled model ${model.id}: ${loaded.failure.message}`);
      }
  }

  async #load(model: Model): Promise<Result<ModelText>> {
    try {
      const files = await Promise.all(tokenizerFiles(model).map((file) => this.#read(file)));
      const json = files.find((file) => file.name === 'tokenizer.json');
      const config = files.find((file) => file.name === 'tokenizer_config.json');
      const tokenizer = loadTokenizer(json?.content, config?.content);
      if (!tokenizer.ok) return fail(tokenizer.failure);
      const renderer = promptRenderer(tokenizer.value);
      if (!renderer.ok) return fail(renderer.failure);
      const text = { codec: codecOf(tokenizer.value), renderer: renderer.value };
      this.#loaded.set(model.id, text);
      return ok(text);
    } catch {
      this.#failedAtMs.set(model.id, Date.now());
      return fail(failure('no_contributor', `The tokenizer of ${model.id} could not be fetched.`));
    }
  }

  async #read(file: ModelFile): Promise<{ name: string; content: unknown }> {
    const name = file.url.slice(file.url.lastIndexOf('/') + 1);
    if (file.url.startsWith('/models/')) {
      const text = await readFile(join(this.#modelsFolder, file.url.slice('/models/'.length)), 'utf8');
      return { name, content: JSON.parse(text) };
    }
    const cached = join(this.#cacheFolder, createHash('sha256').update(file.url).digest('hex'));
    const kept = await readFile(cached, 'utf8').catch(() => undefined);
    if (kept !== undefined && matches(file, kept)) return { name, content: JSON.parse(kept) };
    const response = await fetch(file.url, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    if (!response.ok || Number(response.headers.get('content-length') ?? 0) > FILE_BYTES_MAX)
      throw new Error(`HTTP ${response.status}`);
    const text = await response.text();
    if (text.length > FILE_BYTES_MAX || !matches(file, text))
      throw new Error('not the file of the catalogue');
    const content: unknown = JSON.parse(text);
    await mkdir(this.#cacheFolder, { recursive: true });
    await writeFile(`${cached}.part`, text);
    await rename(`${cached}.part`, cached);
    return { name, content };
  }
}

const matches = (file: ModelFile, text: string): boolean =>
  file.sha256 === undefined || createHash('sha256').update(text).digest('hex') === file.sha256;

/** Every build of a model has the same tokenizer; the first one that names its files is read. */
function tokenizerFiles(model: Model): readonly ModelFile[] {
  const wanted = model.builds.map((build) =>
    build.files.filter((file) => /\/tokenizer(_config)?\.json$/.test(file.url)),
  );
  return wanted.find((files) => files.length > 0) ?? [];
}

export function codecOf(tokenizer: ChatTokenizer): Codec {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
  const known = (id: number) =>
    id < tokenizer.size && !tokenizer.specialIds.has(id) && tokenizer.bytesOf(id).length > 0;
  // Most tokens are whole text by themselves, and what they say together is then that in a row. Null for the others.
  const wholeTexts = new Map<number, string | null>();
  const wholeText = (id: number): string | null => {
    let text = wholeTexts.get(id);
    if (text === undefined) {
      try {
        text = known(id) ? strict.decode(tokenizer.bytesOf(id)) : null;
      } catch {
        text = null;
      }
      // Ids come from contributors: only those of the vocabulary are remembered.
      if (id < tokenizer.size) wholeTexts.set(id, text);
    }
    return text;
  };
  return {
    textOf: (ids) => {
      let text = '';
      for (const id of ids) {
        const piece = wholeText(id);
        if (piece === null)
          return ids.every(known) ? decoder.decode(tokenizer.decodeBytes(ids, { start: false })) : undefined;
        text += piece;
      }
      return text;
    },
    count: (text) => (text === '' ? 0 : tokenizer.count(text)),
  };
}
