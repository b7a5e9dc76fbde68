/** The other end of a node's connection, in one process: it lets the node register, and seals jobs to it as a client does. */
import type { Policy } from '@tussah/attestation/policy/policy';
import { Verifier } from '@tussah/attestation/verify';
import { parseBundle } from '@tussah/attestation/bundle/bundle';
import { sealRequest, type Sealed } from '@tussah/client/sealing/seal-request';
import { sha256Hex } from '@tussah/protocol/bytes';
import { newId } from '@tussah/protocol/ids';
import type { SealedHeader } from '@tussah/protocol/private/header';
import type { ChunkPayload, InnerRequest } from '@tussah/protocol/private/inner-request';
import {
  NODE_PROTOCOL,
  type CoordinatorNodeFrame,
  type NodeFrame,
  type SealedOffer,
} from '@tussah/protocol/private/node-frames';
import type { NodeSocket, SocketHandlers } from '../ports.ts';
import { until } from './test-clock.ts';

export const coordinatorKey = 'c0'.repeat(32);

type Frame<T extends NodeFrame['type']> = Extract<NodeFrame, { type: T }>;

/** A bundle that the coordinator has accepted. */
export interface Listed {
  readonly name: string;
  readonly text: string;
  readonly attest: Frame<'attest'>;
}

export interface SealedJob {
  readonly jobId: string;
  readonly sealed: Sealed;
  readonly offer: SealedOffer;
}

export class ScriptedCoordinator {
  readonly frames: NodeFrame[] = [];
  readonly #policy: Policy;
  readonly #nowMs: () => number;
  #handlers: SocketHandlers | undefined;
  connections = 0;
  closed: string | undefined;

  constructor(policy: Policy, nowMs: () => number) {
    this.#policy = policy;
    this.#nowMs = nowMs;
  }

  openSocket = (handlers: SocketHandlers): NodeSocket => {
    this.#handlers = handlers;
    this.connections += 1;
    queueMicrotask(() => {
      handlers.onOpen();
      const challenge = { coordinator: coordinatorKey, nonce: '11'.repeat(32) };
      this.send({ type: 'challenge', protocol: NODE_PROTOCOL, ...challenge });
    });
    return {
      send: (text) => {
        if (this.#handlers === handlers) this.frames.push(JSON.parse(text) as NodeFrame);
        return true;
      },
      close: (_, reason) => {
        if (this.#handlers === handlers) this.closed = reason;
      },
    };
  };

  send(frame: CoordinatorNodeFrame): void {
    this.#handlers?.onMessage(JSON.stringify(frame));
  }

  lose(): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.onClose('gone');
  }

  /** The first frame of this type from `from` on that was not taken yet. */
  async next<T extends NodeFrame['type']>(type: T): Promise<Frame<T>> {
    const at = await until(() => {
      const found = this.frames.findIndex((frame) => frame.type === type);
      return found < 0 ? undefined : found;
    }, type);
    return this.frames.splice(at, 1)[0] as Frame<T>;
  }

  async welcome(): Promise<Frame<'hello'>> {
    const hello = await this.next('hello');
    this.send({ type: 'welcome', heartbeatMs: 15_000, earnedNano: '0', networkFeeBasisPoints: 0 });
    return hello;
  }

  /** One epoch; rejects when the bundle would not be accepted. */
  async epoch(epochNonce = sha256Hex(String(Math.random())), index = 0): Promise<Listed> {
    this.send({ type: 'epoch', epochNonce });
    const attest = await this.next('attest');
    const evidence = { kind: 'bundle', text: attest.bundle, expected: { epochNonce } } as const;
    const verdict = await new Verifier().verify(evidence, this.#policy, this.#nowMs());
    const failed = verdict.steps.filter(({ status }) => status === 'failed').map(({ id }) => id);
    if (verdict.verdict !== 'accepted') throw new Error(`rejected: ${failed.join(', ')}`);
    const name = sha256Hex(attest.bundle);
    const { notAfterMs } = parseBundle(attest.bundle).statement;
    this.send({ type: 'attested', bundle: name, notAfterMs, index });
    return { name, text: attest.bundle, attest };
  }

  /** A job for this one bundle, sealed by a client. */
  async seal(
    listed: Listed,
    changes: { readonly header?: Partial<SealedHeader>; readonly inner?: Partial<InnerRequest> } = {},
  ): Promise<SealedJob> {
    const { statement } = parseBundle(listed.text);
    const jobId = changes.header?.jobId ?? newId('job');
    const { model } = listed.attest.offer;
    const header: SealedHeader = {
      version: 1,
      suite: statement.suite as SealedHeader['suite'],
      jobId,
      model,
      modelDigest: statement.modelDigest,
      maxPromptTokens: 1_000,
      maxTokens: 64,
      maxPriceNano: '1000000000',
      padding: 'none',
      notAfterMs: this.#nowMs() + 300_000,
      candidates: [listed.name],
      ...changes.header,
    };
    const inner: InnerRequest = {
      version: 1,
      jobId,
      model,
      maxTokens: header.maxTokens,
      messages: [{ role: 'user', content: 'a secret question' }],
      sampling: { temperature: 0, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
      stop: [],
      seed: null,
      continuation: null,
      ...changes.inner,
    };
    const recipients = [{ bundle: listed.text, hpkePublicKey: statement.hpkePublicKey }];
    const sealed = await sealRequest({ header, inner, recipients });
    const { wraps, body } = sealed.request;
    const [wrap] = wraps;
    if (wrap === undefined) throw new Error('no wrap');
    return { jobId, sealed, offer: { type: 'sealed-offer', header, candidate: 0, wrap, body } };
  }

  /** All chunks of an accepted job, opened, and the receipt that follows. */
  async answer({ jobId, sealed }: SealedJob): Promise<{
    readonly payloads: readonly ChunkPayload[];
    readonly text: string;
    readonly done: Frame<'sealed-done'>;
    readonly transcript: string;
    readonly sizes: readonly number[];
    readonly closed: boolean;
  }> {
    const accept = await this.next('sealed-accept');
    const done = await until(
      () => this.frames.find((frame) => frame.type === 'sealed-done' && frame.jobId === jobId),
      'sealed-done',
    );
    const opener = await sealed.responses[0]?.open(accept.responseNonce);
    if (opener === undefined) throw new Error('no response');
    const payloads: ChunkPayload[] = [];
    const sizes: number[] = [];
    for (const frame of this.frames) {
      if (frame.type !== 'sealed-delta' || frame.jobId !== jobId) continue;
      const opened = await opener.open(frame);
      if (!opened.ok) throw new Error(opened.failure.code);
      payloads.push(opened.value);
      sizes.push(Buffer.from(frame.data, 'base64').length);
    }
    const text = payloads.map((payload) => payload.text ?? '').join('');
    return {
      payloads,
      text,
      done: done as Frame<'sealed-done'>,
      transcript: opener.transcript(),
      sizes,
      closed: opener.closed,
    };
  }
}
