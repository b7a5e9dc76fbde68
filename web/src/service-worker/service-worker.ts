/** The site's service worker: lets the guard answer for the site's files, and keeps out of everything else. */
import { isLoopback } from './loopback.ts';
import { routeRequest, type Route } from './routing.ts';
import { SiteGuard } from './site-guard.ts';
import { SITE_CHANGED } from './site-report.ts';
import type { FetchEvent, MessageFromPage, WorkerScope } from './worker-scope.ts';

const scope = globalThis as unknown as WorkerScope;
const development = isLoopback(scope.location.hostname);

const guard = new SiteGuard({
  fetch: (address, init) => fetch(address, init),
  caches,
  now: () => Date.now(),
  development,
  onChange: () => void tellPages(),
});

/** Which release each open page was loaded from, as long as this worker runs. */
const pages = new Map<string, string>();
const PAGES_MAX = 200;

scope.addEventListener('install', (event) => {
  // A developer gets the newest at once. Elsewhere the present worker goes on until its pages are closed.
  event.waitUntil(Promise.all([guard.install(), ...(development ? [scope.skipWaiting()] : [])]));
});

scope.addEventListener('activate', (event) => event.waitUntil(scope.clients.claim()));

scope.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== scope.location.origin) return;
  const { method, mode, destination } = request;
  const route = routeRequest({ path: url.pathname, method, mode, destination });
  if (route.kind === 'page') event.waitUntil(check());
  if (route.kind === 'network') return;
  event.respondWith(development ? serverFirst(event, route) : guarded(event, route));
});

scope.addEventListener('message', (event) => event.waitUntil(answer(event)));

/** The server's build, whatever it is; the kept one only when there is no server. */
async function serverFirst(event: FetchEvent, route: Route): Promise<Response> {
  try {
    return await fetch(event.request);
  } catch (error) {
    const kept = route.kind === 'page' || route.kind === 'file' ? await guard.serve(route.file) : undefined;
    if (kept === undefined) throw error;
    return kept.response;
  }
}

async function guarded(event: FetchEvent, route: Route): Promise<Response> {
  if (route.kind === 'page') {
    const kept = await guard.serve(route.file, route.status);
    if (kept === undefined) return fetch(event.request);
    remember(event.resultingClientId, kept.release);
    return kept.response.type === 'error' ? unavailable() : kept.response;
  }
  if (route.kind === 'file') {
    const kept = await guard.serve(route.file);
    if (kept === undefined) return route.only ? Response.error() : fetch(event.request);
    if (kept.response.type === 'error') event.waitUntil(check());
    return kept.response;
  }
  return withoutOrigin(await fetch(event.request));
}

/** A document of the server's own, such as /openapi.json: without scripts, and not as a part of this site. */
function withoutOrigin(response: Response): Response {
  // A redirect is followed by the browser, and comes back here if it stays on this origin.
  if (response.type === 'opaqueredirect' || response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.append('content-security-policy', 'sandbox allow-downloads');
  const bare = response.status === 204 || response.status === 205 || response.status === 304;
  return new Response(bare ? null : response.body, {
    status: response.status,
    statusText: response.statusText,
    headers,
  });
}

const unavailable = () =>
  new Response(
    'The copy of this site that this browser kept is no longer whole, and the server does not offer the same files.\n' +
      'Try again later. To trust the server anew, clear this site’s data in the settings of your browser.\n',
    { status: 503, headers: { 'content-type': 'text/plain; charset=utf-8' } },
  );

/** A server that can't be reached is no news. */
const check = (): Promise<void> => guard.check().catch(() => undefined);

function remember(page: string, release: string): void {
  if (pages.size >= PAGES_MAX) pages.delete(pages.keys().next().value ?? '');
  pages.set(page, release);
}

async function answer({ data, source, ports: [port] }: MessageFromPage): Promise<void> {
  if (port === undefined) return;
  if (data === 'check') await check();
  if (data === 'forget') {
    await scope.registration.unregister();
    await guard.forget();
  }
  port.postMessage(await guard.report(pages.get(source?.id ?? '') ?? null));
}

async function tellPages(): Promise<void> {
  for (const page of await scope.clients.matchAll())
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a client is no window: it is of this origin
    page.postMessage(SITE_CHANGED);
}
