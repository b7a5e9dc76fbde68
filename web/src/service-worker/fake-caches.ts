/** Cache Storage in memory, for tests outside of browsers: what the site's service worker uses of it. */
export class FakeCaches {
  readonly #caches = new Map<string, Map<string, Uint8Array<ArrayBuffer>>>();

  async open(name: string): Promise<Cache> {
    const entries = this.#caches.get(name) ?? new Map<string, Uint8Array<ArrayBuffer>>();
    this.#caches.set(name, entries);
    const cache: Pick<Cache, 'match' | 'put'> = {
      match: async (key) => {
        const bytes = entries.get(addressOf(key));
        return bytes === undefined ? undefined : new Response(bytes);
      },
      put: async (key, response) => {
        entries.set(addressOf(key), new Uint8Array(await response.arrayBuffer()));
      },
    };
    return cache as Cache;
  }

  async keys(): Promise<string[]> {
    return [...this.#caches.keys()];
  }

  async delete(name: string): Promise<boolean> {
    return this.#caches.delete(name);
  }

  /** Everything that is kept, for damaging it. */
  entries(): Map<string, Uint8Array<ArrayBuffer>>[] {
    return [...this.#caches.values()];
  }
}

function addressOf(key: RequestInfo | URL): string {
  if (typeof key !== 'string') throw new Error('the site’s service worker names its files by address');
  return key;
}
