/** Lists of nodes that are new enough to choose from again: a question then waits for no other request than its own. */
import { ok, type Result } from '@tussah/protocol/errors';
import type { Directory, Listing } from './directory.ts';
import { remember } from './remember.ts';

/** A node that has left meanwhile costs one more attempt. */
const FRESH_MS = 30_000;
const MODELS_KEPT = 32;

export class Listings {
  readonly #directory: Directory;
  readonly #now: () => number;
  readonly #kept = new Map<string, { readonly listing: Listing; readonly atMs: number }>();

  constructor(directory: Directory, now: () => number) {
    this.#directory = directory;
    this.#now = now;
  }

  async get(model: string, signal: AbortSignal): Promise<Result<Listing>> {
    const kept = this.#kept.get(model);
    const ageMs = kept === undefined ? Number.POSITIVE_INFINITY : this.#now() - kept.atMs;
    // A clock that was set back makes nothing newer.
    if (kept !== undefined && ageMs >= 0 && ageMs < FRESH_MS) return ok(kept.listing);
    const listing = await this.#directory.list(model, signal);
    this.#kept.delete(model);
    if (!listing.ok || listing.value.nodes.length === 0) return listing;
    remember(this.#kept, model, { listing: listing.value, atMs: this.#now() }, MODELS_KEPT);
    return listing;
  }

  /** The next question begins with a new list. */
  forget(model: string): void {
    this.#kept.delete(model);
  }
}
