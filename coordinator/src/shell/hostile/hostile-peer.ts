/** A contributor whose every step can be done right: what hostile sessions deviate from. */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { hashOfIds } from '@tussah/protocol/bytes';
import { signedBytes, type Canonical } from '@tussah/protocol/canonical';
import {
  CoordinatorFrameSchema,
  helloStatement,
  PROTOCOL,
  type ContributorFrame,
  type CoordinatorFrame,
  type JobOffer,
} from '@tussah/protocol/contributor-frames';
import { segmentStatement } from '@tussah/protocol/receipts';
import { domains } from '@tussah/protocol/signatures';
import * as v from 'valibot';
import { BUILD, MODEL } from '../testing/harness.ts';
import { piecesFor } from './companions.ts';
import { RawWebSocket } from './raw-websocket.ts';

interface Identity {
  readonly publicKey: string;
  readonly privateKey: KeyObject;
}

/** Making keys is dear; a thousand peers share a few, one after the other. */
export function newIdentities(count: number): Identity[] {
  return Array.from({ length: count }, () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(12);
    return { publicKey: raw.toString('hex'), privateKey };
  });
}

const WAIT_MS = 10_000;
/** An attacker that gets no job goes on without. */
const OFFER_MS = 1_500;

export class HostilePeer {
  readonly socket: RawWebSocket;
  readonly #identity: Identity;
  #read = 0;
  readonly #frames: CoordinatorFrame[] = [];
  /** A frame of the coordinator that is against its own schema. */
  fault: string | undefined;

  constructor(url: string, identity: Identity) {
    this.socket = new RawWebSocket(url);
    this.#identity = identity;
  }

  /** What the coordinator has sent so far, checked. */
  get frames(): readonly CoordinatorFrame[] {
    for (; this.#read < this.socket.texts.length; this.#read++) {
      const text = this.socket.texts[this.#read] ?? '';
      const parsed = v.safeParse(CoordinatorFrameSchema, JSON.parse(text));
      if (parsed.success) this.#frames.push(parsed.output);
      else this.fault ??= `it sent ${text.slice(0, 300)}: ${parsed.issues[0].message}`;
    }
    return this.#frames;
  }

  /** Waits for a frame of a type; undefined when it does not come. */
  async frame<Type extends CoordinatorFrame['type']>(
    type: Type,
    withinMs = WAIT_MS,
  ): Promise<Extract<CoordinatorFrame, { type: Type }> | undefined> {
    const find = () => this.frames.find((frame) => frame.type === type);
    await this.socket.until(() => find() !== undefined, withinMs);
    return find() as Extract<CoordinatorFrame, { type: Type }> | undefined;
  }

  offer(): Promise<JobOffer | undefined> {
    return this.frame('job-offer', OFFER_MS);
  }

  hello(
    change: { readonly publicKey?: string; readonly resume?: string; readonly nonce?: string } = {},
  ): ContributorFrame {
    const challenge = this.frames[0];
    const [coordinator, nonce] =
      challenge?.type === 'challenge' ? [challenge.coordinator, challenge.nonce] : ['', ''];
    const publicKey = change.publicKey ?? this.#identity.publicKey;
    const statement = helloStatement(coordinator, change.nonce ?? nonce, publicKey, null);
    return {
      type: 'hello',
      protocol: PROTOCOL,
      publicKey,
      signature: this.#sign(domains.hello, statement),
      wallet: null,
      agent: 'hostile/1',
      resume: change.resume ?? null,
    };
  }

  /** Dear, so that honest contributors come first, and faster than they are, for who asks for that. */
  readonly ready: ContributorFrame = {
    type: 'model-ready',
    model: MODEL,
    build: BUILD,
    profile: { engine: 'wllama', version: 'hostile', prefix: 'text', seedBlock: 16, replay: 'bit-exact' },
    tokensPerSecond: 99_000,
    ask: null,
  };

  /** The frames that answer an offer, from the acceptance to the signed end. */
  answerTo(offer: JobOffer): ContributorFrame[] {
    const { jobId } = offer;
    const pieces = piecesFor(offer);
    const deltas: ContributorFrame[] = [];
    const ids: number[] = [];
    for (const piece of pieces) {
      deltas.push({
        type: 'text-delta',
        jobId,
        position: offer.prefix.ids.length + ids.length,
        ids: [...piece.ids],
        text: piece.text,
      });
      ids.push(...piece.ids);
    }
    const finishReason = offer.prefix.ids.length + ids.length >= offer.maxTokens ? 'length' : 'stop';
    const idsHash = hashOfIds(ids);
    const facts = {
      jobId,
      contributor: this.#identity.publicKey,
      model: offer.model,
      build: offer.build,
      seedRoot: offer.seedRoot,
      promptHash: hashOfIds(offer.prompt.ids),
      firstPosition: offer.prefix.ids.length,
      tokens: ids.length,
      idsHash,
      end: finishReason,
    } as const;
    return [
      { type: 'job-accept', jobId },
      ...deltas,
      {
        type: 'job-done',
        jobId,
        finishReason,
        tokens: ids.length,
        idsHash,
        signature: this.#sign(domains.segment, segmentStatement(facts)),
      },
    ];
  }

  #sign(domain: string, value: Canonical): string {
    return sign(null, signedBytes(domain, value), this.#identity.privateKey).toString('hex');
  }
}
