/** What becomes of a request for something on the site's own origin. */
import { INDEX_FILE } from '@tussah/protocol/site/release';
import { routeOf } from '../app/routes.ts';

export interface SiteRequestFacts {
  readonly path: string;
  readonly method: string;
  /** As in the Fetch standard: `navigate` for documents. */
  readonly mode: string;
  /** As in the Fetch standard: `script`, `worker`, `image`; empty for what a script fetches. */
  readonly destination: string;
}

export type Route =
  /** None of our business: the API, which may stream, and models, whose files the runtime checks itself. */
  | { readonly kind: 'network' }
  /** The site's page. */
  | { readonly kind: 'page'; readonly file: string; readonly status: 200 | 404 }
  /** A file of a release if one has it; otherwise refused when `only`, else the server's. */
  | { readonly kind: 'file'; readonly file: string; readonly only: boolean }
  /** A document that is not the site's: it is shown, but must not act as the site. */
  | { readonly kind: 'foreign-document' };

export function routeRequest({ path, method, mode, destination }: SiteRequestFacts): Route {
  if (mode === 'navigate') {
    const isPage = method === 'GET' && !served.some((start) => path.startsWith(start)) && !path.includes('.');
    if (!isPage) return { kind: 'foreign-document' };
    return { kind: 'page', file: INDEX_FILE, status: routeOf(path) === 'not-found' ? 404 : 200 };
  }
  if (method !== 'GET' || served.some((start) => path.startsWith(start))) return { kind: 'network' };
  // Scripts are told apart by what they become, so that none comes from the server because of its name.
  const only = destination !== '' || path.startsWith('/assets/');
  return { kind: 'file', file: path.slice(1), only };
}

/** Paths that the coordinator answers itself. */
const served = ['/v1/', '/models/', '/healthz', '/readyz', '/metrics', '/openapi.json'];
