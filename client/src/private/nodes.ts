/** A confidential machine that this client has verified itself, and what is said about it. */
import { StatementSchema, type Statement } from '@tussah/attestation/binding/statement';
import type { Claim, Verdict } from '@tussah/attestation/verdict';
import type { PriceWire } from '@tussah/protocol/money';
import { suiteNames, type SuiteName } from '@tussah/protocol/private/header';
import type { NodeOffer } from '@tussah/protocol/private/statements';
import * as v from 'valibot';

export interface VerifiedNode {
  /** Name of the bundle. */
  readonly bundle: string;
  readonly bundleText: string;
  readonly statement: Statement;
  readonly suite: SuiteName;
  /** Signed by the key in the evidence. */
  readonly offer: NodeOffer;
  readonly verdict: Verdict;
  /** When it joined the directory: the coordinator's word, in milliseconds since 1970. */
  readonly joinedAtMs: number;
}

/** A node whose evidence or offer was not accepted, for whoever wants to know why. */
export interface RejectedNode {
  readonly bundle: string;
  readonly code: string;
  readonly reason: string;
  /** All steps, where its evidence came to be verified. */
  readonly verdict: Verdict | null;
}

/** What is shown of a node: facts from accepted evidence. */
export interface NodeView {
  readonly bundle: string;
  /** Who is paid. */
  readonly identity: string;
  readonly machine: string;
  readonly gpus: readonly string[];
  readonly image: string;
  readonly modelDigest: string;
  readonly suite: SuiteName;
  readonly price: PriceWire;
  readonly contextTokens: number;
  readonly simulated: boolean;
  readonly joinedAtMs: number;
  readonly notAfterMs: number;
  readonly verdict: Verdict;
}

/** The statement of an accepted bundle. */
export const statementOf = ({ claims }: Verdict): Statement => v.parse(StatementSchema, claims['statement']);

export const isSimulated = ({ verdict }: VerifiedNode): boolean => verdict.claims['simulated'] !== false;

export function viewOf(node: VerifiedNode): NodeView {
  const { bundle, statement, suite, offer, verdict, joinedAtMs } = node;
  const { machine, gpus } = verdict.claims;
  return {
    bundle,
    identity: offer.identity,
    machine: textOf(machine, 'kind'),
    gpus: Array.isArray(gpus) ? gpus.map((gpu: Claim) => textOf(gpu, 'model')) : [],
    image: statement.image,
    modelDigest: statement.modelDigest,
    suite,
    price: offer.price,
    contextTokens: offer.contextTokens,
    simulated: isSimulated(node),
    joinedAtMs,
    notAfterMs: statement.notAfterMs,
    verdict,
  };
}

function textOf(claim: Claim | undefined, name: string): string {
  if (typeof claim !== 'object' || claim === null || Array.isArray(claim)) return 'unknown';
  const value = (claim as { readonly [name: string]: Claim })[name];
  return typeof value === 'string' ? value : 'unknown';
}

/** Those with the strongest suite that any of them has, in order. */
export function ofStrongestSuite(nodes: readonly VerifiedNode[]): readonly VerifiedNode[] {
  const strongest = suiteNames.find((suite) => nodes.some((node) => node.suite === suite));
  return nodes.filter((node) => node.suite === strongest);
}
