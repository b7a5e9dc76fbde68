/** The built site, with a Content-Security-Policy for pages and another for the worker that runs engines. */
import { existsSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { failure } from '@tussah/protocol/errors';
import { refuse } from './context.ts';

/** Pages of the site; anything else without an extension is answered by the site's own not-found page. */
const pages = new Set(['/', '/contribute']);

const policyOf = (policy: Record<string, string>): string =>
  Object.entries(policy)
    .map(([name, value]) => `${name} ${value}`)
    .join('; ');

const pagePolicy = policyOf({
  'default-src': "'none'",
  'script-src': "'self' 'wasm-unsafe-eval'",
  'style-src': "'self'",
  'img-src': "'self' data:",
  'font-src': "'self'",
  'connect-src': "'self'",
  'worker-src': "'self'",
  'manifest-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
});

/** Where the catalogue's models and their libraries are kept; reached only after a person chose one. */
const modelHosts =
  'https://huggingface.co https://*.huggingface.co https://*.hf.co https://raw.githubusercontent.com';

/** wllama starts a worker of its own from a blob. */
const enginePolicy = policyOf({
  'default-src': "'none'",
  'script-src': "'self' 'wasm-unsafe-eval' blob:",
  'worker-src': "'self' blob:",
  'connect-src': `'self' blob: data: ${modelHosts}`,
});

const isEngineScript = (path: string): boolean => /\/assets\/[^/]*worker[^/]*\.js$/.test(path);

/** `methodsAt` tells which methods the API's own routes take at a path. */
export async function siteRoutes(
  app: FastifyInstance,
  folder: string,
  methodsAt: (path: string) => readonly string[],
): Promise<void> {
  const index = join(folder, 'index.html');
  app.addHook('onSend', async (request, reply) => {
    const path = request.url.split('?')[0] ?? '/';
    void reply.headers({
      'content-security-policy': isEngineScript(path) ? enginePolicy : pagePolicy,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=()',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    });
  });
  const built = existsSync(index);
  const page = built ? readFileSync(index) : undefined;
  if (built)
    await app.register(fastifyStatic, {
      root: folder,
      index: false,
      dotfiles: 'ignore',
      wildcard: true,
      setHeaders: (response, path) => {
        // Names under assets/ hold a hash of their content.
        const lasting = path.startsWith(join(folder, 'assets') + sep);
        void response.header('cache-control', lasting ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '/';
    const allowed = methodsAt(path);
    if (allowed.length > 0)
      // RFC 9110 section 15.5.6.
      return refuse(reply.header('allow', allowed.join(', ')), failure('method_not_allowed'));
    const wantsPage = request.method === 'GET' && !path.startsWith('/v1/') && !path.slice(1).includes('.');
    if (page === undefined || !wantsPage) return refuse(reply, failure('not_found'));
    return reply
      .code(pages.has(path) ? 200 : 404)
      .header('cache-control', 'no-cache')
      .type('text/html; charset=utf-8')
      .send(page);
  });
  if (page !== undefined)
    for (const path of pages)
      app.get(path, (_, reply) =>
        reply.header('cache-control', 'no-cache').type('text/html; charset=utf-8').send(page),
      );
}
