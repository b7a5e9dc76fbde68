/** Whether a request becomes a job: model, context, money and queue are checked, and the money held, before anything runs. */
import { failure, type ErrorCode, type Failure } from '@tussah/protocol/errors';
import type { Nano } from '@tussah/protocol/money';
import { dearestOf } from './bids.ts';
import { admitGuest, queueGroupOf } from './guests.ts';
import { takes } from './job-events.ts';
import { ceilingOf, place } from './jobs.ts';
import { hold } from './reservations.ts';
import type { Job, JobRequest, Pool } from './state.ts';
import { note, type Turn } from './turn.ts';

/** Admits a request and places its job, or refuses it at once with the reason. */
export function submit(turn: Turn, request: JobRequest): void {
  const { state } = turn;
  // The shell draws the ids: one that is known already is a bug of ours.
  takes(state.jobs.get(request.id), 'job-submitted');
  const pool = state.pools.get(request.model);
  if (pool === undefined) return refuse(turn, request, failure('model_not_found', undefined, 'model'));
  if (request.guest && state.config.guests === null)
    return refuse(
      turn,
      request,
      failure('invalid_api_key', 'This coordinator serves no guests; send an API key.'),
    );
  const maxTokens = tokensAllowed(turn, pool, request);
  const refusal =
    maxTokens < 1 || (request.maxTokens !== undefined && maxTokens < request.maxTokens)
      ? tooLong(pool, request)
      : undefined;
  if (refusal !== undefined) return refuse(turn, request, refusal);
  const ceiling = ceilingOf(pool, request.prompt.ids.length, maxTokens);
  const { maxPriceNano } = request;
  const reservedNano = maxPriceNano !== undefined && maxPriceNano < ceiling ? maxPriceNano : ceiling;
  const objection = objectionTo(turn, pool, request, reservedNano);
  if (objection !== undefined) return refuse(turn, request, objection);
  const job = newJob(turn, pool, request, maxTokens, reservedNano);
  state.jobs.set(request.id, job);
  hold(state, job);
  place(turn, job);
}

function refuse(turn: Turn, request: JobRequest, refusal: Failure<ErrorCode>): void {
  note(turn, { kind: 'job-refused', jobId: request.id, code: refusal.code });
  turn.effects.push({ type: 'fail', jobId: request.id, failure: refusal, receipt: null });
}

function tokensAllowed(turn: Turn, pool: Pool, request: JobRequest): number {
  const { config } = turn.state;
  const room = pool.model.contextTokens - request.prompt.ids.length;
  const guestCap = request.guest ? (config.guests?.maxTokens ?? 0) : Infinity;
  if (request.maxTokens !== undefined) return Math.min(request.maxTokens, room, guestCap);
  return Math.min(config.defaultMaxTokens, room, guestCap);
}

function tooLong(pool: Pool, request: JobRequest): Failure<ErrorCode> {
  const wanted = request.maxTokens === undefined ? '' : ` and max_tokens asks for ${request.maxTokens}`;
  return failure(
    'context_length_exceeded',
    `The prompt has ${request.prompt.ids.length} tokens${wanted}; this model's context holds ${pool.model.contextTokens}` +
      `${request.guest ? ', and guests get a bounded answer' : ''}.`,
    'messages',
  );
}

function objectionTo(
  turn: Turn,
  pool: Pool,
  request: JobRequest,
  reservedNano: Nano,
): Failure<ErrorCode> | undefined {
  const { state } = turn;
  const { config } = state;
  if (state.draining) return failure('shutting_down');
  if (turn.codecs.codecOf(request.model) === undefined) return failure('no_contributor');
  if (request.guest) {
    const admitted = admitGuest(state, turn.atMs, request.flow, reservedNano);
    if (!admitted.ok) return admitted.failure;
  }
  const available = (state.balances.get(request.payer) ?? 0n) - (state.reserved.get(request.payer) ?? 0n);
  if (available < reservedNano)
    return failure(request.guest ? 'guest_budget_exhausted' : 'insufficient_balance');
  const flow = state.flows.get(request.flow);
  if ((flow?.active ?? 0) >= config.concurrentPerAccount) return failure('rate_limited');
  // Who waits may take as many places as are still free (Choudhury and Hahne, 1998): some are left for who comes later.
  const free = config.queuedPerModel - pool.queue.size;
  const waiting = pool.queue.waitingOf(queueGroupOf(request) ?? request.flow);
  if (waiting >= free || (flow?.queued ?? 0) >= config.queuedPerAccount) return failure('queue_full');
  return undefined;
}

const newJob = (turn: Turn, pool: Pool, request: JobRequest, maxTokens: number, reservedNano: Nano): Job => ({
  request,
  attempts: 0,
  checkpointedTokens: null,
  promptTokens: request.prompt.ids.length,
  phase: 'queued',
  maxTokens,
  reservedNano,
  dearest: dearestOf(pool.model.price, request.prompt.ids.length, maxTokens, reservedNano),
  submittedAtMs: turn.atMs,
  waitUntilMs: turn.atMs + request.maxWaitMs,
  lease: null,
  segments: [],
  ids: [],
  text: [],
  tried: new Set(),
  done: null,
  outcome: null,
  draft: null,
  failure: null,
  endSaid: null,
  ttftMs: null,
  scheduledMs: Infinity,
  cut: null,
});
