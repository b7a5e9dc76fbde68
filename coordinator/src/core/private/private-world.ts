/**
 * A world for tests of the private tier's core: time by hand, evidence that is what its offer says, signatures that are right
 * unless they begin with "bad", and a directory that is durable at once or when it is told.
 */
import {
  NODE_PROTOCOL,
  type CoordinatorNodeFrame,
  type NodeFrame,
} from '@tussah/protocol/private/node-frames';
import { headerHashOf, type SealedHeader } from '@tussah/protocol/private/header';
import type { DirectoryEntry } from '@tussah/protocol/private/directory';
import type { NodeOffer, NodeReceipt, RefusalCode } from '@tussah/protocol/private/statements';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import { sha256Hex } from '@tussah/protocol/bytes';
import { defaultCoreConfig, type CoreConfig } from '../config.ts';
import type { Event } from '../events.ts';
import { ledgerAccounts } from '../ledger.ts';
import { initialState, type State } from '../state.ts';
import { step } from '../step.ts';
import type { PrivateEffect, PrivateEvent } from './events.ts';
import type { Departed, SealedJobRequest } from './state.ts';

const codecs = { codecOf: () => undefined };
export const MODEL = 'confidential';
export const DIGEST = '12'.repeat(32);
export const SUITE = 'x25519-hkdf-sha256-aes256gcm';
export const price = { promptNanoPerMillion: '1000000', completionNanoPerMillion: '2000000' };
const signature = (valid: boolean) => (valid ? 'ok' : 'bad').padEnd(128, '0');

export class PrivateWorld {
  readonly state: State;
  atMs = 1_000_000;
  readonly effects: PrivateEffect[] = [];
  /** All entries that are durable. */
  readonly directory: DirectoryEntry[] = [];
  readonly #pending: DirectoryEntry[] = [];
  /** Whether entries and settlements are durable at once. */
  writes = true;
  #serial = 0;

  constructor(config: Partial<CoreConfig> = {}) {
    const balances = new Map([
      [ledgerAccounts.guests, 1_000_000n],
      [ledgerAccounts.client('alice'), 1_000_000n],
      [ledgerAccounts.client('bob'), 1_000_000n],
      [ledgerAccounts.development, -3_000_000n],
    ]);
    this.state = initialState({
      config: { ...defaultCoreConfig, privateTier: true, ...config },
      coordinator: 'c0'.repeat(32),
      models: [],
      balances,
      totals: { answered: 0, completionTokens: 0 },
    });
  }

  post(event: PrivateEvent): void {
    this.#run({ type: 'private', event });
  }

  drain(): void {
    this.#run({ type: 'drain' });
  }

  #run(event: Event): void {
    const timed = { ...event, atMs: this.atMs };
    for (const effect of step(this.state, timed, codecs).effects) {
      if (effect.type !== 'private') continue;
      this.effects.push(effect.effect);
      this.#answer(effect.effect);
    }
  }

  #answer(effect: PrivateEffect): void {
    switch (effect.type) {
      case 'check-node-hello':
        return this.post({
          type: 'node-hello-checked',
          connectionId: effect.connectionId,
          hello: effect.hello,
          valid: !effect.hello.signature.startsWith('bad'),
          record: { jobsDone: 0, jobsFailed: 0, tokens: 0, tokensPerSecond: null },
          epochNonce: this.newNonce(),
        });
      case 'append-entry':
        this.#pending.push(effect.entry);
        return this.writes ? this.write() : undefined;
      case 'check-refusal':
        return this.post({
          type: 'refusal-checked',
          jobId: effect.jobId,
          signed: effect.signed,
          valid: !effect.signed.signature.startsWith('bad'),
        });
      case 'check-node-receipt':
        return this.post({
          type: 'node-receipt-checked',
          jobId: effect.jobId,
          valid: !effect.signed.signature.startsWith('bad'),
        });
      case 'settle-sealed':
        return this.writes ? this.settle(effect) : undefined;
      case 'check-bundle':
      case 'send-to-node':
      case 'close-node':
      case 'assign':
      case 'deliver-chunk':
      case 'complete-sealed':
      case 'fail-sealed':
        return undefined;
      default:
        return effect satisfies never;
    }
  }

  newNonce(): string {
    return sha256Hex(`nonce ${this.#serial++}`);
  }

  /** Makes durable what waits. */
  write(): void {
    for (let entry = this.#pending.shift(); entry !== undefined; entry = this.#pending.shift()) {
      const index = this.directory.push(entry) - 1;
      this.post({ type: 'entry-appended', placed: { index, entry } });
    }
  }

  settle({ draft }: Extract<PrivateEffect, { type: 'settle-sealed' }>): void {
    const receipt: PrivateReceipt = { ...draft.receipt, signature: signature(true) };
    this.post({ type: 'sealed-job-settled', jobId: draft.jobId, receipt });
  }

  wait(ms: number): void {
    this.atMs += ms;
    this.#run({ type: 'tick' });
  }

  /** Time passes, and connected nodes answer pings. */
  waitAlive(ms: number, ...nodes: NodeHand[]): void {
    for (let passed = 0; passed < ms; passed += 10_000) {
      this.wait(Math.min(10_000, ms - passed));
      for (const node of nodes) if (!node.closed) node.pong();
    }
  }

  connect(name: string): NodeHand {
    const hand = new NodeHand(this, name, `n${this.#serial++}`);
    this.post({ type: 'node-connected', connectionId: hand.connectionId, nonce: this.newNonce() });
    return hand;
  }

  /** A node that is in the directory. */
  join(name: string, change: Partial<NodeOffer> = {}, lifeMs = 3_600_000): NodeHand {
    const hand = this.connect(name);
    hand.prove();
    hand.attest(change, lifeMs);
    return hand;
  }

  header(nodes: readonly NodeHand[], change: Partial<SealedHeader> = {}): SealedHeader {
    return {
      version: 1,
      suite: SUITE,
      jobId: `job_${String(this.#serial++).padStart(24, '0')}`,
      model: MODEL,
      modelDigest: DIGEST,
      maxPromptTokens: 100,
      maxTokens: 50,
      maxPriceNano: '1000000',
      padding: 'paced',
      notAfterMs: this.atMs + 300_000,
      candidates: nodes.map(({ bundle }) => bundle),
      ...change,
    };
  }

  submit(
    nodes: readonly NodeHand[],
    change: Partial<SealedHeader> = {},
    by: { account?: string; guest?: boolean } = {},
  ): string {
    const { account = 'alice', guest = false } = by;
    const header = this.header(nodes, change);
    const request: SealedJobRequest = {
      payer: guest ? ledgerAccounts.guests : ledgerAccounts.client(account),
      flow: guest ? 'guest:net' : account,
      accountId: guest ? 'guest' : account,
      guest,
      header,
      headerHash: headerHashOf(header),
      wraps: header.candidates.map(() => ({ enc: '', wrapped: '' })),
      body: 'sealed',
      receiptId: `rcp_${header.jobId.slice(4)}`,
    };
    this.post({ type: 'sealed-job-submitted', request });
    return header.jobId;
  }

  abandon(jobId: string): void {
    this.post({ type: 'sealed-job-abandoned', jobId, code: 'client_gone' });
  }

  /** What the client of a job has been told. */
  heard(jobId: string) {
    const own = this.effects.filter((effect) => 'jobId' in effect && effect.jobId === jobId);
    const ends = own.filter(({ type }) => type === 'complete-sealed' || type === 'fail-sealed');
    const assigned = own.find((effect) => effect.type === 'assign');
    const failed = own.find((effect) => effect.type === 'fail-sealed');
    return {
      assigned: assigned?.candidate,
      skipped: (assigned ?? failed)?.skipped ?? [],
      chunks: own.flatMap((effect) => (effect.type === 'deliver-chunk' ? [effect.index] : [])),
      receipt: own.find((effect) => effect.type === 'complete-sealed')?.receipt,
      code: failed?.failure.code,
      ends: ends.length,
    };
  }

  /** Money neither appears nor vanishes, and what is held is what open jobs hold. */
  checkBooks(): void {
    const sum = [...this.state.balances.values()].reduce((a, b) => a + b, 0n);
    if (sum !== 0n) throw new Error(`the balances sum to ${sum}`);
    for (const [account, nano] of this.state.balances)
      if (nano < 0n && !account.startsWith('world:')) throw new Error(`${account} is overdrawn: ${nano}`);
    const held = new Map<string, bigint>();
    const active = new Map<string, number>();
    for (const { request, reservedNano } of this.state.private.jobs.values()) {
      held.set(request.payer, (held.get(request.payer) ?? 0n) + reservedNano);
      active.set(request.flow, (active.get(request.flow) ?? 0) + 1);
    }
    // Jobs that hold nothing leave no trace.
    for (const [payer, nano] of this.state.reserved)
      if (held.get(payer) !== nano) throw new Error(`${payer} has ${nano} reserved, not ${held.get(payer)}`);
    for (const [payer, nano] of held)
      if ((this.state.reserved.get(payer) ?? 0n) !== nano)
        throw new Error(`${payer} misses a hold of ${nano}`);
    for (const [name, flow] of this.state.flows)
      if (active.get(name) !== flow.active) throw new Error(`${name} has ${flow.active} active jobs`);
    if (active.size !== this.state.flows.size) throw new Error('a flow is missing');
  }
}

/** One node's hand in the test. */
export class NodeHand {
  readonly world: PrivateWorld;
  readonly identity: string;
  readonly connectionId: string;
  offer: NodeOffer | undefined;

  constructor(world: PrivateWorld, name: string, connectionId: string) {
    this.world = world;
    this.identity = sha256Hex(name);
    this.connectionId = connectionId;
  }

  get bundle(): string {
    return this.offer?.bundle ?? '';
  }

  get closed(): boolean {
    return !this.world.state.private.connections.has(this.connectionId);
  }

  send(frame: NodeFrame): void {
    const { connectionId } = this;
    const drawn = frame.type === 'epoch-request' ? { epochNonce: this.world.newNonce() } : {};
    this.world.post({ type: 'node-frame-received', connectionId, frame, ...drawn });
  }

  prove(valid = true): void {
    this.send({
      type: 'hello',
      protocol: NODE_PROTOCOL,
      publicKey: this.identity,
      signature: signature(valid),
      wallet: null,
      agent: 'test',
    });
  }

  /** Presents a bundle for the newest nonce. */
  present(change: Partial<NodeOffer> = {}): void {
    const epochNonce = this.last('epoch')?.epochNonce ?? '';
    this.offer = {
      coordinator: this.world.state.coordinator,
      identity: this.identity,
      bundle: sha256Hex(`bundle of ${this.identity} for ${epochNonce}`),
      epochNonce,
      model: MODEL,
      price,
      contextTokens: 1_000,
      concurrency: 2,
      ...change,
    };
    this.send({ type: 'attest', bundle: 'text', offer: this.offer, signature: signature(true) });
  }

  /** Presents a bundle, which is accepted. */
  attest(change: Partial<NodeOffer> = {}, lifeMs = 3_600_000): void {
    this.present(change);
    this.accepted(lifeMs);
  }

  accepted(lifeMs = 3_600_000): void {
    const { offer, world, connectionId } = this;
    if (offer === undefined) throw new Error('nothing was presented');
    world.post({
      type: 'bundle-checked',
      connectionId,
      offer,
      signature: signature(true),
      checked: {
        ok: true,
        value: {
          bundle: offer.bundle,
          suite: SUITE,
          modelDigest: DIGEST,
          receiptKey: sha256Hex(`receipt key of ${offer.bundle}`),
          notAfterMs: world.atMs + lifeMs,
        },
      },
    });
  }

  frames(): CoordinatorNodeFrame[] {
    return this.world.effects.flatMap((effect) =>
      effect.type === 'send-to-node' && effect.connectionId === this.connectionId ? [effect.frame] : [],
    );
  }

  /** The last frame of a type that was sent to this node. */
  last<Type extends CoordinatorNodeFrame['type']>(type: Type) {
    return this.frames().findLast((frame) => frame.type === type) as
      | Extract<CoordinatorNodeFrame, { type: Type }>
      | undefined;
  }

  pong(): void {
    const n = this.last('ping')?.n;
    if (n !== undefined) this.send({ type: 'pong', n });
  }

  accept(jobId: string): void {
    this.send({ type: 'sealed-accept', jobId, responseNonce: sha256Hex(jobId) });
  }

  #headerHash(jobId: string): string {
    const header = this.frames().flatMap((frame) =>
      frame.type === 'sealed-offer' && frame.header.jobId === jobId ? [frame.header] : [],
    )[0];
    return header === undefined ? '00'.repeat(32) : headerHashOf(header);
  }

  refuse(jobId: string, code: RefusalCode = 'busy', change: { bundle?: string; valid?: boolean } = {}): void {
    const { bundle = this.#bundleOf(jobId), valid = true } = change;
    const refusal = { jobId, headerHash: this.#headerHash(jobId), bundle, code, atMs: this.world.atMs };
    this.send({ type: 'sealed-refuse', refusal, signature: signature(valid) });
  }

  #bundleOf(jobId: string): string {
    return this.world.state.private.jobs.get(jobId)?.epoch?.bundle ?? this.bundle;
  }

  say(jobId: string, last = false, index = this.world.state.private.jobs.get(jobId)?.chunks ?? 0): void {
    this.send({ type: 'sealed-delta', jobId, index, data: 'AAAA', last });
  }

  done(jobId: string, change: Partial<NodeReceipt> = {}, valid = true): void {
    const receipt: NodeReceipt = {
      version: 1,
      jobId,
      headerHash: this.#headerHash(jobId),
      bundle: this.#bundleOf(jobId),
      identity: this.identity,
      model: MODEL,
      outcome: 'complete',
      promptTokens: 10,
      completionTokens: 5,
      price: this.offer?.price ?? price,
      chunks: this.world.state.private.jobs.get(jobId)?.chunks ?? 0,
      transcript: '00'.repeat(32),
      atMs: this.world.atMs,
      ...change,
    };
    this.send({ type: 'sealed-done', jobId, node: { receipt, signature: signature(valid) } });
  }

  /** Accepts, says two chunks and ends. */
  serve(jobId: string): void {
    this.accept(jobId);
    this.say(jobId);
    this.say(jobId, true);
    this.done(jobId);
  }

  vanish(): void {
    this.world.post({ type: 'node-disconnected', connectionId: this.connectionId });
  }
}

/** Entries of a directory as a client or a restart would read them. */
export function recoveredFrom(entries: readonly DirectoryEntry[]): {
  listed: string[];
  departed: Departed[];
} {
  const listed = new Set<string>();
  const departed: Departed[] = [];
  entries.forEach((entry, index) => {
    if (entry.kind === 'joined') listed.add(entry.bundle);
    else {
      listed.delete(entry.bundle);
      departed.push({ index, entry });
    }
  });
  return { listed: [...listed], departed };
}
