/**
 * The coordinator's append-only directory as one client sees it (docs/private-tier.md, The directory). It keeps the newest head,
 * and takes no other that does not go on from it.
 */
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { sha256Hex } from '@tussah/protocol/bytes';
import {
  ConsistencySchema,
  NodeListSchema,
  type DirectoryHead,
  type ProvenEntry,
} from '@tussah/protocol/private/directory';
import { checkHeads, headsAgree, isProven } from '@tussah/protocol/private/directory-heads';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { verifyHead } from '@tussah/protocol/private/sign-statements';
import type { CoordinatorApi } from './coordinator-api.ts';
import { privateFailure, refusedWith, type PrivateFailureCode } from './failures.ts';
import { isSameHead, type HeadStore } from './heads.ts';

export interface Listing {
  readonly head: DirectoryHead;
  /** Proven to be in the directory; nothing else about them is checked. */
  readonly nodes: readonly JoinedNode[];
}

export type JoinedNode = ProvenEntry & {
  readonly entry: Extract<ProvenEntry['entry'], { kind: 'joined' }>;
};

/** What two heads say about each other. Both are signed, so that anybody can check a fork. */
export type HeadComparison =
  | { readonly verdict: 'consistent' }
  | { readonly verdict: 'forked'; readonly ours: DirectoryHead; readonly theirs: DirectoryHead }
  /** The other one is of another coordinator, or its signature is wrong. */
  | { readonly verdict: 'not-comparable'; readonly reason: string };

/** Some 4 kB for an entry with its proof. */
const LIST_BYTES = 4_096 * privateLimits.concurrencyMax;
const PROOF_BYTES = 16_384;
/** Somebody else who shares the store was quicker each time. */
const KEEP_TRIES_MAX = 8;

/** Without an answer nothing is proven. A coordinator that answers has to prove what it has signed. */
const passing = new Set(['unreachable', 'rate_limited', 'request_timeout', 'shutting_down', 'internal']);

export interface DirectoryOptions {
  readonly api: CoordinatorApi;
  readonly heads: HeadStore;
  /** The coordinator's public key where it is known beforehand; otherwise the first one seen stays. */
  readonly coordinatorKey: string | null;
  readonly now: () => number;
}

export class Directory {
  readonly #options: DirectoryOptions;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /** The newest head kept. */
  async kept(): Promise<Result<DirectoryHead | undefined>> {
    const { heads, api } = this.#options;
    try {
      return ok(await heads.load(api.baseURL));
    } catch {
      return refusedWith('heads_unavailable');
    }
  }

  /** Current nodes of a model. */
  async list(model: string, signal: AbortSignal): Promise<Result<Listing>> {
    const kept = await this.kept();
    if (!kept.ok) return kept;
    const since = kept.value?.size ?? 0;
    const path = `/nodes?model=${encodeURIComponent(model)}&since=${since}`;
    const list = await this.#options.api.get(path, NodeListSchema, LIST_BYTES, signal);
    if (!list.ok) return list;
    const { head, consistency, nodes } = list.value;
    const taken = await this.#take(head, { base: kept.value, consistency }, signal);
    if (!taken.ok) return taken;
    if (!nodes.every((node): node is JoinedNode => node.entry.kind === 'joined' && isProven(node, head)))
      return refusedWith('directory_forged');
    // Whoever is there twice is drawn twice as often.
    if (new Set(nodes.map(({ entry }) => entry.bundle)).size < nodes.length)
      return refusedWith('directory_forged', 'a node is listed twice');
    return ok({ head, nodes });
  }

  /** Takes a head that came with something else than a list. `base` is one that it has to go on from. */
  async take(head: DirectoryHead, base: DirectoryHead, signal: AbortSignal): Promise<Result<null>> {
    if (head.size < base.size) return refusedWith('directory_rolled_back');
    const consistency = await this.#consistency(base.size, head.size, signal);
    if (!consistency.ok) return consistency;
    return this.#take(head, { base, consistency: consistency.value }, signal);
  }

  /** The text of a bundle, which is what its name says. */
  async bundle(name: string, signal: AbortSignal): Promise<Result<string, PrivateFailureCode>> {
    // A character of UTF-8 has at most 3 bytes for each UTF-16 unit.
    const bytesMax = 3 * privateLimits.bundleCharacters;
    const text = await this.#options.api.getText(`/nodes/bundles/${name}`, bytesMax, signal);
    if (!text.ok) return fail({ ...text.failure, code: 'bundle_unavailable' });
    return sha256Hex(text.value) === name ? ok(text.value) : refusedWith('bundle_forged');
  }

  /** Compares the head kept here with somebody else's. */
  async compare(theirs: DirectoryHead, signal: AbortSignal): Promise<Result<HeadComparison>> {
    const kept = await this.kept();
    if (!kept.ok) return kept;
    const ours = kept.value;
    const not = (reason: string) => ok({ verdict: 'not-comparable', reason } as const);
    if (ours === undefined) return not('No head of this coordinator is kept here yet.');
    if (ours.coordinator !== theirs.coordinator) return not('The heads are of two coordinators.');
    if (!(await verifyHead(theirs))) return not("The other head does not have the coordinator's signature.");
    const [from, to] = [Math.min(ours.size, theirs.size), Math.max(ours.size, theirs.size)];
    const proof = await this.#consistency(from, to, signal);
    if (!proof.ok && passing.has(proof.failure.code)) return proof;
    const agree = proof.ok && headsAgree(ours, theirs, proof.value);
    return ok(agree ? { verdict: 'consistent' } : { verdict: 'forked', ours, theirs });
  }

  /** Checks a head against the one that its proof begins at, and against the one kept by now, and keeps it if it is newer. */
  #take(
    head: DirectoryHead,
    proof: { readonly base: DirectoryHead | undefined; readonly consistency: readonly string[] },
    signal: AbortSignal,
  ): Promise<Result<null>> {
    const taken = this.#turn.then(async (): Promise<Result<null>> => {
      const { coordinatorKey, now } = this.#options;
      if (coordinatorKey !== null && head.coordinator !== coordinatorKey)
        return refusedWith('coordinator_changed');
      if (!(await verifyHead(head))) return refusedWith('directory_forged', 'the head is not signed');
      const problem = checkHeads(proof.base, head, proof.consistency, now());
      if (problem !== undefined) return refusedWith(problem);
      return this.#keep(head, proof.base, signal);
    });
    this.#turn = taken.catch(() => undefined);
    return taken;
  }

  /** While the head was on its way, another one may have been kept: these two have to agree, too. */
  async #keep(
    head: DirectoryHead,
    base: DirectoryHead | undefined,
    signal: AbortSignal,
  ): Promise<Result<null>> {
    for (let tries = 0; tries < KEEP_TRIES_MAX; tries++) {
      const kept = await this.kept();
      if (!kept.ok) return kept;
      const other = kept.value;
      if (isSameHead(other, head)) return ok(null);
      if (other !== undefined && !isSameHead(other, base)) {
        const agreed = await this.#agree(head, other, signal);
        if (!agreed.ok) return agreed;
        if (other.size > head.size || other.atMs > head.atMs) return ok(null);
      }
      const saved = await this.#save(head, other);
      if (!saved.ok) return saved;
      if (saved.value) return ok(null);
    }
    return refusedWith('heads_unavailable', 'others change it all the time');
  }

  async #agree(head: DirectoryHead, other: DirectoryHead, signal: AbortSignal): Promise<Result<null>> {
    if (other.coordinator !== head.coordinator) return refusedWith('coordinator_changed');
    const [from, to] = [Math.min(head.size, other.size), Math.max(head.size, other.size)];
    const proof = await this.#consistency(from, to, signal);
    if (!proof.ok) return proof;
    return headsAgree(head, other, proof.value) ? ok(null) : refusedWith('directory_forked');
  }

  async #save(head: DirectoryHead, replaced: DirectoryHead | undefined): Promise<Result<boolean>> {
    const { heads, api } = this.#options;
    try {
      return ok(await heads.save(api.baseURL, head, replaced));
    } catch {
      return refusedWith('heads_unavailable');
    }
  }

  async #consistency(from: number, to: number, signal: AbortSignal): Promise<Result<readonly string[]>> {
    // RFC 9162 has no proof for these: there is nothing to prove.
    if (from === to || from === 0) return ok([]);
    const path = `/nodes/consistency?from=${from}&to=${to}`;
    const answer = await this.#options.api.get(path, ConsistencySchema, PROOF_BYTES, signal);
    if (answer.ok) return ok(answer.value.proof);
    return passing.has(answer.failure.code) ? answer : fail(privateFailure('directory_forked', 'no proof'));
  }
}
