/** The HTTP server: limits, errors and request logs for all routes. */
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { failure, type ErrorCode, type Failure } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { newId } from '@tussah/protocol/ids';
import { adminRoutes } from './admin.ts';
import { chatRoutes } from './chat.ts';
import { refuse, type HttpContext } from './context.ts';
import { networkRoutes } from './network.ts';
import { openApiRoute } from './openapi.ts';
import { siteRoutes } from './site.ts';

/** A request arrives whole within this. Answers may take as long as they need. */
const REQUEST_TIMEOUT_MS = 30_000;

export async function createServer(
  context: HttpContext,
  options: { readonly siteFolder: string; readonly trustProxy: boolean },
): Promise<FastifyInstance> {
  const app = Fastify({
    logger: false,
    bodyLimit: limits.requestBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    trustProxy: options.trustProxy,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    genReqId: () => newId('txn').replace('txn_', 'req_'),
    // Errors before routing, such as an oversized header, are answered in our shape too.
    clientErrorHandler(error, socket) {
      if (!socket.writable) return;
      const tooLarge = (error as NodeJS.ErrnoException).code === 'HPE_HEADER_OVERFLOW';
      const failed = failure(
        tooLarge ? 'headers_too_large' : 'invalid_request',
        'The request cannot be read.',
      );
      const body = JSON.stringify({ error: { ...failed, type: 'invalid_request_error', param: null } });
      const status = tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request';
      socket.end(
        `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    },
  });
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
  adminRoutes(app, context);
  await siteRoutes(app, options.siteFolder);
  return app;
}

const placeOf = (error: Error): string => (error.stack ?? '').split('\n').slice(1, 4).join(' ').trim();

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
