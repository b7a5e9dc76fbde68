/** What the service worker and the pages of the site say to each other. */
import type { Failure } from '@tussah/protocol/errors';

/** Why something that the server offers was not taken. */
export interface Refusal extends Failure {
  /** Files that differ from those of the installed release; the first few of them. */
  readonly paths: readonly string[];
  /** Unix milliseconds. */
  readonly atMs: number;
}

export interface SiteReport {
  /** `development`: on this machine's own address, where every build is taken. */
  readonly mode: 'development' | 'guarded';
  /** What the next page is loaded from; null before there is any. */
  readonly installed: {
    readonly version: string;
    readonly sha256: string;
    /** Null: nobody signed it. */
    readonly signed: { readonly key: string; readonly issuedAtMs: number } | null;
  } | null;
  /** The release that the asking page was loaded from, by hash; null when it came from the server. */
  readonly page: string | null;
  readonly refusal: Refusal | null;
}

/** `report` asks for one, `check` has the server looked at first, `forget` gives up the kept copy. */
export type SiteRequest = 'report' | 'check' | 'forget';

/** Sent to all pages when something changed; they ask for a report then. */
export const SITE_CHANGED = 'tussah-site-changed';
