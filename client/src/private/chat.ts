/**
 * A private chat from the question to the checked answer: choosing, sealing, reading, and going on elsewhere where the specification
 * allows it. Nothing leaves before the nodes are verified, and no failure moves the question to another tier.
 */
import type { Usage } from '@tussah/protocol/chat-response';
import type { Failure } from '@tussah/protocol/errors';
import { idFrom } from '@tussah/protocol/ids';
import type { Padding } from '@tussah/protocol/private/header';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { NodeOffer } from '@tussah/protocol/private/statements';
import type { Policy } from '@tussah/attestation/policy/policy';
import type { End } from './answer.ts';
import { modelDigestOf, type Choice, type Chooser } from './choose.ts';
import type { CoordinatorApi } from './coordinator-api.ts';
import type { Directory, Listing } from './directory.ts';
import { privateFailure, type PrivateFailureCode } from './failures.ts';
import { costBound, DEFAULT_MAX_TOKENS, draftOf, sealJob, type Draft, type SealedJob } from './job.ts';
import { runJob, type JobEnd, type Patience } from './job-stream.ts';
import type { Listings } from './listings.ts';
import { isSimulated, viewOf, type RejectedNode } from './nodes.ts';
import type { Preparation, PrivateEvent, PrivateFailed, PrivateFinished } from './private-events.ts';
import { notProtectedBy } from './protection.ts';
import type { PrivateQuestion } from './question.ts';

export interface Services {
  readonly api: CoordinatorApi;
  readonly directory: Directory;
  readonly listings: Listings;
  readonly chooser: Chooser;
  readonly policy: Policy;
  readonly patience: Patience;
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
}

export interface Asking {
  readonly question: PrivateQuestion;
  readonly padding: Padding;
  readonly signal: AbortSignal;
}

/** Yields what comes, and then exactly one of `finished`, `failed` and `stopped`. */
export async function* privateChat(
  services: Services,
  asking: Asking,
): AsyncGenerator<PrivateEvent, void, void> {
  const { question, signal } = asking;
  const digest = modelDigestOf(services.policy, question.model);
  if (!digest.ok) return yield failedWith(digest.failure);
  const excluded = new Set<string>();
  let answered = '';
  let continuations = 0;
  /** Why the chat goes on elsewhere; once for each job nobody had taken it. */
  let last: Failure | undefined;
  let moved = false;
  for (;;) {
    const made = await makeJob(services, asking, { answered, excluded, modelDigest: digest.value });
    if (signal.aborted) return yield { type: 'stopped' };
    if (!made.ok) return yield unmade(made, last, answered);
    const { job, listing, preparation } = made;
    yield { type: 'verified', preparation };
    const context = { job, chosenFrom: listing.head, directory: services.directory, signal };
    const before = answered;
    const end =
      (await endedMeanwhile(services, job)) ??
      (yield* watched(runJob(context, services.api, services.patience), (text) => (answered += text)));
    if (end.kind === 'finished') return yield finishedBy(end, job);
    if (signal.aborted) return yield { type: 'stopped' };
    services.listings.forget(question.model);
    const spent = end.kind === 'moved' ? moved : continuations === privateLimits.continuations;
    if (end.kind === 'failed' || spent) return yield failedBy(end, job, answered, preparation.rejected);
    last = end.failure;
    if (end.kind === 'moved') {
      moved = true;
      for (const bundle of end.exclude) excluded.add(bundle);
    } else {
      moved = false;
      continuations += 1;
      excluded.add(end.node.bundle);
      if (answered !== before) yield { type: 'continued', lost: viewOf(end.node) };
    }
  }
}

/** What was verified for a model, without sending anything of a question. */
export async function prepareModel(
  services: Services,
  model: string,
  signal: AbortSignal,
): Promise<Preparation> {
  const digest = modelDigestOf(services.policy, model);
  if (!digest.ok) return preparationOf(services, model, null, refused(digest.failure));
  const listing = await services.listings.get(model, signal);
  if (!listing.ok) return preparationOf(services, model, null, refused(listing.failure));
  const wanted = { model, suits: () => undefined, excluded: new Set<string>() };
  const choice = await services.chooser.choose(listing.value, wanted, signal);
  return preparationOf(services, model, listing.value, choice);
}

interface Wanting {
  readonly answered: string;
  readonly excluded: ReadonlySet<string>;
  readonly modelDigest: string;
}

type Made =
  | {
      readonly ok: true;
      readonly job: SealedJob;
      readonly listing: Listing;
      readonly preparation: Preparation;
    }
  | { readonly ok: false; readonly failure: Failure; readonly rejected: readonly RejectedNode[] };

async function makeJob(services: Services, asking: Asking, wanting: Wanting): Promise<Made> {
  const { question, padding, signal } = asking;
  const { answered, excluded, modelDigest } = wanting;
  const listing = await services.listings.get(question.model, signal);
  if (!listing.ok) return { ok: false, failure: listing.failure, rejected: [] };
  const contexts = listing.value.nodes.map(({ entry }) => entry.offer.contextTokens);
  const contextTokens = Math.max(2, ...contexts);
  const maxTokens = tokensFor(question, contextTokens, answered);
  const jobId = idFrom('job', services.random(24));
  const draft = draftOf(question, { jobId, maxTokens, answered, contextTokens });
  if (!draft.ok) return { ok: false, failure: draft.failure, rejected: [] };
  const suits = (offer: NodeOffer) => objectionTo(offer, draft.value, question.maxPriceNano);
  const wanted = { model: question.model, suits, excluded };
  const choice = await services.chooser.choose(listing.value, wanted, signal);
  const { nodes, rejected, failure } = choice;
  if (failure !== undefined) return { ok: false, failure, rejected };
  const preparation = preparationOf(services, question.model, listing.value, choice);
  const job = await sealJob({
    draft: draft.value,
    modelDigest,
    nodes,
    padding,
    nowMs: services.now(),
  });
  return { ok: true, job, listing: listing.value, preparation };
}

/**
 * Tokens that may still come. A lost node has not told how many it sent: four bytes of text are taken for one. The header says the rest
 * in the clear, and the coordinator can call any node lost at any time: only two binary digits of it may tell how long the text is.
 */
function tokensFor(question: PrivateQuestion, contextTokens: number, answered: string): number {
  const asked = question.maxTokens ?? Math.min(DEFAULT_MAX_TOKENS, Math.floor(contextTokens / 2));
  if (answered === '') return asked;
  const left = Math.max(1, asked - Math.ceil(new TextEncoder().encode(answered).length / 4));
  const step = 2 ** Math.max(0, Math.floor(Math.log2(left)) - 1);
  return left - (left % step);
}

function objectionTo(
  offer: NodeOffer,
  draft: Draft,
  maxPriceNano: bigint | undefined,
): PrivateFailureCode | undefined {
  if (offer.contextTokens <= draft.inner.maxTokens) return 'context_length_exceeded';
  const cost = costBound(draft, offer.price);
  return maxPriceNano !== undefined && cost > maxPriceNano ? 'price_too_high' : undefined;
}

/** Whoever was told of the nodes may have thought about them for long; and of many, the first were verified a while ago. */
async function endedMeanwhile(
  { chooser, now }: Services,
  { header, nodes }: SealedJob,
): Promise<Extract<JobEnd, { kind: 'moved' }> | undefined> {
  const exclude = await chooser.ended(nodes, header.model);
  if (exclude.length === 0 && now() < header.notAfterMs) return undefined;
  const failure = privateFailure('expired');
  return { kind: 'moved', failure, exclude };
}

/** Passes on what comes, and its text to `onText`. */
async function* watched(
  events: AsyncGenerator<PrivateEvent, JobEnd, void>,
  onText: (text: string) => void,
): AsyncGenerator<PrivateEvent, JobEnd, void> {
  try {
    for (;;) {
      const next = await events.next();
      if (next.done === true) return next.value;
      if (next.value.type === 'text-delta') onText(next.value.text);
      yield next.value;
    }
  } finally {
    // Does nothing after the end; before it, it ends the connection and cancels.
    await events.return(undefined as never);
  }
}

function preparationOf(
  { policy, now }: Services,
  model: string,
  listing: Listing | null,
  { nodes, rejected, failure }: Choice,
): Preparation {
  const simulated = nodes.some(isSimulated);
  return {
    model,
    head: listing?.head ?? null,
    nodes: nodes.map(viewOf),
    rejected,
    simulated,
    notProtected: notProtectedBy(simulated),
    policy: policy.name,
    atMs: now(),
    failure: failure ?? null,
  };
}

const refused = (failure: Failure): Choice => ({ nodes: [], rejected: [], failure });

const usageOf = ({ promptTokens, completionTokens }: End): Usage => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

const finishedBy = (
  { end, node, receipt }: Extract<JobEnd, { kind: 'finished' }>,
  job: SealedJob,
): PrivateFinished => ({
  type: 'finished',
  tier: 'private',
  finishReason: end.finishReason,
  usage: usageOf(end),
  jobId: job.header.jobId,
  receipt,
  node: viewOf(node),
  attestation: isSimulated(node) ? 'simulated' : 'hardware',
});

/** A failure before any job, or with nothing known of one. */
export const failedWith = (failure: Failure, more: Partial<PrivateFailed> = {}): PrivateFailed => ({
  type: 'failed',
  tier: 'private',
  failure,
  text: 'none',
  finishReason: null,
  usage: null,
  jobId: null,
  receipt: null,
  node: null,
  rejected: [],
  ...more,
});

/** Having nobody else to go to is no news: why somebody else was looked for is. */
function unmade(
  { failure, rejected }: Extract<Made, { ok: false }>,
  last: Failure | undefined,
  answered: string,
): PrivateFailed {
  const why = failure.code === 'no_node' ? (last ?? failure) : failure;
  return failedWith(why, { rejected, text: answered === '' ? 'none' : 'part' });
}

function failedBy(
  ended: Exclude<JobEnd, { kind: 'finished' }>,
  job: SealedJob,
  answered: string,
  rejected: readonly RejectedNode[],
): PrivateFailed {
  const { failure } = ended;
  const end = ended.kind === 'failed' ? ended.end : null;
  const node = ended.kind === 'moved' ? null : ended.node;
  return failedWith(failure, {
    text: end !== null ? 'whole' : answered === '' ? 'none' : 'part',
    finishReason: end?.finishReason ?? null,
    usage: end === null ? null : usageOf(end),
    jobId: job.header.jobId,
    receipt: ended.kind === 'failed' ? ended.receipt : null,
    node: node === null ? null : viewOf(node),
    rejected,
  });
}
