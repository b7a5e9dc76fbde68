/** The HTTP server: limits, errors and request logs for all routes. */
import type { IncomingMessage } from 'node:http';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { failure, type ErrorCode, type Failure } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { pathOf } from '../socket-door.ts';
import { adminRoutes } from './admin.ts';
import { cancelRoute } from './cancel.ts';
import { chatRoutes } from './chat.ts';
import { boundConnections } from './connection-bounds.ts';
import { refuse, type HttpContext } from './context.ts';
import { networkRoutes } from './network.ts';
import { nodeRoutes } from './nodes.ts';
import { openApiRoute } from './openapi.ts';
import { sealedRoute } from './sealed.ts';
import { siteRoutes } from './site.ts';
import { answerWithoutRoute, newRequestId } from './without-route.ts';

/** A request arrives whole within this. Answers may take as long as they need. */
const REQUEST_TIMEOUT_MS = 30_000;

/** Request line and headers together. */
const HEAD_BYTES = 16_384;

export interface ServerOptions {
  readonly siteFolder: string;
  readonly trustProxy: boolean;
  readonly connectionsMax: number;
  readonly connectionsPerNetwork: number;
  /** For the request to arrive, and for its answer to be read once it is made. */
  readonly requestTimeoutMs?: number;
}

export async function createServer(context: HttpContext, options: ServerOptions): Promise<FastifyInstance> {
  const requestTimeout = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  const app = Fastify({
    logger: false,
    bodyLimit: limits.requestBodyBytes,
    requestTimeout,
    // The next request on the same connection begins within this, too.
    keepAliveTimeout: requestTimeout,
    // An id of any length is one that nobody knows: Fastify would say that there is no such route.
    routerOptions: { maxParamLength: HEAD_BYTES },
    // Node takes the time for the headers from this when it makes the server, so that none is longer than the other; and
    // it looks for late requests twice a minute unless told otherwise.
    http: {
      requestTimeout,
      maxHeaderSize: HEAD_BYTES,
      connectionsCheckingInterval: requestTimeout / 10,
      shouldUpgradeCallback: isPeer,
      // Node would refuse in a shape of its own; the hook below does it in ours.
      requireHostHeader: false,
    },
    // One proxy: what stands further left in X-Forwarded-For is whatever the client wrote there.
    trustProxy: options.trustProxy && ((_, hop) => hop < 1),
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    genReqId: newRequestId,
    // Errors before routing, such as an oversized header, are answered in our shape too.
    clientErrorHandler: (error, socket) => {
      const failed = unreadable(error);
      context.metrics.refusedRequest(failed.code);
      if (socket.writable) socket.end(answerWithoutRoute(failed));
    },
    frameworkErrors: (_, request, reply) => {
      void reply.header('x-request-id', request.id);
      void refuse(reply, failure('invalid_request', 'The address cannot be read.'));
    },
  });
  boundConnections(app.server, {
    total: options.connectionsMax,
    perNetwork: options.trustProxy ? Infinity : options.connectionsPerNetwork,
    sendTimeoutMs: requestTimeout,
  });
  // Fastify would take text as a body, too.
  app.removeContentTypeParser('text/plain');
  app.decorateReply('refusal', null);
  const methodsAt = watchRoutes(app);
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
    // RFC 9112 section 3.2.
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
      await refuse(reply, failure('invalid_request', 'The request has no Host header.'));
  });
  // An expectation that we don't know is ignored, as RFC 9110 section 10.1.1 allows; Node would answer 417 by itself.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
  app.addHook('onResponse', async (request, reply) => {
    context.metrics.answered(request.routeOptions.url ?? 'none', reply.statusCode);
    if (reply.refusal !== null) context.metrics.refusedRequest(reply.refusal);
    if (request.routeOptions.url === undefined) return;
    const { method, id } = request;
    const facts = { id, method, route: request.routeOptions.url, status: reply.statusCode };
    context.log.debug({ ...facts, ms: Math.round(reply.elapsedTime) }, 'request');
  });
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const failed = asFailure(error);
    // The error of a bug may quote its input: the log gets its kind and place, never its text.
    if (failed.code === 'internal')
      context.log.error(
        { id: request.id, route: request.routeOptions.url, name: error.name, at: placeOf(error) },
        'request failed',
      );
    return refuse(reply, failed);
  });
  chatRoutes(app, context);
  cancelRoute(app, context);
  sealedRoute(app, context);
  networkRoutes(app, context);
  nodeRoutes(app, context);
  openApiRoute(app, context.version);
  await adminRoutes(app, context);
  await siteRoutes(app, options.siteFolder, methodsAt);
  return app;
}

/** Any other upgrade that is offered is ignored, and the request answered as it is (RFC 9110 section 7.8). */
const isPeer = (request: IncomingMessage): boolean =>
  request.method === 'GET' &&
  ['/worker', '/node'].includes(pathOf(request) ?? '') &&
  request.headers.upgrade?.toLowerCase() === 'websocket';

/** Without the error's message, which may have lines of its own. */
const placeOf = (error: Error): string =>
  (error.stack ?? '')
    .split('\n')
    .filter((line) => /^ {4}at /.test(line))
    .slice(0, 3)
    .join(' ')
    .trim();

/** Tells the methods of our routes at a path; none where there is no route. */
function watchRoutes(app: FastifyInstance): (path: string) => string[] {
  const routes: { readonly path: RegExp; readonly methods: readonly string[] }[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    if (url.includes('*')) return;
    const path = url.replaceAll('.', String.raw`\.`).replaceAll(/:\w+/g, '[^/]+');
    routes.push({ path: new RegExp(`^${path}$`), methods: [method].flat() });
  });
  return (path) => [
    ...new Set(routes.filter((route) => route.path.test(path)).flatMap(({ methods }) => methods)),
  ];
}

function unreadable(error: NodeJS.ErrnoException): Failure<ErrorCode> {
  if (error.code === 'HPE_HEADER_OVERFLOW') return failure('headers_too_large');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return failure('request_timeout');
  return failure('invalid_request', 'The request cannot be read.');
}

/** Fastify's own errors by their codes; anything else is a bug of ours. */
function asFailure(error: FastifyError): Failure<ErrorCode> {
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return failure('body_too_large');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return failure('unsupported_media_type');
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return failure('invalid_json');
    default:
      if (error instanceof SyntaxError) return failure('invalid_json');
      // A file of the site that is none, such as a folder.
      if (error.statusCode === 403 || error.statusCode === 404) return failure('not_found');
      return error.statusCode !== undefined && error.statusCode < 500
        ? failure('invalid_request', 'The request cannot be read.')
        : failure('internal');
  }
}
