/**
 * The coordinator for tests of the private client, in memory and therefore in browsers too. It does what the real one does, with real
 * simulated nodes; and it is written to cheat: each hook of `Cheats` is a lie that it can tell.
 */
import { errorBody, failure, type ErrorCode } from '@tussah/protocol/errors';
import { newId } from '@tussah/protocol/ids';
import { costOf, feeOf, priceFromWire } from '@tussah/protocol/money';
import { signPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import type {
  DirectoryEntry,
  DirectoryHead,
  LeaveReason,
  NodeList,
} from '@tussah/protocol/private/directory';
import { entryText } from '@tussah/protocol/private/directory-heads';
import type { SealedHeader, SealedRequest } from '@tussah/protocol/private/header';
import { MerkleLog } from '@tussah/protocol/private/merkle';
import type { PrivateReceipt, PrivateReceiptBody } from '@tussah/protocol/private/private-receipt';
import type { Departure, SealedEvent, Skip } from '@tussah/protocol/private/sealed-events';
import { signHead } from '@tussah/protocol/private/sign-statements';
import type { SignedNodeReceipt } from '@tussah/protocol/private/statements';
import { newIdentity, type Identity } from '@tussah/protocol/signatures';
import type { SimulatedWorld } from '@tussah/attestation/simulated/bundle';
import type { Fetch } from '../../connection.ts';
import { makeNode, type NodePlan, type ScriptedNode, type Taken } from './scripted-node.ts';

/** An event, or the raw data of one. */
export type Sent = SealedEvent | string;

export interface Cheats {
  /** Lists those that have left. */
  listsLeft?: boolean;
  /** Lists all its nodes for this one. */
  model?: string;
  list?: (list: NodeList) => NodeList | Promise<NodeList>;
  head?: (head: DirectoryHead) => DirectoryHead | Promise<DirectoryHead>;
  consistency?: (proof: string[]) => string[];
  bundle?: (name: string, text: string | undefined) => string | undefined;
  /** Before the node sees it. */
  request?: (request: SealedRequest) => SealedRequest | Promise<SealedRequest>;
  /** Instead of anything else. */
  response?: (request: SealedRequest) => Response | undefined;
  /** The first candidate that it offers the job to. */
  first?: number;
  skipped?: (skipped: Skip[], request: SealedRequest) => Skip[] | Promise<Skip[]>;
  /** All that is sent. */
  events?: (events: SealedEvent[], taken: Taken) => Iterable<Sent> | AsyncIterable<Sent>;
  receipt?: (body: PrivateReceiptBody) => PrivateReceiptBody | Promise<PrivateReceiptBody>;
  /** The node is gone after so many chunks, for so many jobs. */
  loses?: { readonly afterChunks: number; times: number };
}

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

const FEE_BASIS_POINTS = 500;
const encoder = new TextEncoder();

export class ScriptedPrivateCoordinator {
  readonly baseURL = 'http://coordinator.test/v1';
  readonly identity: Identity;
  readonly seen: Seen[] = [];
  readonly cancelled: string[] = [];
  readonly jobs: SealedHeader[] = [];
  /** Answers whose reader has gone. */
  hangups = 0;
  cheats: Cheats = {};
  nowMs: number;
  readonly #world: SimulatedWorld;
  readonly #log = new MerkleLog();
  readonly #entries: DirectoryEntry[] = [];
  readonly #nodes = new Map<string, { readonly node: ScriptedNode; readonly index: number }>();
  readonly #left = new Map<string, number>();

  constructor(world: SimulatedWorld, identity: Identity) {
    this.#world = world;
    this.identity = identity;
    this.nowMs = world.nowMs;
  }

  static async start(world: SimulatedWorld, identity?: Identity): Promise<ScriptedPrivateCoordinator> {
    return new ScriptedPrivateCoordinator(world, identity ?? (await newIdentity()));
  }

  readonly now = (): number => this.nowMs;

  async join(plan: NodePlan = {}): Promise<ScriptedNode> {
    const node = await makeNode(this.#world, this.identity.publicKey, this.now, plan);
    this.enter(node);
    return node;
  }

  enter(node: ScriptedNode): void {
    const { name: bundle, offer, signature } = node;
    const index = this.append({ kind: 'joined', atMs: this.nowMs, bundle, offer, signature });
    this.#nodes.set(bundle, { node, index });
  }

  leave(node: ScriptedNode, reason: LeaveReason = 'disconnected'): void {
    this.#left.set(node.name, this.append({ kind: 'left', atMs: this.nowMs, bundle: node.name, reason }));
  }

  append(entry: DirectoryEntry): number {
    this.#entries.push(entry);
    return this.#log.append(entryText(entry));
  }

  /** The head over the first `size` entries; all by default. */
  async head(size = this.#log.size): Promise<DirectoryHead> {
    const head = { size, rootHash: this.#log.rootHash(size), atMs: this.nowMs };
    return signHead(this.identity, head);
  }

  departure(node: ScriptedNode): Promise<Departure> {
    return this.departureAt(this.#left.get(node.name) ?? 0);
  }

  /** What is at this place of the log, as if it were a departure. */
  async departureAt(index: number): Promise<Departure> {
    const entry = this.#entries[index];
    if (entry === undefined) throw new Error('there is no such entry');
    return { head: await this.head(), index, entry, proof: this.#log.inclusionProof(index, this.#log.size) };
  }

  readonly fetch: Fetch = async (url, init) => {
    const { pathname, searchParams, origin } = new URL(url);
    if (origin !== new URL(this.baseURL).origin) throw new TypeError('no such host');
    init.signal?.throwIfAborted();
    const body = typeof init.body === 'string' ? init.body : '';
    const method = init.method ?? 'GET';
    this.seen.push({
      method,
      path: `${pathname}${new URL(url).search}`,
      headers: new Headers(init.headers),
      body,
    });
    const path = pathname.slice('/v1'.length);
    if (path === '/nodes') return json(await this.#list(searchParams));
    if (path === '/nodes/consistency') return this.#consistency(searchParams);
    if (path.startsWith('/nodes/bundles/')) return this.#bundle(path.slice('/nodes/bundles/'.length));
    if (path === '/models') return json({ object: 'list', data: [] });
    if (path === '/chat/completions/cancel') {
      this.cancelled.push((JSON.parse(body) as { jobId: string }).jobId);
      return json({}, 202);
    }
    if (path === '/sealed/chat/completions')
      return this.#sealed(JSON.parse(body) as SealedRequest, init.signal ?? new AbortController().signal);
    return refusal('not_found', 404);
  };

  async #list(query: URLSearchParams): Promise<NodeList> {
    const since = Number(query.get('since'));
    const size = this.#log.size;
    const shown = await this.head();
    const head = (await this.cheats.head?.(shown)) ?? shown;
    const nodes = [...this.#nodes.values()]
      .filter(
        ({ node }) =>
          [node.offer.model, this.cheats.model].includes(query.get('model') ?? '') &&
          (this.cheats.listsLeft === true || !this.#left.has(node.name)),
      )
      .map(({ node: { name: bundle, offer, signature }, index }) => ({
        index,
        entry: this.#entries[index] ?? { kind: 'joined' as const, atMs: 0, bundle, offer, signature },
        proof: this.#log.inclusionProof(index, size),
      }));
    const consistency = since <= size ? this.#proof(since, size) : [];
    const list = { head, consistency, nodes };
    return (await this.cheats.list?.(list)) ?? list;
  }

  #proof(from: number, to: number): string[] {
    const proof = this.#log.consistencyProof(from, to);
    return this.cheats.consistency?.(proof) ?? proof;
  }

  #consistency(query: URLSearchParams): Response {
    const [from, to] = [Number(query.get('from')), Number(query.get('to'))];
    if (to > this.#log.size) return refusal('not_found', 404);
    return json({ from, to, proof: this.#proof(from, to) });
  }

  #bundle(name: string): Response {
    const text = this.#nodes.get(name)?.node.text;
    const shown = this.cheats.bundle === undefined ? text : this.cheats.bundle(name, text);
    return shown === undefined ? refusal('not_found', 404) : new Response(shown);
  }

  async #sealed(sealed: SealedRequest, signal: AbortSignal): Promise<Response> {
    this.jobs.push(sealed.header);
    const instead = this.cheats.response?.(sealed);
    if (instead !== undefined) return instead;
    const request = (await this.cheats.request?.(sealed)) ?? sealed;
    const skipped: Skip[] = [];
    for (let candidate = this.cheats.first ?? 0; candidate < request.header.candidates.length; candidate++) {
      const name = request.header.candidates[candidate] ?? '';
      const { node } = this.#nodes.get(name) ?? {};
      if (node === undefined) return refusal('candidate_unknown', 409);
      if (this.#left.has(name)) {
        skipped.push(await this.departure(node));
        continue;
      }
      const result = await node.take(request, candidate);
      if ('refusal' in result) skipped.push(result.refusal);
      else return this.#stream(request, candidate, await this.#lied(skipped, sealed), result.taken, signal);
    }
    const { error } = errorBody(failure('no_candidate'));
    return streamed([{ type: 'failed', error, skipped: await this.#lied(skipped, sealed) }], this, signal);
  }

  async #lied(skipped: Skip[], request: SealedRequest): Promise<Skip[]> {
    return (await this.cheats.skipped?.(skipped, request)) ?? skipped;
  }

  async #stream(
    { header }: SealedRequest,
    candidate: number,
    skipped: Skip[],
    taken: Taken,
    signal: AbortSignal,
  ): Promise<Response> {
    const { responseNonce, chunks } = taken;
    const begun: SealedEvent[] = [{ type: 'assigned', candidate, responseNonce, skipped }];
    const { loses, events: lie } = this.cheats;
    if (loses !== undefined && loses.times-- > 0) {
      const { error } = errorBody(failure('node_lost'));
      const lost: SealedEvent = { type: 'failed', error, skipped: [] };
      return streamed([...begun, ...chunks.slice(0, loses.afterChunks), lost], this, signal);
    }
    const receipt = await this.receiptOf(header, taken.receipt, candidate);
    const events: SealedEvent[] = [...begun, ...chunks, { type: 'receipt', receipt }];
    return streamed(lie?.(events, taken) ?? [...events, '[DONE]'], this, signal);
  }

  async receiptOf(header: SealedHeader, node: SignedNodeReceipt, candidate: number): Promise<PrivateReceipt> {
    const { promptTokens, completionTokens, price } = node.receipt;
    const held = BigInt(header.maxPriceNano);
    const cost = costOf(priceFromWire(price), promptTokens, completionTokens);
    const charged = cost < held ? cost : held;
    const fee = feeOf(charged, FEE_BASIS_POINTS);
    const body: PrivateReceiptBody = {
      version: 1,
      id: newId('rcp'),
      createdAtMs: this.nowMs,
      tier: 'private',
      payer: 'acct_000000000000000000000001',
      node,
      receiptKey: this.#nodes.get(header.candidates[candidate] ?? '')?.node.receiptKey.publicKey ?? '',
      heldNano: held.toString(),
      chargedNano: charged.toString(),
      networkFeeBasisPoints: FEE_BASIS_POINTS,
      networkFeeNano: fee.toString(),
      payNano: (charged - fee).toString(),
      coordinator: this.identity.publicKey,
    };
    return signPrivateReceipt(this.identity, (await this.cheats.receipt?.(body)) ?? body);
  }
}

const json = (value: unknown, status = 200): Response =>
  new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json' } });

export const refusal = (code: ErrorCode, status: number): Response => json(errorBody(failure(code)), status);

/** Server-sent events, one chunk each; the connection ends with the signal, as a real one would. */
export function streamed(
  events: Iterable<Sent> | AsyncIterable<Sent>,
  counting: { hangups: number },
  signal: AbortSignal,
): Response {
  const iterator = toAsync(events);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => signal.addEventListener('abort', () => controller.error(signal.reason)),
    async pull(controller) {
      const next = await iterator.next();
      if (signal.aborted) return;
      if (next.done === true) controller.close();
      else controller.enqueue(encoder.encode(lineOf(next.value)));
    },
    cancel: () => {
      counting.hangups += 1;
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
}

async function* toAsync<Item>(items: Iterable<Item> | AsyncIterable<Item>): AsyncGenerator<Item, void, void> {
  for await (const item of items) yield item;
}

const lineOf = (sent: Sent): string =>
  typeof sent === 'string' && sent.startsWith(':')
    ? sent
    : `data: ${typeof sent === 'string' ? sent : JSON.stringify(sent)}\n\n`;
