/**
 * `/worker`: WebSockets of contributors. Frames are bounded in size and rate, read by their schema and handed to the core;
 * what the core sends goes out unless a contributor reads too slowly.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  closeCodes,
  ContributorFrameSchema,
  PROTOCOL,
  type CoordinatorFrame,
} from '@tussah/protocol/contributor-frames';
import { limits } from '@tussah/protocol/limits';
import * as v from 'valibot';
import { WebSocket, WebSocketServer, type RawData } from 'ws';
import type { Event, Refusal } from '../core/events.ts';
import { networkOf } from './accounts.ts';
import { TokenBucket } from './token-bucket.ts';

/** What may wait in memory for one slow contributor. */
const UNSENT_BYTES_MAX = 8 * 1024 * 1024;
/** Time for the last frame and the close handshake before the socket is cut. */
const CLOSE_GRACE_MS = 2_000;

export interface SocketLimits {
  readonly connections: number;
  readonly connectionsPerNetwork: number;
  /** Whether a proxy in front tells addresses in X-Forwarded-For. */
  readonly trustProxy: boolean;
}

interface Peer {
  readonly socket: WebSocket;
  readonly network: string;
  readonly bucket: TokenBucket;
}

const breach = (closeCode: number, code: string, message: string, remedy: string): Refusal => ({
  closeCode,
  code,
  message,
  remedy,
  retry: true,
});

const frameTooLarge = breach(
  closeCodes.frameTooLarge,
  'frame_too_large',
  `A frame was larger than ${limits.contributorFrameBytes} bytes.`,
  'Send smaller frames.',
);

/** A hello of another version, whatever else has changed in it. */
const otherProtocol = v.object({
  type: v.literal('hello'),
  protocol: v.pipe(v.string(), v.notValue(PROTOCOL)),
});
const protocolMismatch: Refusal = {
  ...breach(
    closeCodes.protocolMismatch,
    'protocol_mismatch',
    `This coordinator speaks ${PROTOCOL}.`,
    'Use a contributor of the same version as the coordinator.',
  ),
  retry: false,
};

export class ContributorSockets {
  readonly #server: WebSocketServer;
  readonly #peers = new Map<string, Peer>();
  readonly #byNetwork = new Map<string, number>();
  readonly #limits: SocketLimits;
  readonly #post: (event: Event) => void;
  readonly #now: () => number;
  #next = 0;

  constructor(socketLimits: SocketLimits, post: (event: Event) => void, now: () => number) {
    this.#limits = socketLimits;
    this.#post = post;
    this.#now = now;
    this.#server = new WebSocketServer({
      noServer: true,
      // Compressing small frames costs six times the relay itself.
      perMessageDeflate: false,
      // Larger ones end the connection before we are asked, without a frame that says why (RFC 6455, code 1009).
      maxPayload: 4 * limits.contributorFrameBytes,
      // The schema refuses what is not a string of a frame; checking UTF-8 is the protocol's own business.
      skipUTF8Validation: false,
    });
  }

  get size(): number {
    return this.#peers.size;
  }

  /** Takes over upgrades to `/worker` on this server; others are refused. */
  attach(server: Server): void {
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  send(connectionId: string, frame: CoordinatorFrame): void {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined || peer.socket.readyState !== WebSocket.OPEN) return;
    if (peer.socket.bufferedAmount > UNSENT_BYTES_MAX) {
      peer.socket.terminate();
      return;
    }
    peer.socket.send(JSON.stringify(frame));
  }

  close(connectionId: string, refusal: Refusal): void {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined) return;
    this.#forget(connectionId, peer);
    end(peer.socket, refusal.closeCode, refusal.code);
  }

  closeAll(): void {
    for (const [connectionId, peer] of this.#peers) {
      this.#forget(connectionId, peer);
      end(peer.socket, closeCodes.shuttingDown, 'shutting_down');
    }
    this.#server.close();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const path = (request.url ?? '').split('?')[0];
    const network = networkOf(addressOf(request, this.#limits.trustProxy));
    if (path !== '/worker') return refuseUpgrade(socket, '404 Not Found');
    if (this.#peers.size >= this.#limits.connections) return refuseUpgrade(socket, '503 Service Unavailable');
    if ((this.#byNetwork.get(network) ?? 0) >= this.#limits.connectionsPerNetwork)
      return refuseUpgrade(socket, '429 Too Many Requests');
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket, network));
  }

  #open(socket: WebSocket, network: string): void {
    const connectionId = `c${this.#next++}`;
    const bucket = new TokenBucket(limits.framesPerSecond, limits.frameBurst, this.#now());
    this.#peers.set(connectionId, { socket, network, bucket });
    this.#byNetwork.set(network, (this.#byNetwork.get(network) ?? 0) + 1);
    socket.on('message', (data, isBinary) => this.#message(connectionId, data, isBinary));
    socket.on('error', () => undefined);
    socket.on('close', (code) => this.#closed(connectionId, code));
    this.#post({ type: 'connection-opened', connectionId, nonce: randomBytes(32).toString('hex') });
  }

  #message(connectionId: string, data: RawData, isBinary: boolean): void {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined) return;
    const read = readFrame(data, isBinary);
    const refusal = peer.bucket.take(this.#now())
      ? read.refusal
      : breach(
          closeCodes.tooFast,
          'too_fast',
          'Frames arrive too fast.',
          'Put more tokens into one text-delta.',
        );
    if (refusal !== undefined) this.#post({ type: 'connection-breached', connectionId, refusal });
    else if (read.frame !== undefined)
      this.#post({ type: 'frame-received', connectionId, frame: read.frame });
  }

  #closed(connectionId: string, code: number): void {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined) return;
    this.#forget(connectionId, peer);
    // 1009 is ws's own answer to a frame over maxPayload: a breach, not a lost connection.
    this.#post(
      code === 1009
        ? { type: 'connection-breached', connectionId, refusal: frameTooLarge }
        : { type: 'connection-closed', connectionId },
    );
  }

  #forget(connectionId: string, peer: Peer): void {
    this.#peers.delete(connectionId);
    const left = (this.#byNetwork.get(peer.network) ?? 1) - 1;
    if (left > 0) this.#byNetwork.set(peer.network, left);
    else this.#byNetwork.delete(peer.network);
  }
}

/** Of the client; the proxy's own entry in X-Forwarded-For is the last. */
function addressOf(request: IncomingMessage, trustProxy: boolean): string {
  const forwarded = [request.headers['x-forwarded-for']].flat().join(',').split(',').at(-1)?.trim() ?? '';
  return trustProxy && forwarded !== '' ? forwarded : (request.socket.remoteAddress ?? '');
}

type Read = { frame?: v.InferOutput<typeof ContributorFrameSchema>; refusal?: Refusal };

function readFrame(data: RawData, isBinary: boolean): Read {
  const malformed = (detail: string): Read => ({
    refusal: breach(
      closeCodes.malformedFrame,
      'malformed_frame',
      `This frame cannot be read: ${detail}.`,
      'Send frames of tussah.v1 as JSON text.',
    ),
  });
  if (isBinary) return malformed('it is binary');
  const bytes = bytesOf(data);
  if (bytes.length > limits.contributorFrameBytes) return { refusal: frameTooLarge };
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return malformed('it is not JSON');
  }
  const parsed = v.safeParse(ContributorFrameSchema, value, { abortEarly: true });
  if (parsed.success) return { frame: parsed.output };
  if (v.is(otherProtocol, value)) return { refusal: protocolMismatch };
  const issue = parsed.issues[0];
  return malformed(
    `${v.getDotPath(issue) ?? 'frame'} should be ${issue.expected ?? 'otherwise'}`.slice(0, 200),
  );
}

const bytesOf = (data: RawData): Buffer =>
  Array.isArray(data) ? Buffer.concat(data) : data instanceof ArrayBuffer ? Buffer.from(data) : data;

function end(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, reason);
  setTimeout(() => socket.terminate(), CLOSE_GRACE_MS).unref();
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
