/** Whether a node may enter the directory: its bundle under the operator's policy, and an offer that the bundle's key has signed. */
import type { Policy } from '@tussah/attestation/policy/policy';
import { StatementSchema } from '@tussah/attestation/binding/statement';
import { Verifier } from '@tussah/attestation/verify';
import { fail, failure, ok, type Failure, type Result } from '@tussah/protocol/errors';
import { sha256Hex } from '@tussah/protocol/bytes';
import { SuiteSchema } from '@tussah/protocol/private/header';
import type { NodeOffer } from '@tussah/protocol/private/statements';
import { domains } from '@tussah/protocol/signatures';
import * as v from 'valibot';
import type { PrivateEffect } from '../../core/private/events.ts';
import type { Attested } from '../../core/private/state.ts';
import type { SignatureChecker } from '../signer.ts';

type Evidence = Omit<Extract<PrivateEffect, { type: 'check-bundle' }>, 'type' | 'connectionId'>;

/** Bundles that are verified at the same time: each shares the only core with running answers. */
const AT_ONCE = 2;
/** Of all bundles that wait for their turn, in UTF-16 units. */
const WAITING_SIZE_MAX = 128 * 1024 * 1024;

/** `param` is the id of the step that failed, one of ours. */
const refused = (step: string, message: string, remedy: string): { ok: false; failure: Failure } =>
  fail({ code: 'evidence_rejected', message, remedy, param: step });

export class EvidenceChecker {
  readonly #policy: Policy;
  readonly #coordinator: string;
  readonly #checker: SignatureChecker;
  readonly #now: () => number;
  readonly #verifier = new Verifier();
  readonly #waiting: (() => void)[] = [];
  #waitingSize = 0;
  #busy = 0;

  constructor(policy: Policy, coordinator: string, checker: SignatureChecker, now: () => number) {
    this.#policy = policy;
    this.#coordinator = coordinator;
    this.#checker = checker;
    this.#now = now;
  }

  /** At most so many at once; the others wait for their turn, and are asked then whether they are still there. */
  async check(evidence: Evidence, isThere: () => boolean): Promise<Result<Attested>> {
    const { length } = evidence.bundle;
    if (this.#busy < AT_ONCE) this.#busy += 1;
    else if (this.#waitingSize + length > WAITING_SIZE_MAX) return overloaded;
    else {
      this.#waitingSize += length;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#waitingSize -= length;
    }
    try {
      return isThere() ? await this.#check(evidence) : overloaded;
    } catch {
      // A bug of the verifier. Its error may quote the evidence, and it does not make it acceptable.
      return fail(failure('internal'));
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy -= 1;
      else next();
    }
  }

  async #check(evidence: Evidence): Promise<Result<Attested>> {
    const objection = this.#objectionTo(evidence);
    if (objection !== undefined) return objection;
    const { bundle: text, epochNonce, offer, signature } = evidence;
    const known = modelOf(this.#policy, offer.model);
    const expected = { epochNonce, modelDigest: known?.digest };
    const { verdict, steps, claims } = await this.#verifier.verify(
      { kind: 'bundle', text, expected },
      this.#policy,
      this.#now(),
    );
    const failed = steps.find((step) => step.status === 'failed');
    if (verdict !== 'accepted')
      return refused(
        failed?.id ?? 'unknown',
        `The evidence is refused at ${failed?.id ?? 'a step that was not reached'}: ${failed?.title ?? ''}`,
        failed?.remedy ?? 'See the policy at /v1/nodes/policy.',
      );
    const statement = v.parse(StatementSchema, claims['statement']);
    if (known?.configs !== undefined && !known.configs.includes(statement.configDigest))
      return refused('bundle.config', 'The policy does not list this configuration.', remedies.policy);
    const suite = v.safeParse(SuiteSchema, statement.suite);
    if (!suite.success) return refused('bundle.suite', 'This suite is not known here.', remedies.policy);
    const { receiptKey, modelDigest, notAfterMs } = statement;
    if (!this.#checker.check(receiptKey, domains.nodeOffer, offer, signature))
      return refused(
        'offer.signature',
        "The offer is not signed by the bundle's receipt key: the bundle is another node's.",
        'Sign the offer with the receipt key that the bundle binds.',
      );
    return ok({ bundle: offer.bundle, suite: suite.output, modelDigest, receiptKey, notAfterMs });
  }

  /** What needs no evidence to be wrong. */
  #objectionTo({
    bundle,
    offer,
    identity,
    epochNonce,
  }: Evidence): { ok: false; failure: Failure } | undefined {
    const wrong = (what: keyof NodeOffer) =>
      refused(
        `offer.${what}`,
        `The offer names another ${what} than it should.`,
        'Make a new offer for each epoch.',
      );
    if (offer.bundle !== sha256Hex(bundle)) return wrong('bundle');
    if (offer.coordinator !== this.#coordinator) return wrong('coordinator');
    if (offer.identity !== identity) return wrong('identity');
    if (offer.epochNonce !== epochNonce) return wrong('epochNonce');
    if (Object.keys(this.#policy.models).length > 0 && modelOf(this.#policy, offer.model) === undefined)
      return refused('offer.model', 'The policy does not list this model.', remedies.policy);
    return undefined;
  }
}

const overloaded = fail({
  code: 'too_many_attestations',
  message: 'Too many bundles wait to be verified.',
  remedy: 'Try again later.',
});

const remedies = { policy: 'See the policy at /v1/nodes/policy.' } as const;

const modelOf = ({ models }: Policy, model: string) =>
  Object.hasOwn(models, model) ? models[model] : undefined;
