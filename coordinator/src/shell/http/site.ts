/** The built site: its files, its pages and their headers. */
import { existsSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { failure } from '@tussah/protocol/errors';
import { siteHeaders } from '@tussah/protocol/site/site-headers';
import { refuse } from './context.ts';

/** Pages of the site; anything else without an extension is answered by the site's own not-found page. */
const pages = new Set(['/', '/contribute', '/verify']);

/** `methodsAt` tells which methods the API's own routes take at a path. */
export async function siteRoutes(
  app: FastifyInstance,
  folder: string,
  methodsAt: (path: string) => readonly string[],
): Promise<void> {
  const index = join(folder, 'index.html');
  app.addHook('onSend', async (request, reply) => {
    const path = request.url.split('?')[0] ?? '/';
    void reply.headers(siteHeaders(path));
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
