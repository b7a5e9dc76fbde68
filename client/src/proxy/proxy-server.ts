/** The proxy's HTTP server: on loopback only, with bounds on everything that a peer can send, or not send. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { errorBody, failure, type Failure } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { refusalResponse } from '../private/openai-shapes.ts';
import { objectionTo } from './guard.ts';
import { answer, type ProxyContext } from './proxy-routes.ts';

export interface ProxyServerOptions extends ProxyContext {
  /** 0 for any that is free. */
  readonly port: number;
  readonly token: string;
  /** For a request to arrive, in milliseconds. */
  readonly requestTimeoutMs?: number;
  /** Of something that is a bug of ours: its kind, never its text. */
  readonly onBug: (name: string) => void;
}

export interface ProxyServer {
  readonly port: number;
  /** Takes no more requests; resolves when the running answers have ended, at once if they are not to be waited for. */
  close(finish: boolean): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 15_000;
const HEAD_BYTES = 16_384;
const CONNECTIONS_MAX = 128;
/** Of chats at once. */
const ANSWERS_MAX = 32;
/** An answer that nobody reads is given up after this. */
const UNREAD_MS = 120_000;

/** Rejects with Node's error when the port can't be had. */
export async function startProxy(options: ProxyServerOptions): Promise<ProxyServer> {
  const timeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  const running = new Set<AbortController>();
  const server = createServer({
    maxHeaderSize: HEAD_BYTES,
    headersTimeout: timeoutMs,
    requestTimeout: timeoutMs,
    keepAliveTimeout: timeoutMs,
    connectionsCheckingInterval: timeoutMs / 10,
    // Answered by the guard, in our shape.
    requireHostHeader: false,
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on('connection', (socket) => closeUnused(socket, timeoutMs));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuseUnread(error, socket));
  // Neither is spoken here; both would leave the bounds above.
  server.on('upgrade', (_, socket) => socket.destroy());
  server.on('connect', (_, socket) => socket.destroy());
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  const port = await listen(server, options.port);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    // A connection that was kept for more would keep a server that stops.
    response.once('close', () => {
      if (!server.listening) server.closeIdleConnections();
    });
    void serve({ ...options, port }, running, request, response);
  });
  return { port, close: (finish) => closeServer(server, running, finish) };
}

/** Node counts the time for a request from its first byte. */
function closeUnused(socket: Socket, timeoutMs: number): void {
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const stop = () => clearTimeout(timer);
  socket.once('data', stop);
  socket.once('close', stop);
  socket.on('error', () => undefined);
}

function refuseUnread({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return;
  const why =
    code === 'HPE_HEADER_OVERFLOW'
      ? failure('headers_too_large')
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? failure('request_timeout')
        : failure('invalid_request', 'This is not HTTP.');
  const status = {
    headers_too_large: '431 Request Header Fields Too Large',
    request_timeout: '408 Request Timeout',
  };
  const line = status[why.code as keyof typeof status] ?? '400 Bad Request';
  const body = JSON.stringify(errorBody(why));
  socket.end(
    `HTTP/1.1 ${line}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

async function serve(
  options: ProxyServerOptions,
  running: Set<AbortController>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  response.on('error', () => controller.abort());
  const objection = objectionTo(request.headers, options);
  // Whoever may not speak here is not read any further.
  if (objection !== undefined) return refuseAndClose(response, objection);
  if (running.size >= ANSWERS_MAX)
    return refuseAndClose(response, failure('rate_limited', 'The proxy answers too many requests already.'));
  running.add(controller);
  try {
    const answered = await answer(options, {
      method: request.method ?? '',
      path: (request.url ?? '').split('?')[0] ?? '',
      contentType: request.headers['content-type'] ?? '',
      body: () => bodyOf(request),
      signal: controller.signal,
    });
    await send(answered, response, controller.signal);
  } catch (error) {
    const { aborted } = controller.signal;
    if (!aborted) options.onBug(error instanceof Error ? error.name : 'unknown');
    if (response.headersSent) response.destroy();
    else await refuseAndClose(response, failure(aborted ? 'shutting_down' : 'internal'));
  } finally {
    running.delete(controller);
  }
}

async function refuseAndClose(response: ServerResponse, failed: Failure): Promise<void> {
  response.setHeader('connection', 'close');
  const refusal = refusalResponse(failed);
  response.writeHead(refusal.status, Object.fromEntries(refusal.headers));
  response.end(await refusal.text());
}

/** Undefined when it is larger than a coordinator would take. Rejects when the peer leaves. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > limits.requestBodyBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Passes an answer on as fast as it is read. */
async function send(answered: Response, response: ServerResponse, signal: AbortSignal): Promise<void> {
  const complete = response.req.complete;
  response.writeHead(answered.status, {
    ...Object.fromEntries(answered.headers),
    'x-content-type-options': 'nosniff',
    // What is left of a body that was not read to its end would be taken for the next request.
    ...(complete ? {} : { connection: 'close' }),
  });
  if (answered.body !== null)
    for await (const bytes of answered.body as unknown as AsyncIterable<Uint8Array>) {
      if (signal.aborted) return;
      if (!response.write(bytes)) await drained(response, signal);
    }
  response.end();
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => response.destroy(), UNREAD_MS);
    const done = () => {
      clearTimeout(timer);
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    signal.addEventListener('abort', done);
  });
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function closeServer(server: Server, running: Set<AbortController>, finish: boolean): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    if (finish) return;
    for (const controller of running) controller.abort();
    server.closeAllConnections();
  });
}
