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
import { failure } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { WebSocket, WebSocketServer, type RawData } from 'ws';
import type { Event } from '../core/events.ts';
import type { Refusal } from '../core/refusal.ts';
import { answerWithoutRoute } from './http/without-route.ts';
import { breach, frameTooLarge, readFrame } from './read-frame.ts';
import { pathOf, type SocketDoor } from './socket-door.ts';
import { TokenBucket } from './token-bucket.ts';

/** What may wait in memory for one slow contributor. */
const UNSENT_BYTES_MAX = 8 * 1024 * 1024;
/** Time for the last frame and the close handshake before the socket is cut. */
const CLOSE_GRACE_MS = 2_000;

/** Who is told what happens on a socket. */
interface Listener {
  readonly message: (peer: Peer, data: RawData, isBinary: boolean) => void;
  /** Counts a frame of any kind; false where nothing more is taken. */
  readonly inTime: (peer: Peer) => boolean;
  readonly closed: (peer: Peer, code: number) => void;
}

/** A socket with all that we keep of it: there are thousands, most of them idle, so that small things add up. */
class Peer extends WebSocket {
  connectionId = '';
  network = '';
  bucket!: TokenBucket;
  listener!: Listener;
}

const tooFast = breach(
  closeCodes.tooFast,
  'too_fast',
  'Frames arrive too fast.',
  'Put more tokens into one text-delta.',
);

const reader = {
  schema: ContributorFrameSchema,
  protocol: PROTOCOL,
  bytesMax: limits.contributorFrameBytes,
  peer: 'contributor',
} as const;

/** Why a socket never becomes a connection. */
const turnedAway = {
  handshake: failure('invalid_request', 'This is not the opening handshake of a WebSocket.'),
  full: failure('rate_limited', 'This coordinator has as many contributors as it takes.'),
  network_full: failure('rate_limited', 'This network address has as many contributors as it may have.'),
} as const;

export class ContributorSockets {
  readonly #server: InstanceType<typeof WebSocketServer<typeof Peer>>;
  readonly #peers = new Map<string, Peer>();
  readonly #door: SocketDoor;
  readonly #post: (event: Event) => void;
  readonly #now: () => number;
  readonly #listener: Listener = {
    message: (peer, data, isBinary) => this.#message(peer, data, isBinary),
    inTime: (peer) => this.#inTime(peer),
    closed: (peer, code) => this.#closed(peer, code),
  };
  /** Since the start: sockets that never spoke, or were cut without a frame, by why. */
  readonly dropped = { full: 0, network_full: 0, handshake: 0, slow: 0 };
  #next = 0;

  constructor(door: SocketDoor, post: (event: Event) => void, now: () => number) {
    this.#door = door;
    this.#post = post;
    this.#now = now;
    this.#server = new WebSocketServer({
      noServer: true,
      WebSocket: Peer,
      // We keep them ourselves.
      clientTracking: false,
      // Compressing small frames costs six times the relay itself.
      perMessageDeflate: false,
      // Larger ones end the connection before we are asked, without a frame that says why (RFC 6455, code 1009).
      maxPayload: 4 * limits.contributorFrameBytes,
      // Each piece of a frame costs memory of its own until the frame is whole (RFC 6455, code 1008).
      maxFragments: 256,
      maxBufferedChunks: 4_096,
      // The schema refuses what is not a string of a frame; checking UTF-8 is the protocol's own business.
      skipUTF8Validation: false,
      // Pings are counted like all other frames before they are answered.
      autoPong: false,
    });
    this.#server.on('wsClientError', (_, socket) => this.#turnAway(socket, 'handshake'));
  }

  get size(): number {
    return this.#peers.size;
  }

  /** Takes over upgrades to `/worker` on this server. */
  attach(server: Server): void {
    server.on('upgrade', (request, socket, head) => {
      if (pathOf(request) === '/worker') this.#upgrade(request, socket, head);
    });
  }

  send(connectionId: string, frame: CoordinatorFrame): void {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined || peer.readyState !== WebSocket.OPEN) return;
    if (peer.bufferedAmount > UNSENT_BYTES_MAX) {
      this.dropped.slow += 1;
      peer.terminate();
      return;
    }
    peer.send(JSON.stringify(frame));
  }

  close(connectionId: string, refusal: Refusal): void {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined) return;
    this.#forget(peer);
    end(peer, refusal.closeCode, refusal.code);
  }

  closeAll(): void {
    for (const peer of this.#peers.values()) {
      this.#forget(peer);
      end(peer, closeCodes.shuttingDown, 'shutting_down');
    }
    this.#server.close();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', destroy);
    const network = this.#door.networkOf(request);
    const closed = this.#door.closedFor(network);
    if (closed !== undefined) return this.#turnAway(socket, closed);
    this.#server.handleUpgrade(request, socket, head, (peer) => {
      // From here on ws listens.
      socket.off('error', destroy);
      this.#open(peer, network);
    });
  }

  #turnAway(socket: Duplex, reason: keyof typeof turnedAway): void {
    this.dropped[reason] += 1;
    socket.end(answerWithoutRoute(turnedAway[reason]));
  }

  #open(peer: Peer, network: string): void {
    peer.connectionId = `c${this.#next++}`;
    peer.network = network;
    peer.bucket = new TokenBucket(limits.framesPerSecond, limits.frameBurst, this.#now());
    peer.listener = this.#listener;
    this.#peers.set(peer.connectionId, peer);
    this.#door.enter(network);
    // The same functions for all: some of each one's own would take more memory than all else that we add to a socket.
    peer
      .on('message', onMessage)
      .on('ping', onPing)
      .on('pong', onPong)
      .on('error', ignore)
      .on('close', onClose);
    const nonce = randomBytes(32).toString('hex');
    this.#post({ type: 'connection-opened', connectionId: peer.connectionId, nonce });
  }

  #message(peer: Peer, data: RawData, isBinary: boolean): void {
    if (!this.#inTime(peer)) return;
    const { connectionId } = peer;
    const { frame, refusal } = readFrame(reader, data, isBinary);
    if (refusal !== undefined) this.#post({ type: 'connection-breached', connectionId, refusal });
    else this.#post({ type: 'frame-received', connectionId, frame });
  }

  #inTime({ connectionId, bucket }: Peer): boolean {
    if (!this.#peers.has(connectionId)) return false;
    if (bucket.take(this.#now())) return true;
    this.#post({ type: 'connection-breached', connectionId, refusal: tooFast });
    return false;
  }

  #closed(peer: Peer, code: number): void {
    const { connectionId } = peer;
    if (!this.#peers.has(connectionId)) return;
    this.#forget(peer);
    // 1009 is ws's own answer to a frame over maxPayload: a breach, not a lost connection.
    this.#post(
      code === 1009
        ? { type: 'connection-breached', connectionId, refusal: frameTooLarge(limits.contributorFrameBytes) }
        : { type: 'connection-closed', connectionId },
    );
  }

  #forget({ connectionId, network }: Peer): void {
    this.#peers.delete(connectionId);
    this.#door.leave(network);
  }
}

function destroy(this: Duplex): void {
  this.destroy();
}

// For the types of ws, `this` is of its own class in every listener.

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  (this as Peer).listener.message(this as Peer, data, isBinary);
}

function onPing(this: WebSocket, data: Buffer): void {
  if ((this as Peer).listener.inTime(this as Peer)) this.pong(data);
}

function onPong(this: WebSocket): void {
  (this as Peer).listener.inTime(this as Peer);
}

function onClose(this: WebSocket, code: number): void {
  (this as Peer).listener.closed(this as Peer, code);
}

/** An error is followed by a close, which says enough. */
const ignore = (): void => undefined;

function end(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, reason);
  setTimeout(() => socket.terminate(), CLOSE_GRACE_MS).unref();
}
