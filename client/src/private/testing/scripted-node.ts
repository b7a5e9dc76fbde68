/**
 * A confidential machine for tests: simulated evidence, real keys, real sealing. It opens jobs as a node does, refuses what a node
 * refuses, and answers what the test says.
 */
import { makeBundle, type BundleChanges, type SimulatedWorld } from '@tussah/attestation/simulated/bundle';
import { hexOf, sha256Hex } from '@tussah/protocol/bytes';
import { costOf, priceFromWire, type PriceWire } from '@tussah/protocol/money';
import {
  headerHashOf,
  type SealedHeader,
  type SealedRequest,
  type SuiteName,
} from '@tussah/protocol/private/header';
import type { ChunkPayload, InnerRequest } from '@tussah/protocol/private/inner-request';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { signNodeReceipt, signOffer, signRefusal } from '@tussah/protocol/private/sign-statements';
import type {
  NodeOffer,
  NodeReceipt,
  RefusalCode,
  SignedNodeReceipt,
  SignedRefusal,
} from '@tussah/protocol/private/statements';
import type { FinishReason } from '@tussah/protocol/sampling';
import { newIdentity, type Identity } from '@tussah/protocol/signatures';
import { openRequest } from '../../sealing/open-request.ts';
import { chunkPlaintextBytes, pacedChunkCount, payloadBytes, splitText } from '../../sealing/padding.ts';
import type { ResponseSealer } from '../../sealing/response.ts';
import { newNodeKeys, type NodeKeys } from '../../sealing/suites.ts';

export const MODEL = 'tussah-tiny';
export const MODEL_DIGEST = '5a'.repeat(32);
export const CONFIG_DIGEST = '34'.repeat(32);

export interface NodePlan {
  readonly suite?: SuiteName;
  readonly price?: PriceWire;
  readonly contextTokens?: number;
  readonly notAfterMs?: number;
  readonly bundle?: BundleChanges;
  readonly model?: string;
}

export interface Saying {
  readonly text?: readonly string[];
  readonly finishReason?: FinishReason;
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  readonly failed?: 'upstream_failed' | 'too_long' | 'unsupported';
}

export type SealedChunkEvent = { type: 'chunk'; index: number; data: string; last: boolean };

export interface Taken {
  readonly inner: InnerRequest;
  readonly responseNonce: string;
  readonly chunks: SealedChunkEvent[];
  readonly receipt: SignedNodeReceipt;
  /** For tests of what even the node could do wrong. */
  readonly sealer: ResponseSealer;
}

export const random32 = (): string => hexOf(crypto.getRandomValues(new Uint8Array(32)));

export class ScriptedNode {
  readonly keys: NodeKeys;
  readonly receiptKey: Identity;
  readonly text: string;
  readonly name: string;
  readonly offer: NodeOffer;
  readonly signature: string;
  readonly #now: () => number;
  readonly #seen = new Set<string>();
  /** What it says to a question. */
  says: (inner: InnerRequest) => Saying = () => ({});
  /** Refuses everything with this code. */
  refuses: RefusalCode | undefined;

  constructor(
    made: Pick<ScriptedNode, 'keys' | 'receiptKey' | 'text' | 'name' | 'offer' | 'signature'>,
    now: () => number,
  ) {
    this.keys = made.keys;
    this.receiptKey = made.receiptKey;
    this.text = made.text;
    this.name = made.name;
    this.offer = made.offer;
    this.signature = made.signature;
    this.#now = now;
  }

  /** Opens a job, or refuses it, as the specification orders. */
  async take(
    { header, wraps, body }: SealedRequest,
    candidate: number,
  ): Promise<{ readonly refusal: SignedRefusal } | { readonly taken: Taken }> {
    const refuse = async (code: RefusalCode) => {
      const headerHash = headerHashOf(header);
      const refusal = { jobId: header.jobId, headerHash, bundle: this.name, code, atMs: this.#now() };
      return { refusal: await signRefusal(this.receiptKey, refusal) };
    };
    const objection = this.#objectionTo(header, candidate);
    if (objection !== undefined) return refuse(objection);
    this.#seen.add(header.jobId);
    const wrap = wraps[candidate];
    if (wrap === undefined) return refuse('unopenable');
    const opened = await openRequest({ header, candidate, wrap, body, keys: this.keys, bundle: this.name });
    if (!opened.ok) return refuse(opened.failure.code);
    const { inner, headerHash, sealer: sealerFor } = opened.value;
    const responseNonce = random32();
    const sealer = await sealerFor(responseNonce);
    const saying = this.says(inner);
    const chunks = await sealAll(sealer, header, saying);
    const receipt = await this.#receipt(header, headerHash, sealer, saying);
    return { taken: { inner, responseNonce, chunks, receipt, sealer } };
  }

  #objectionTo(header: SealedHeader, candidate: number): RefusalCode | undefined {
    const aheadMs = header.notAfterMs - this.#now();
    if (this.refuses !== undefined) return this.refuses;
    if (header.candidates[candidate] !== this.name) return 'key_rotated';
    if (aheadMs < 0) return 'expired';
    if (aheadMs > privateLimits.headerAheadMs) return 'too_far_ahead';
    if (this.#seen.has(header.jobId)) return 'replayed';
    const { suite, model, modelDigest, maxPriceNano, maxPromptTokens, maxTokens } = header;
    const own = suite === this.keys.suite && model === this.offer.model && modelDigest === MODEL_DIGEST;
    const cost = costOf(priceFromWire(this.offer.price), maxPromptTokens, maxTokens);
    return own && cost <= BigInt(maxPriceNano) ? undefined : 'header_mismatch';
  }

  async #receipt(
    header: SealedHeader,
    headerHash: string,
    sealer: ResponseSealer,
    saying: Saying,
  ): Promise<SignedNodeReceipt> {
    const receipt: NodeReceipt = {
      version: 1,
      jobId: header.jobId,
      headerHash,
      bundle: this.name,
      identity: this.offer.identity,
      model: header.model,
      outcome: saying.failed === undefined ? 'complete' : 'failed',
      ...countsOf(saying),
      price: this.offer.price,
      chunks: sealer.chunks,
      transcript: sealer.transcript(),
      atMs: this.#now(),
    };
    return signNodeReceipt(this.receiptKey, receipt);
  }
}

const countsOf = ({ text = [], promptTokens = 7, completionTokens = text.length }: Saying) => ({
  promptTokens,
  completionTokens,
});

async function sealAll(
  sealer: ResponseSealer,
  { padding }: SealedHeader,
  saying: Saying,
): Promise<SealedChunkEvent[]> {
  const { text = [], finishReason = 'stop', failed } = saying;
  const pieces = text.flatMap((piece) => splitText(padding, piece));
  const payloads: ChunkPayload[] = pieces.map((piece) => ({ text: piece }));
  payloads.push(failed ? { failed: { code: failed } } : { end: { finishReason, ...countsOf(saying) } });
  if (padding === 'paced') while (payloads.length < pacedChunkCount(pieces.length + 1)) payloads.push({});
  return Promise.all(
    payloads.map(async (payload, i): Promise<SealedChunkEvent> => {
      const last = i === payloads.length - 1;
      const bytes = chunkPlaintextBytes(padding, payloadBytes(payload));
      return { type: 'chunk', ...(await sealer.seal(payload, bytes, last)), last };
    }),
  );
}

export const usualPrice: PriceWire = {
  promptNanoPerMillion: '50000000',
  completionNanoPerMillion: '200000000',
};

export async function makeNode(
  world: SimulatedWorld,
  coordinator: string,
  now: () => number,
  plan: NodePlan = {},
): Promise<ScriptedNode> {
  const suite = plan.suite ?? 'x25519-hkdf-sha256-aes256gcm';
  const [keys, receiptKey, identity] = await Promise.all([newNodeKeys(suite), newIdentity(), newIdentity()]);
  const epochNonce = random32();
  const statement = {
    suite,
    hpkePublicKey: keys.publicKey,
    receiptKey: receiptKey.publicKey,
    epochNonce,
    modelDigest: MODEL_DIGEST,
    configDigest: CONFIG_DIGEST,
    notAfterMs: plan.notAfterMs ?? world.nowMs + 3_600_000,
    ...plan.bundle?.statement,
  };
  const text = JSON.stringify(await makeBundle(world, { ...plan.bundle, statement }));
  const offer: NodeOffer = {
    coordinator,
    identity: identity.publicKey,
    bundle: sha256Hex(text),
    epochNonce,
    model: plan.model ?? MODEL,
    price: plan.price ?? usualPrice,
    contextTokens: plan.contextTokens ?? 4_096,
    concurrency: 4,
  };
  const signature = await signOffer(receiptKey, offer);
  return new ScriptedNode({ keys, receiptKey, text, name: offer.bundle, offer, signature }, now);
}
