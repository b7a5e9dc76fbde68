/**
 * A node for tests of the coordinator: it speaks tussah-node.v1 over a real socket with simulated evidence and real sealing, and
 * answers jobs as a script says. It runs no model.
 */
import { makeBundle, type BundleChanges, type SimulatedWorld } from '@tussah/attestation/simulated/bundle';
import type { Statement } from '@tussah/attestation/binding/statement';
import { openRequest } from '@tussah/client/sealing/open-request';
import { chunkPlaintextBytes, payloadBytes } from '@tussah/client/sealing/padding';
import type { ResponseSealer } from '@tussah/client/sealing/response';
import { newNodeKeys, type NodeKeys } from '@tussah/client/sealing/suites';
import { sha256Hex } from '@tussah/protocol/bytes';
import { helloStatement } from '@tussah/protocol/contributor-frames';
import type { PriceWire } from '@tussah/protocol/money';
import { headerHashOf, type SuiteName } from '@tussah/protocol/private/header';
import type { ChunkPayload, InnerRequest } from '@tussah/protocol/private/inner-request';
import {
  NODE_PROTOCOL,
  type CoordinatorNodeFrame,
  type NodeFrame,
  type SealedOffer,
} from '@tussah/protocol/private/node-frames';
import { signNodeReceipt, signOffer, signRefusal } from '@tussah/protocol/private/sign-statements';
import type { NodeOffer, NodeReceipt, RefusalCode } from '@tussah/protocol/private/statements';
import { domains, newIdentity, sign, type Identity } from '@tussah/protocol/signatures';
import { WebSocket } from 'ws';
import { pause } from '../scripted-contributor.ts';
import { newNonce } from './node-sockets.ts';

/** What to do with an offer: say these texts, refuse it, nothing, or frames of its own. */
export type NodeScript = (job: NodeJob) => readonly string[] | RefusalCode | 'ignore' | Promise<void>;

export interface ScriptedNodeOptions {
  readonly url: string;
  readonly world: SimulatedWorld;
  readonly script: NodeScript;
  readonly suite?: SuiteName;
  readonly evidence?: BundleChanges;
  readonly offer?: Partial<NodeOffer>;
  /** In place of the bundle that it makes. */
  readonly bundleText?: (text: string) => string;
  readonly identity?: Identity;
  readonly wallet?: string;
  /** Before each piece. */
  readonly delayMs?: number;
}

/** Keys and statements of one epoch. */
export interface ScriptedEpoch {
  readonly keys: NodeKeys;
  readonly receiptKey: Identity;
  readonly bundle: string;
  readonly text: string;
  readonly offer: NodeOffer;
}

export const NODE_MODEL = 'confidential-70b';
export const MODEL_DIGEST = '12'.repeat(32);
export const nodePrice: PriceWire = {
  promptNanoPerMillion: '1000000',
  completionNanoPerMillion: '2000000',
};

export class ScriptedNode {
  readonly frames: CoordinatorNodeFrame[] = [];
  readonly offers: SealedOffer[] = [];
  /** Chunks as they left. */
  readonly sent: { readonly data: string }[] = [];
  /** The newest last. */
  readonly epochs: ScriptedEpoch[] = [];
  readonly cancelled = new Set<string>();
  readonly identity: Identity;
  readonly #options: ScriptedNodeOptions;
  readonly #socket: WebSocket;
  closeCode: number | undefined;

  private constructor(options: ScriptedNodeOptions, identity: Identity) {
    this.#options = options;
    this.identity = identity;
    this.#socket = new WebSocket(`${options.url.replace(/^http/, 'ws')}/node`);
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', (code) => (this.closeCode = code));
    this.#socket.on('message', (data) => {
      const frame = JSON.parse((data as Buffer).toString()) as CoordinatorNodeFrame;
      this.frames.push(frame);
      // What fails here is seen by the test as an answer that does not come.
      this.#take(frame).catch(() => this.#socket.terminate());
    });
  }

  /** Connects; whether it is let in is for the caller to await. */
  static async connect(options: ScriptedNodeOptions): Promise<ScriptedNode> {
    return new ScriptedNode(options, options.identity ?? (await newIdentity()));
  }

  get epoch(): ScriptedEpoch {
    const epoch = this.epochs.at(-1);
    if (epoch === undefined) throw new Error('nothing was attested yet');
    return epoch;
  }

  send(frame: NodeFrame): void {
    this.sendRaw(JSON.stringify(frame));
  }

  sendRaw(data: string | Uint8Array): void {
    this.#socket.send(data);
  }

  /** Cuts the connection without a word. */
  vanish(): void {
    this.#socket.terminate();
  }

  /** Waits for the n-th frame of a type. */
  async frame<Type extends CoordinatorNodeFrame['type']>(
    type: Type,
    n = 0,
  ): Promise<Extract<CoordinatorNodeFrame, { type: Type }>> {
    for (;;) {
      const found = this.frames.filter((frame) => frame.type === type)[n];
      if (found !== undefined) return found as Extract<CoordinatorNodeFrame, { type: Type }>;
      if (this.closeCode !== undefined) throw new Error(`closed ${this.closeCode} before ${type}`);
      await pause(5);
    }
  }

  /** Waits until it is sent away; the code of the last frame. */
  async refused(): Promise<{ code: string; message: string; closeCode: number }> {
    while (this.closeCode === undefined) await pause(5);
    const last = this.frames.find((frame) => frame.type === 'refused');
    return { code: last?.code ?? '', message: last?.message ?? '', closeCode: this.closeCode };
  }

  async #take(frame: CoordinatorNodeFrame): Promise<void> {
    switch (frame.type) {
      case 'challenge':
        return this.#prove(frame.coordinator, frame.nonce);
      case 'epoch':
        return this.attest(frame.epochNonce);
      case 'ping':
        return this.send({ type: 'pong', n: frame.n });
      case 'job-cancel':
        return void this.cancelled.add(frame.jobId);
      case 'sealed-offer':
        return this.#serve(frame);
      default:
        return undefined;
    }
  }

  async #prove(coordinator: string, nonce: string): Promise<void> {
    const { publicKey } = this.identity;
    const { wallet = null } = this.#options;
    const statement = helloStatement(coordinator, nonce, publicKey, wallet);
    const signature = await sign(this.identity, domains.nodeHello, statement);
    this.send({ type: 'hello', protocol: NODE_PROTOCOL, publicKey, signature, wallet, agent: 'scripted/1' });
  }

  /** Makes an epoch for this nonce and presents it. */
  async attest(epochNonce: string, changes: Partial<Statement> = {}): Promise<void> {
    const { world, suite = 'x25519-hkdf-sha256-aes256gcm', evidence = {}, bundleText } = this.#options;
    const [keys, receiptKey] = await Promise.all([newNodeKeys(suite), newIdentity()]);
    const statement = {
      suite,
      hpkePublicKey: keys.publicKey,
      receiptKey: receiptKey.publicKey,
      epochNonce,
      modelDigest: MODEL_DIGEST,
      ...evidence.statement,
      ...changes,
    };
    const made = JSON.stringify(await makeBundle(world, { ...evidence, statement }));
    const text = bundleText?.(made) ?? made;
    const challenge = this.frames.find((frame) => frame.type === 'challenge');
    const offer: NodeOffer = {
      coordinator: challenge?.coordinator ?? '',
      identity: this.identity.publicKey,
      bundle: sha256Hex(text),
      epochNonce,
      model: NODE_MODEL,
      price: nodePrice,
      contextTokens: 8_192,
      concurrency: 4,
      ...this.#options.offer,
    };
    this.epochs.push({ keys, receiptKey, bundle: offer.bundle, text, offer });
    this.send({ type: 'attest', bundle: text, offer, signature: await signOffer(receiptKey, offer) });
  }

  async #serve(offered: SealedOffer): Promise<void> {
    this.offers.push(offered);
    const bundle = offered.header.candidates[offered.candidate];
    const epoch = this.epochs.find((each) => each.bundle === bundle);
    if (epoch === undefined) throw new Error('an offer for a bundle of somebody else');
    const job = new NodeJob(this, epoch, offered, this.#options.delayMs ?? 0);
    const script = this.#options.script(job);
    if (script === 'ignore' || script instanceof Promise) return void (await script);
    if (typeof script === 'string') return job.refuse(script);
    await job.answer(script);
  }
}

/** One offer in the hands of a script. */
export class NodeJob {
  readonly node: ScriptedNode;
  readonly epoch: ScriptedEpoch;
  readonly offer: SealedOffer;
  readonly #delayMs: number;
  #sealer: ResponseSealer | undefined;
  inner: InnerRequest | undefined;

  constructor(node: ScriptedNode, epoch: ScriptedEpoch, offer: SealedOffer, delayMs: number) {
    this.node = node;
    this.epoch = epoch;
    this.offer = offer;
    this.#delayMs = delayMs;
  }

  get jobId(): string {
    return this.offer.header.jobId;
  }

  get isCancelled(): boolean {
    return this.node.cancelled.has(this.jobId);
  }

  async refuse(code: RefusalCode, signer: Identity = this.epoch.receiptKey): Promise<void> {
    const headerHash = headerHashOf(this.offer.header);
    const refusal = { jobId: this.jobId, headerHash, bundle: this.epoch.bundle, code, atMs: Date.now() };
    this.node.send({ type: 'sealed-refuse', ...(await signRefusal(signer, refusal)) });
  }

  /** Opens it and says so. */
  async accept(): Promise<void> {
    const { header, candidate, wrap, body } = this.offer;
    const { keys, bundle } = this.epoch;
    const opened = await openRequest({ header, candidate, wrap, body, keys, bundle });
    if (!opened.ok) return this.refuse(opened.failure.code);
    this.inner = opened.value.inner;
    const responseNonce = newNonce();
    this.#sealer = await opened.value.sealer(responseNonce);
    this.node.send({ type: 'sealed-accept', jobId: this.jobId, responseNonce });
  }

  async say(payload: ChunkPayload, last = false): Promise<void> {
    if (this.#sealer === undefined) throw new Error('a job that was not accepted');
    const size = chunkPlaintextBytes(this.offer.header.padding, payloadBytes(payload));
    const { index, data } = await this.#sealer.seal(payload, size, last);
    this.node.sent.push({ data });
    this.node.send({ type: 'sealed-delta', jobId: this.jobId, index, data, last });
  }

  /** Accepts, says it all and ends; when it is cancelled, it signs what it has done so far. */
  async answer(texts: readonly string[]): Promise<void> {
    await this.accept();
    if (this.#sealer === undefined) return undefined;
    let tokens = 0;
    for (const text of texts) {
      if (this.#delayMs > 0) await pause(this.#delayMs);
      if (this.isCancelled) return this.finish({ outcome: 'cancelled', completionTokens: tokens });
      await this.say({ text });
      tokens += 1;
    }
    await this.say({ end: { finishReason: 'stop', promptTokens: 7, completionTokens: tokens } }, true);
    return this.finish({ completionTokens: tokens });
  }

  /** Signs what was done: by default 7 tokens of prompt, and whole. */
  async finish(change: Partial<NodeReceipt>, signer: Identity = this.epoch.receiptKey): Promise<void> {
    const { offer, bundle } = this.epoch;
    const receipt: NodeReceipt = {
      version: 1,
      jobId: this.jobId,
      headerHash: headerHashOf(this.offer.header),
      bundle,
      identity: offer.identity,
      model: offer.model,
      outcome: 'complete',
      promptTokens: 7,
      completionTokens: 0,
      price: offer.price,
      chunks: this.#sealer?.chunks ?? 0,
      transcript: this.#sealer?.transcript() ?? sha256Hex(''),
      atMs: Date.now(),
      ...change,
    };
    this.node.send({ type: 'sealed-done', jobId: this.jobId, node: await signNodeReceipt(signer, receipt) });
  }
}
