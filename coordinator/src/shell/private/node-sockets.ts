/**
 * `/node`: WebSockets of confidential nodes. Little is read before an identity is proven; after it, frames are as large as a
 * bundle, and as many, in bytes and in number, as the node's concurrency explains.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { closeCodes } from '@tussah/protocol/contributor-frames';
import { failure } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import {
  NODE_PROTOCOL,
  NodeFrameSchema,
  type CoordinatorNodeFrame,
} from '@tussah/protocol/private/node-frames';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { WebSocket, WebSocketServer, type RawData } from 'ws';
import type { PrivateEvent } from '../../core/private/events.ts';
import type { Refusal } from '../../core/refusal.ts';
import { answerWithoutRoute } from '../http/without-route.ts';
import { breach, frameTooLarge, readFrame } from '../read-frame.ts';
import { pathOf, type SocketDoor } from '../socket-door.ts';
import { TokenBucket, TokenBuckets } from '../token-bucket.ts';

/** What may wait in memory for one slow node: offers of 1 MiB, as many as it may have open. */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024;
/** Time for the last frame and the close handshake before the socket is cut. */
const CLOSE_GRACE_MS = 2_000;
/** Everything that comes before an identity is proven: a hello, and what WebSockets add to it. */
const UNPROVEN_BYTES = 8_192;

/** What a node may send: this much, and for each job that it serves at once so much more. */
const base = { bytes: 128 * 1024, bytesBurst: 4 * 1024 * 1024, frames: 50, framesBurst: 200 };
const perJob = {
  bytes: 32 * 1024,
  bytesBurst: 64 * 1024,
  frames: 1_000 / privateLimits.chunkSpacingMs,
  framesBurst: 100,
};

/** First bundles of connections from one network: verifying each costs some ten milliseconds, and a stay two entries for ever. */
const attestations = { perSecond: 0.5, burst: 32 };

const reader = {
  schema: NodeFrameSchema,
  protocol: NODE_PROTOCOL,
  bytesMax: privateLimits.nodeFrameBytes,
  peer: 'node',
} as const;

const tooFast = breach(
  closeCodes.tooFast,
  'too_fast',
  'More arrives than the concurrency of this node explains.',
  'Send less at once: several tokens in one chunk, and one bundle an epoch.',
);

/** Why a socket never becomes a connection. */
const turnedAway = {
  handshake: failure('invalid_request', 'This is not the opening handshake of a WebSocket.'),
  full: failure('rate_limited', 'This coordinator has as many connections as it takes.'),
  network_full: failure('rate_limited', 'This network address has as many connections as it may have.'),
  no_tier: failure(
    'tier_unavailable',
    'This coordinator takes no confidential nodes: it has no policy for them.',
  ),
} as const;

interface Peer {
  readonly socket: WebSocket;
  readonly network: string;
  bytes: TokenBucket;
  frames: TokenBucket;
  /** A bundle of its was accepted. */
  attested: boolean;
}

export class NodeSockets {
  readonly #server: WebSocketServer;
  readonly #peers = new Map<string, Peer>();
  readonly #door: SocketDoor;
  readonly #enabled: boolean;
  readonly #post: (event: PrivateEvent) => void;
  readonly #now: () => number;
  readonly #attestations = new TokenBuckets(attestations.perSecond, attestations.burst);
  #next = 0;

  /** Not `enabled`, it turns everybody away. */
  constructor(door: SocketDoor, enabled: boolean, post: (event: PrivateEvent) => void, now: () => number) {
    this.#door = door;
    this.#enabled = enabled;
    this.#post = post;
    this.#now = now;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: privateLimits.nodeFrameBytes,
      maxFragments: 256,
      maxBufferedChunks: 4_096,
      skipUTF8Validation: false,
      autoPong: false,
    });
    this.#server.on('wsClientError', (_, socket) => turnAway(socket, 'handshake'));
  }

  get size(): number {
    return this.#peers.size;
  }

  has(connectionId: string): boolean {
    return this.#peers.has(connectionId);
  }

  /** Whether its network may have another bundle verified now. */
  mayAttest(connectionId: string): boolean {
    const peer = this.#peers.get(connectionId);
    return peer !== undefined && (peer.attested || this.#attestations.take(peer.network, this.#now()));
  }

  /** Takes over upgrades to `/node` on this server. */
  attach(server: Server): void {
    server.on('upgrade', (request, socket, head) => {
      if (pathOf(request) === '/node') this.#upgrade(request, socket, head);
    });
  }

  send(connectionId: string, frame: CoordinatorNodeFrame): void {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined || peer.socket.readyState !== WebSocket.OPEN) return;
    if (peer.socket.bufferedAmount > UNSENT_BYTES_MAX) peer.socket.terminate();
    else peer.socket.send(JSON.stringify(frame));
  }

  /** Its identity is proven: it may send a bundle. */
  proven(connectionId: string): void {
    this.#widen(connectionId, 0);
  }

  /** Its bundle was accepted: it serves so many jobs at once. */
  accepted(connectionId: string, concurrency: number): void {
    const peer = this.#widen(connectionId, concurrency);
    if (peer !== undefined) peer.attested = true;
  }

  #widen(connectionId: string, concurrency: number): Peer | undefined {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined) return undefined;
    peer.bytes = new TokenBucket(
      base.bytes + concurrency * perJob.bytes,
      base.bytesBurst + concurrency * perJob.bytesBurst,
      this.#now(),
    );
    peer.frames = new TokenBucket(
      base.frames + concurrency * perJob.frames,
      base.framesBurst + concurrency * perJob.framesBurst,
      this.#now(),
    );
    return peer;
  }

  close(connectionId: string, { closeCode, code }: Refusal): void {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined) return;
    this.#forget(connectionId, peer);
    end(peer.socket, closeCode, code);
  }

  closeAll(): void {
    for (const [connectionId, peer] of this.#peers) {
      this.#forget(connectionId, peer);
      end(peer.socket, closeCodes.shuttingDown, 'shutting_down');
    }
    this.#server.close();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const destroy = () => void socket.destroy();
    socket.on('error', destroy);
    if (!this.#enabled) return turnAway(socket, 'no_tier');
    const network = this.#door.networkOf(request);
    const closed = this.#door.closedFor(network);
    if (closed !== undefined) return turnAway(socket, closed);
    this.#server.handleUpgrade(request, socket, head, (peer) => {
      // From here on ws listens.
      socket.off('error', destroy);
      this.#open(peer, socket, network, head.length);
    });
    return undefined;
  }

  #open(socket: WebSocket, raw: Duplex, network: string, bytesSoFar: number): void {
    const connectionId = `n${this.#next++}`;
    const peer: Peer = {
      socket,
      network,
      bytes: new TokenBucket(0, UNPROVEN_BYTES - bytesSoFar, this.#now()),
      frames: new TokenBucket(limits.framesPerSecond, limits.frameBurst, this.#now()),
      attested: false,
    };
    this.#peers.set(connectionId, peer);
    this.#door.enter(network);
    // Bytes are counted before ws makes frames of them: a large one could be sent for ever.
    raw.prependListener('data', (data: Buffer) => this.#spend(connectionId, data.length));
    socket
      .on('message', (data, isBinary) => this.#message(connectionId, data, isBinary))
      .on('ping', (data) => this.#counted(connectionId) && socket.pong(data))
      .on('pong', () => this.#counted(connectionId))
      // An error is followed by a close, which says enough.
      .on('error', () => undefined)
      .on('close', (code) => this.#closed(connectionId, code));
    this.#post({ type: 'node-connected', connectionId, nonce: newNonce() });
  }

  #spend(connectionId: string, bytes: number): void {
    const peer = this.#peers.get(connectionId);
    if (peer !== undefined && !peer.bytes.take(this.#now(), bytes))
      this.#post({ type: 'node-breached', connectionId, refusal: tooFast });
  }

  #counted(connectionId: string): boolean {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined) return false;
    if (peer.frames.take(this.#now())) return true;
    this.#post({ type: 'node-breached', connectionId, refusal: tooFast });
    return false;
  }

  #message(connectionId: string, data: RawData, isBinary: boolean): void {
    if (!this.#counted(connectionId)) return;
    const { frame, refusal } = readFrame(reader, data, isBinary);
    if (refusal !== undefined) this.#post({ type: 'node-breached', connectionId, refusal });
    else if (frame.type === 'epoch-request')
      this.#post({ type: 'node-frame-received', connectionId, frame, epochNonce: newNonce() });
    else this.#post({ type: 'node-frame-received', connectionId, frame });
  }

  #closed(connectionId: string, code: number): void {
    const peer = this.#peers.get(connectionId);
    if (peer === undefined) return;
    this.#forget(connectionId, peer);
    // 1009 is ws's own answer to a frame over maxPayload: a breach, not a lost connection.
    if (code !== 1009) this.#post({ type: 'node-disconnected', connectionId });
    else
      this.#post({
        type: 'node-breached',
        connectionId,
        refusal: frameTooLarge(privateLimits.nodeFrameBytes),
      });
  }

  #forget(connectionId: string, { network }: Peer): void {
    this.#peers.delete(connectionId);
    this.#door.leave(network);
  }
}

/** 32 random bytes: of a challenge, or of an epoch. */
export const newNonce = (): string => randomBytes(32).toString('hex');

const turnAway = (socket: Duplex, reason: keyof typeof turnedAway): void =>
  void socket.end(answerWithoutRoute(turnedAway[reason]));

function end(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, reason);
  setTimeout(() => socket.terminate(), CLOSE_GRACE_MS).unref();
}
