/** Chooses the candidates of a job: in an order of this client's own drawing, and only nodes that it has verified itself. */
import { parseBundle } from '@tussah/attestation/bundle/bundle';
import type { Expectations } from '@tussah/attestation/bundle/verify-bundle';
import type { Policy } from '@tussah/attestation/policy/policy';
import type { Verdict } from '@tussah/attestation/verdict';
import type { Verifier } from '@tussah/attestation/verify';
import { ok, type Failure, type Result } from '@tussah/protocol/errors';
import { SuiteSchema, type SuiteName } from '@tussah/protocol/private/header';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { verifyOffer } from '@tussah/protocol/private/sign-statements';
import type { NodeOffer } from '@tussah/protocol/private/statements';
import * as v from 'valibot';
import { isUsableKey } from '../sealing/suites.ts';
import type { Directory, JoinedNode, Listing } from './directory.ts';
import { privateFailure, refusedWith, type PrivateFailureCode } from './failures.ts';
import { ofStrongestSuite, statementOf, type RejectedNode, type VerifiedNode } from './nodes.ts';
import { remember } from './remember.ts';

export interface Wanted {
  readonly model: string;
  /** Whether price and context will do; a failure says what is wrong with all nodes that will not. */
  readonly suits: (offer: NodeOffer) => PrivateFailureCode | undefined;
  /** Names of bundles that were tried already. */
  readonly excluded: ReadonlySet<string>;
}

export interface Choice {
  /** In the order drawn, one to three; empty with a failure. */
  readonly nodes: readonly VerifiedNode[];
  readonly rejected: readonly RejectedNode[];
  readonly failure: Failure | undefined;
}

/** A coordinator that lists nothing but junk is not followed for ever. */
const TRIES_MAX = 24;
/** Texts of bundles have some 100 kB each. */
const BUNDLES_KEPT = 16;

export interface ChooserOptions {
  readonly directory: Directory;
  readonly verifier: Verifier;
  readonly policy: Policy;
  readonly now: () => number;
  /** So many random bytes. */
  readonly random: (bytes: number) => Uint8Array;
}

export class Chooser {
  readonly #options: ChooserOptions;
  /** By the bundles' names. */
  readonly #texts = new Map<string, string>();
  readonly #usable = new Map<string, boolean>();

  constructor(options: ChooserOptions) {
    this.#options = options;
  }

  async choose(listing: Listing, wanted: Wanted, signal: AbortSignal): Promise<Choice> {
    const objections = new Set<PrivateFailureCode>();
    const suitable = listing.nodes.filter(({ entry: { bundle, offer } }) => {
      const objection = wanted.suits(offer);
      if (objection !== undefined) objections.add(objection);
      return objection === undefined && !wanted.excluded.has(bundle);
    });
    const order = this.#shuffled(suitable).slice(0, TRIES_MAX);
    const nodes: VerifiedNode[] = [];
    const rejected: RejectedNode[] = [];
    while (nodes.length < privateLimits.candidates && order.length > 0 && !signal.aborted) {
      const tried = order.splice(0, privateLimits.candidates - nodes.length);
      for (const result of await Promise.all(
        tried.map((node) => this.#verify(node, listing, wanted, signal)),
      ))
        if (result.ok) nodes.push(result.value);
        else rejected.push(result.failure);
    }
    const failure = nodes.length > 0 ? undefined : failureOf(rejected, objections);
    return { nodes: ofStrongestSuite(nodes), rejected, failure };
  }

  async #verify(
    node: JoinedNode,
    listing: Listing,
    { model }: Wanted,
    signal: AbortSignal,
  ): Promise<
    | { readonly ok: true; readonly value: VerifiedNode }
    | { readonly ok: false; readonly failure: RejectedNode }
  > {
    const { bundle, offer, signature, atMs } = node.entry;
    const reject = (failed: Failure, verdict: Verdict | null = null) =>
      ({ ok: false, failure: { bundle, code: failed.code, reason: failed.message, verdict } }) as const;
    const named = offer.bundle === bundle && offer.model === model;
    if (!named || offer.coordinator !== listing.head.coordinator)
      return reject(privateFailure('offer_forged', 'it is for something else'));
    const text = await this.#textOf(bundle, signal);
    if (!text.ok) return reject(text.failure);
    const verdict = await this.#verdictOf(text.value, model);
    if (verdict.verdict !== 'accepted')
      return reject(privateFailure('evidence_rejected', failedSteps(verdict)), verdict);
    const statement = statementOf(verdict);
    const signed = await verifyOffer(statement.receiptKey, offer, signature);
    if (!signed || offer.epochNonce !== statement.epochNonce)
      return reject(privateFailure('offer_forged'), verdict);
    const suite = v.parse(SuiteSchema, statement.suite);
    if (!(await this.#isUsable(bundle, suite, statement.hpkePublicKey)))
      return reject(privateFailure('evidence_rejected', 'nothing can be sealed to its key'), verdict);
    return ok({ bundle, bundleText: text.value, statement, suite, offer, verdict, joinedAtMs: atMs });
  }

  /** The names of those whose evidence is not accepted any more: time has passed since they were chosen. */
  async ended(nodes: readonly VerifiedNode[], model: string): Promise<readonly string[]> {
    const verdicts = await Promise.all(nodes.map(({ bundleText }) => this.#verdictOf(bundleText, model)));
    return nodes.flatMap(({ bundle }, i) => (verdicts[i]?.verdict === 'accepted' ? [] : [bundle]));
  }

  /** As of now. The verifier remembers what it accepted, for as long as nothing in it ends. */
  #verdictOf(text: string, model: string): Promise<Verdict> {
    const { policy, verifier, now } = this.#options;
    const expected = expectationsOf(policy, model, text);
    return verifier.verify({ kind: 'bundle', text, expected }, policy, now());
  }

  async #textOf(name: string, signal: AbortSignal): Promise<Result<string>> {
    const known = this.#texts.get(name);
    if (known !== undefined) return ok(known);
    const text = await this.#options.directory.bundle(name, signal);
    if (!text.ok) return text;
    remember(this.#texts, name, text.value, BUNDLES_KEPT);
    return text;
  }

  /** Asked once for each bundle: it costs milliseconds. */
  async #isUsable(name: string, suite: SuiteName, publicKey: string): Promise<boolean> {
    const known = this.#usable.get(name);
    if (known !== undefined) return known;
    const usable = await isUsableKey(suite, publicKey);
    remember(this.#usable, name, usable, BUNDLES_KEPT);
    return usable;
  }

  /** Fisher and Yates, from the end. */
  #shuffled<Item>(items: readonly Item[]): Item[] {
    const all = [...items];
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.#below(i + 1);
      [all[i], all[j]] = [all[j] as Item, all[i] as Item];
    }
    return all;
  }

  /** Uniform: what would make the lower numbers likelier is drawn again. `bound` is at most 2^16. */
  #below(bound: number): number {
    const even = 65_536 - (65_536 % bound);
    for (;;) {
      const [high = 0, low = 0] = this.#options.random(2);
      const drawn = 256 * high + low;
      if (drawn < even) return drawn % bound;
    }
  }
}

/** The model as the policy names it. Of several configurations the one stated is expected, if it is among them. */
function expectationsOf(policy: Policy, model: string, text: string): Expectations {
  const named = Object.hasOwn(policy.models, model) ? policy.models[model] : undefined;
  if (named === undefined) throw new Error('a node was verified for a model that the policy does not name');
  const { digest: modelDigest, configs } = named;
  if (configs === undefined) return { modelDigest };
  const stated = statedConfig(text);
  return { modelDigest, configDigest: configs.find((config) => config === stated) ?? configs[0] };
}

function statedConfig(text: string): string | undefined {
  try {
    return parseBundle(text).statement.configDigest;
  } catch {
    return undefined;
  }
}

const failedSteps = ({ steps }: Verdict): string =>
  steps
    .filter(({ status }) => status === 'failed')
    .map(({ id }) => id)
    .slice(0, 4)
    .join(', ');

/** Why nobody is left. Lies weigh more than bad evidence, and that more than what is merely too dear. */
function failureOf(rejected: readonly RejectedNode[], objections: ReadonlySet<PrivateFailureCode>): Failure {
  const weights = ['bundle_forged', 'offer_forged', 'evidence_rejected'] as const;
  for (const code of weights) {
    const found = rejected.find((node) => node.code === code);
    if (found !== undefined) return { ...privateFailure(code), message: found.reason };
  }
  if (rejected.length > 0) return privateFailure('bundle_unavailable');
  const [objection = 'no_node'] = objections;
  return privateFailure(objection);
}

/** The digest that the policy names for a model; without one no node could prove to serve it. */
export function modelDigestOf(policy: Policy, model: string): Result<string> {
  const digest = Object.hasOwn(policy.models, model) ? policy.models[model]?.digest : undefined;
  return digest === undefined ? refusedWith('model_not_in_policy') : ok(digest);
}
