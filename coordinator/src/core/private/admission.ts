/** Whether a sealed request becomes a job, by its header alone: candidates, money and bounds are checked, and the money held. */
import { failure, type ErrorCode, type Failure } from '@tussah/protocol/errors';
import { costOf, type Nano } from '@tussah/protocol/money';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { GuestCaps } from '../config.ts';
import { admitGuest, today } from '../guests.ts';
import { hold } from '../reservations.ts';
import { note, type Turn } from '../turn.ts';
import { takesSealed } from './job-tables.ts';
import { place } from './jobs.ts';
import type { Epoch, SealedJob, SealedJobRequest } from './state.ts';
import { effect } from './turn.ts';

/** Admits a request and offers its job, or refuses it at once with the reason. */
export function submitSealed(turn: Turn, request: SealedJobRequest): void {
  const { private: tier } = turn.state;
  const { jobId } = request.header;
  const reservedNano = dearest(turn, request);
  const objection = objectionTo(turn, request, reservedNano);
  if (objection !== undefined) {
    note(turn, { kind: 'sealed-job-refused', code: objection.code });
    effect(turn, { type: 'fail-sealed', jobId, failure: objection, skipped: [] });
    return;
  }
  takesSealed(tier.jobs.get(jobId), 'sealed-job-submitted');
  const job: SealedJob = {
    id: jobId,
    request,
    phase: 'placing',
    candidate: 0,
    epoch: null,
    skipped: [],
    reservedNano,
    submittedAtMs: turn.atMs,
    phaseAtMs: turn.atMs,
    startedAtMs: 0,
    lastChunkMs: 0,
    firstChunkMs: null,
    chunks: 0,
    receipt: null,
    draft: null,
    abandoned: null,
  };
  tier.jobs.set(jobId, job);
  hold(turn.state, job);
  place(turn, job);
}

const epochsOf = ({ state }: Turn, { header }: SealedJobRequest): Epoch[] =>
  header.candidates.flatMap((bundle) => state.private.epochs.get(bundle) ?? []);

/** What it may cost with the dearest of its candidates, and never more than the client allows. */
function dearest(turn: Turn, request: SealedJobRequest): Nano {
  const { maxPromptTokens, maxTokens, maxPriceNano } = request.header;
  const costs = epochsOf(turn, request).map(({ price }) => costOf(price, maxPromptTokens, maxTokens));
  const most = costs.reduce((a, b) => (a > b ? a : b), 0n);
  const allowed = BigInt(maxPriceNano);
  return most < allowed ? most : allowed;
}

function objectionTo(
  turn: Turn,
  request: SealedJobRequest,
  reservedNano: Nano,
): Failure<ErrorCode> | undefined {
  const { state, atMs } = turn;
  const { header } = request;
  if (!state.config.privateTier) return failure('tier_unavailable');
  if (state.draining) return failure('shutting_down');
  if (header.notAfterMs <= atMs || header.notAfterMs > atMs + privateLimits.headerAheadMs)
    return failure('header_expired', undefined, 'header.notAfterMs');
  const known = [state.jobs, state.private.jobs, state.private.endedJobs];
  if (known.some((ids) => ids.has(header.jobId))) return failure('job_known', undefined, 'header.jobId');
  return objectionToCandidates(turn, request) ?? objectionToMoney(turn, request, reservedNano);
}

function objectionToCandidates(turn: Turn, request: SealedJobRequest): Failure<ErrorCode> | undefined {
  const { departed, epochs } = turn.state.private;
  const { header } = request;
  if (header.candidates.some((bundle) => !departed.has(bundle) && !epochs.has(bundle)))
    return failure('candidate_unknown', undefined, 'header.candidates');
  const agrees = ({ offer, suite, modelDigest }: Epoch): boolean =>
    offer.model === header.model && suite === header.suite && modelDigest === header.modelDigest;
  if (!epochsOf(turn, request).every(agrees)) return failure('header_mismatch', undefined, 'header');
  return undefined;
}

/** Whether each candidate may still earn so much from guests today. */
function guestsMayPay(turn: Turn, request: SealedJobRequest, caps: GuestCaps, nano: Nano): boolean {
  const { byContributor, byOwner } = today(turn.state, turn.atMs);
  return epochsOf(turn, request).every(({ operator: { identity, wallet } }) => {
    const owned = wallet === null ? 0n : (byOwner.get(wallet) ?? 0n);
    const earned = byContributor.get(identity) ?? 0n;
    return earned + nano <= caps.perContributorDailyNano && owned + nano <= caps.perOwnerDailyNano;
  });
}

function objectionToMoney(
  turn: Turn,
  request: SealedJobRequest,
  reservedNano: Nano,
): Failure<ErrorCode> | undefined {
  const { state, atMs } = turn;
  const { guest, flow, header, payer } = request;
  const { config } = state;
  if (guest) {
    const admitted = admitGuest(state, atMs, flow, reservedNano);
    if (!admitted.ok) return admitted.failure;
    const caps = config.guests;
    if (caps === null || header.maxTokens > caps.maxTokens)
      return failure(
        'invalid_request',
        `Guests get answers of at most ${caps?.maxTokens ?? 0} tokens.`,
        'header.maxTokens',
      );
    if (!guestsMayPay(turn, request, caps, reservedNano)) return failure('guest_budget_exhausted');
  }
  const available = (state.balances.get(payer) ?? 0n) - (state.reserved.get(payer) ?? 0n);
  if (available < reservedNano) return failure(guest ? 'guest_budget_exhausted' : 'insufficient_balance');
  if ((state.flows.get(flow)?.active ?? 0) >= config.concurrentPerAccount) return failure('rate_limited');
  return undefined;
}
