/** One request under way that ends with the caller's signal, with `close`, or when nothing comes for too long. */

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export class Connection {
  readonly #own = new AbortController();
  readonly #signal: AbortSignal;
  #broken = false;

  constructor(signal: AbortSignal) {
    this.#signal = AbortSignal.any([signal, this.#own.signal]);
  }

  close(): void {
    this.#own.abort();
  }

  /** The head of the answer; undefined when there is none. */
  ask(fetch: Fetch, url: string, init: RequestInit, silenceMs: number): Promise<Response | undefined> {
    // The key goes in the header alone; there are no cookies to send.
    const asked: RequestInit = { ...init, credentials: 'omit', signal: this.#signal };
    return this.#unlessSilent(() => fetch(url, asked), silenceMs);
  }

  /** Whether the last body broke off, or was too slow. */
  get broken(): boolean {
    return this.#broken;
  }

  /** The whole body; undefined where it breaks off, is not UTF-8 or is longer than `bytesMax`. */
  async text(response: Response, bytesMax: number, silenceMs: number): Promise<string | undefined> {
    if (response.body === null) return '';
    // A byte order mark is part of the text: whoever hashes it hashes the very bytes that came.
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    let [text, size] = ['', 0];
    try {
      for await (const bytes of this.#read(response.body, silenceMs)) {
        size += bytes.length;
        if (size > bytesMax) return undefined;
        text += decoder.decode(bytes, { stream: true });
      }
      return text + decoder.decode();
    } catch {
      return undefined;
    }
  }

  /** The body as JSON; undefined where there is none. */
  async json(response: Response, bytesMax: number, silenceMs: number): Promise<unknown> {
    const text = await this.text(response, bytesMax, silenceMs);
    try {
      return text === undefined ? undefined : (JSON.parse(text) as unknown);
    } catch {
      return undefined;
    }
  }

  /** A broken connection ends the list. */
  async *chunks(body: ReadableStream<Uint8Array>, silenceMs: number): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* this.#read(body, silenceMs);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
    }
  }

  /** Safari's streams can't be iterated yet. Throws `Broken`. */
  async *#read(body: ReadableStream<Uint8Array>, silenceMs: number): AsyncGenerator<Uint8Array, void, void> {
    const reader = body.getReader();
    try {
      for (;;) {
        const read = await this.#unlessSilent(() => reader.read(), silenceMs);
        if (read === undefined) {
          this.#broken = true;
          throw new Broken();
        }
        if (read.value === undefined) return;
        yield read.value;
      }
    } finally {
      // After an abort this rejects with the abort itself.
      await reader.cancel().catch(() => undefined);
    }
  }

  async #unlessSilent<Value>(work: () => Promise<Value>, silenceMs: number): Promise<Value | undefined> {
    const timer = setTimeout(() => this.close(), silenceMs);
    try {
      return await work();
    } catch {
      // Browsers say nothing about why a request failed, and every reason has the same remedy.
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

class Broken extends Error {}

/** A day: whoever names more does not mean it. */
const RETRY_AFTER_MAX = 86_400;

/** How long a refusal asks to wait, where it does. */
export function retryAfterOf({ headers }: Response): { readonly retryAfterSeconds?: number } {
  const seconds = Math.ceil(Number(headers.get('retry-after') ?? Number.NaN));
  return seconds > 0 && seconds <= RETRY_AFTER_MAX ? { retryAfterSeconds: seconds } : {};
}
