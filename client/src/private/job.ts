/** Makes a sealed job out of a question and the nodes chosen for it. */
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { costOf, priceFromWire, type PriceWire } from '@tussah/protocol/money';
import type { Padding, SealedHeader } from '@tussah/protocol/private/header';
import { InnerRequestSchema, type InnerRequest } from '@tussah/protocol/private/inner-request';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import * as v from 'valibot';
import { encodeInner } from '../sealing/padding.ts';
import { sealRequest, type Sealed } from '../sealing/seal-request.ts';
import { privateFailure } from './failures.ts';
import type { VerifiedNode } from './nodes.ts';
import type { PrivateQuestion } from './question.ts';

/** A question with everything decided that does not depend on the nodes. */
export interface Draft {
  readonly inner: InnerRequest;
  /**
   * At least what the prompt has, since a token has at least a byte. From the padded size, so that it tells no more than that, and no
   * more than the largest context that is offered has room for.
   */
  readonly maxPromptTokens: number;
}

export interface SealedJob extends Sealed {
  readonly header: SealedHeader;
  /** In the header's order. */
  readonly nodes: readonly VerifiedNode[];
}

/** Answers are this long where nobody says otherwise. */
export const DEFAULT_MAX_TOKENS = 512;

/** Long enough for clocks that differ, and half of what a node allows. */
const AHEAD_MS = privateLimits.headerAheadMs / 2;
/** To the millisecond, the end would tell how wrong this clock is, by which a client can be known again. */
const END_STEP_MS = 60_000;

export interface Drafting {
  readonly jobId: string;
  readonly maxTokens: number;
  /** Text that is there already, when this goes on with an answer. */
  readonly answered: string;
  /** The largest that is offered. */
  readonly contextTokens: number;
}

export function draftOf(question: PrivateQuestion, drafting: Drafting): Result<Draft> {
  const { jobId, maxTokens, answered, contextTokens } = drafting;
  const inner: InnerRequest = {
    version: 1,
    jobId,
    model: question.model,
    maxTokens,
    messages: question.messages.map(({ role, content }) => ({ role, content })),
    sampling: question.sampling,
    stop: [...question.stop],
    seed: question.seed ?? null,
    continuation: answered === '' ? null : { text: answered },
  };
  const size = v.is(InnerRequestSchema, inner) ? encodeInner(inner)?.length : undefined;
  if (size === undefined) return fail(privateFailure('request_too_large'));
  return ok({ inner, maxPromptTokens: Math.max(1, Math.min(size, contextTokens - maxTokens)) });
}

/** The most that the job can cost at a node's price. */
export const costBound = ({ inner, maxPromptTokens }: Draft, price: PriceWire): bigint =>
  costOf(priceFromWire(price), maxPromptTokens, inner.maxTokens);

export interface Sealing {
  readonly draft: Draft;
  readonly modelDigest: string;
  readonly nodes: readonly VerifiedNode[];
  readonly padding: Padding;
  readonly nowMs: number;
}

/** `nodes` are of one suite. */
export async function sealJob(sealing: Sealing): Promise<SealedJob> {
  const { draft, modelDigest, nodes, padding, nowMs } = sealing;
  const { inner } = draft;
  const [first] = nodes;
  if (first === undefined) throw new Error('a job without candidates');
  const costs = nodes.map(({ offer }) => costBound(draft, offer.price));
  const dearest = costs.reduce((a, b) => (a > b ? a : b));
  const header: SealedHeader = {
    version: 1,
    suite: first.suite,
    jobId: inner.jobId,
    model: inner.model,
    modelDigest,
    maxPromptTokens: draft.maxPromptTokens,
    maxTokens: inner.maxTokens,
    maxPriceNano: dearest.toString(),
    padding,
    notAfterMs: Math.ceil((nowMs + AHEAD_MS) / END_STEP_MS) * END_STEP_MS,
    candidates: nodes.map(({ bundle }) => bundle),
  };
  const recipients = nodes.map(({ bundleText, statement }) => ({
    bundle: bundleText,
    hpkePublicKey: statement.hpkePublicKey,
  }));
  return { ...(await sealRequest({ header, inner, recipients })), header, nodes };
}
