/** The HTTP server: limits, errors and request logs for all routes. */
import { STATUS_CODES } from 'node:http';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { errorBody, failure, type ErrorCode, type Failure } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { newId } from '@tussah/protocol/ids';
import { adminRoutes } from './admin.ts';
import { chatRoutes } from './chat.ts';
import { refuse, statusOf, type HttpContext } from './context.ts';
import { networkRoutes } from './network.ts';
import { openApiRoute } from './openapi.ts';
import { siteRoutes } from './site.ts';

/** A request arrives whole within this. Answers may take as long as they need. */
const REQUEST_TIMEOUT_MS = 30_000;

export interface ServerOptions {
  readonly siteFolder: string;
  readonly trustProxy: boolean;
  readonly requestTimeoutMs?: number;
}

export async function createServer(context: HttpContext, options: ServerOptions): Promise<FastifyInstance> {
  const requestTimeout = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  const app = Fastify({
    logger: false,
    bodyLimit: limits.requestBodyBytes,
    requestTimeout,
    // Node takes the time for the headers from this when it makes the server, so that none is longer than the other; and
    // it looks for late requests twice a minute unless told otherwise.
    http: { requestTimeout, connectionsCheckingInterval: requestTimeout / 10 },
    // One proxy: what stands further left in X-Forwarded-For is whatever the client wrote there.
    trustProxy: options.trustProxy && ((_, hop) => hop < 1),
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    genReqId: newRequestId,
    // Errors before routing, such as an oversized header, are answered in our shape too.
    clientErrorHandler: (error, socket) => {
      if (socket.writable) socket.end(answerWithoutRoute(unreadable(error)));
    },
    frameworkErrors: (_, request, reply) => {
      void reply.header('x-request-id', request.id);
      void refuse(reply, failure('invalid_request', 'The address cannot be read.'));
    },
  });
  // Fastify would take text as a body, too.
  app.removeContentTypeParser('text/plain');
  const methodsAt = watchRoutes(app);
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
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
  networkRoutes(app, context);
  openApiRoute(app, context.version);
  await adminRoutes(app, context);
  await siteRoutes(app, options.siteFolder, methodsAt);
  return app;
}

const newRequestId = (): string => newId('txn').replace('txn_', 'req_');

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

/** A whole HTTP response, for a socket whose request never came to be one. */
function answerWithoutRoute(failed: Failure<ErrorCode>): string {
  const body = JSON.stringify(errorBody(failed));
  const status = statusOf(failed);
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${newRequestId()}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
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
      return error.statusCode !== undefined && error.statusCode < 500
        ? failure('invalid_request', 'The request cannot be read.')
        : failure('internal');
  }
}
