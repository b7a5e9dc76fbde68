/**
 * A contributor for tests of the coordinator: it speaks tussah.v1 over a real socket and serves what a script says. It runs
 * no model; answers of it prove nothing about engines.
 */
import {
  helloStatement,
  PROTOCOL,
  type ContributorFrame,
  type CoordinatorFrame,
  type JobOffer,
} from '@tussah/protocol/contributor-frames';
import type { EngineName } from '@tussah/protocol/engine-profile';
import { hashOfIds } from '@tussah/protocol/bytes';
import type { PriceWire } from '@tussah/protocol/money';
import type { Logprob } from '@tussah/protocol/sampling';
import { segmentStatement } from '@tussah/protocol/receipts';
import { domains, newIdentity, sign, type Identity } from '@tussah/protocol/signatures';
import { WebSocket } from 'ws';

export interface ScriptedPiece {
  readonly ids: readonly number[];
  readonly text: string;
  readonly logprobs?: readonly Logprob[];
  /** Waits before the piece is sent. */
  readonly delayMs?: number;
}

/** What to do with an offer: pieces to send, nothing, or frames of its own. */
export type Script = (
  offer: JobOffer,
  contributor: ScriptedContributor,
) => readonly ScriptedPiece[] | 'ignore' | Promise<void>;

export interface ScriptedOptions {
  readonly url: string;
  readonly model: string;
  readonly build: string;
  /** What the build is for; default `wllama`. */
  readonly engine?: EngineName;
  readonly script: Script;
  readonly ask?: PriceWire | null;
  readonly tokensPerSecond?: number;
  readonly wallet?: string | null;
  readonly identity?: Identity;
  /** The session to go on with after a lost connection. */
  readonly resume?: string;
  /** Connects again by itself, with a new session, until it is told to leave; by default it stays away. */
  readonly reconnects?: boolean;
}

const RECONNECT_MS = 50;

export class ScriptedContributor {
  readonly frames: CoordinatorFrame[] = [];
  readonly offers: JobOffer[] = [];
  closeCode: number | undefined;
  /** How often it was welcomed. */
  sessions = 0;
  readonly #options: ScriptedOptions;
  #socket: WebSocket;
  readonly #cancelled = new Set<string>();
  readonly #identity: Identity;
  #leaves = false;

  private constructor(options: ScriptedOptions, identity: Identity) {
    this.#options = options;
    this.#socket = socketTo(options.url);
    this.#identity = identity;
  }

  /** Connects, proves its key and announces its build. */
  static async connect(options: ScriptedOptions): Promise<ScriptedContributor> {
    const identity = options.identity ?? (await newIdentity());
    const contributor = new ScriptedContributor(options, identity);
    await contributor.#welcomed();
    return contributor;
  }

  #welcomed(): Promise<void> {
    const socket = this.#socket;
    return new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', (code) => {
        this.closeCode = code;
        reject(new Error(`closed ${code}`));
        if (this.#options.reconnects === true && this.sessions > 0)
          setTimeout(() => this.#return(), RECONNECT_MS);
      });
      socket.on('message', (data) => {
        const frame = JSON.parse((data as Buffer).toString()) as CoordinatorFrame;
        this.frames.push(frame);
        this.#take(frame, resolve).catch(reject);
      });
    });
  }

  #return(): void {
    if (this.#leaves) return;
    this.#cancelled.clear();
    this.#socket = socketTo(this.#options.url);
    // A failed attempt closes its socket, and so leads to the next.
    this.#welcomed().catch(() => undefined);
  }

  get publicKey(): string {
    return this.#identity.publicKey;
  }

  send(frame: ContributorFrame): void {
    this.sendRaw(JSON.stringify(frame));
  }

  /** Text, or bytes as a binary frame. */
  sendRaw(data: string | Uint8Array): void {
    this.#socket.send(data);
  }

  /** Cuts the connection without a word. */
  vanish(): void {
    this.#leaves = true;
    this.#socket.terminate();
  }

  close(): void {
    this.#leaves = true;
    this.#socket.close();
  }

  async closed(): Promise<number> {
    while (this.closeCode === undefined) await pause(5);
    return this.closeCode;
  }

  /** Waits for a frame of a type. */
  async frame<Type extends CoordinatorFrame['type']>(
    type: Type,
  ): Promise<Extract<CoordinatorFrame, { type: Type }>> {
    for (;;) {
      const found = this.frames.find((frame) => frame.type === type);
      if (found !== undefined) return found as Extract<CoordinatorFrame, { type: Type }>;
      await pause(5);
    }
  }

  async #take(frame: CoordinatorFrame, welcomed: () => void): Promise<void> {
    const identity = this.#identity;
    const socket = this.#socket;
    const { wallet = null } = this.#options;
    if (frame.type === 'challenge') {
      const statement = helloStatement(frame.coordinator, frame.nonce, identity.publicKey, wallet);
      const signature = await sign(identity, domains.hello, statement);
      if (this.#socket !== socket) return;
      this.send({
        type: 'hello',
        protocol: PROTOCOL,
        publicKey: identity.publicKey,
        signature,
        wallet,
        agent: 'scripted/1',
        resume: (this.sessions === 0 ? this.#options.resume : undefined) ?? null,
      });
    } else if (frame.type === 'welcome') {
      this.sessions += 1;
      this.announce();
      welcomed();
    } else if (frame.type === 'ping') this.send({ type: 'pong', n: frame.n });
    else if (frame.type === 'job-cancel') this.#cancelled.add(frame.jobId);
    else if (frame.type === 'job-offer') await this.#serve(frame);
  }

  announce(): void {
    const { model, build, engine = 'wllama', ask = null, tokensPerSecond = 50 } = this.#options;
    const profile = {
      engine,
      version: 'scripted',
      prefix: 'text',
      seedBlock: 16,
      replay: 'bit-exact',
    } as const;
    this.send({ type: 'model-ready', model, build, profile, tokensPerSecond, ask });
  }

  async #serve(offer: JobOffer): Promise<void> {
    this.offers.push(offer);
    const script = this.#options.script(offer, this);
    if (script === 'ignore' || script instanceof Promise) {
      await script;
      return;
    }
    this.send({ type: 'job-accept', jobId: offer.jobId });
    const ids = await this.deliver(offer, script);
    if (ids !== undefined) await this.finish(offer, ids);
  }

  /**
   * Sends pieces after the ids `sent` so far in this segment; returns all of its ids, or undefined once it is cancelled or
   * the connection is another.
   */
  async deliver(
    offer: JobOffer,
    pieces: readonly ScriptedPiece[],
    sent: readonly number[] = [],
  ): Promise<number[] | undefined> {
    const ids = [...sent];
    const socket = this.#socket;
    for (const { delayMs, logprobs, ...piece } of pieces) {
      if (delayMs !== undefined) await pause(delayMs);
      if (this.#cancelled.has(offer.jobId) || this.#socket !== socket) return undefined;
      this.send({
        type: 'text-delta',
        jobId: offer.jobId,
        position: offer.prefix.ids.length + ids.length,
        ids: [...piece.ids],
        text: piece.text,
        ...(logprobs === undefined ? {} : { logprobs: [...logprobs] }),
      });
      ids.push(...piece.ids);
    }
    return ids;
  }

  /** Signs and sends the end of a segment with these ids. */
  async finish(
    offer: JobOffer,
    ids: readonly number[],
    finishReason: 'stop' | 'length' = 'stop',
  ): Promise<void> {
    const identity = this.#identity;
    const socket = this.#socket;
    const idsHash = hashOfIds(ids);
    const facts = {
      jobId: offer.jobId,
      contributor: identity.publicKey,
      model: offer.model,
      build: offer.build,
      seedRoot: offer.seedRoot,
      promptHash: hashOfIds(offer.prompt.ids),
      firstPosition: offer.prefix.ids.length,
      tokens: ids.length,
      idsHash,
      end: finishReason,
    };
    const signature = await sign(identity, domains.segment, segmentStatement(facts));
    if (this.#socket !== socket) return;
    this.send({ type: 'job-done', jobId: offer.jobId, finishReason, tokens: ids.length, idsHash, signature });
  }
}

const socketTo = (url: string): WebSocket => new WebSocket(`${url.replace(/^http/, 'ws')}/worker`);

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
