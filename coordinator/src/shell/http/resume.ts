/** A client comes back for the rest of an answer: from memory, after a restart from the journal, or to its end in the books. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ChatRequest } from '@tussah/protocol/chat-request';
import { hashOfIds } from '@tussah/protocol/bytes';
import { fail, failure, ok, type ErrorCode, type Result } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import type { Resumption } from '../../core/events.ts';
import type { Job } from '../../core/state.ts';
import { restAfter, type Delta, type JobStream } from '../job-streams.ts';
import { answerStreaming, headOf } from './answers.ts';
import { refuse, type HttpContext } from './context.ts';

export interface ResumeRequest {
  readonly chat: ChatRequest;
  readonly accountId: string;
  readonly resumption: Resumption;
}

/** What the answer goes on from, and what must happen once somebody listens. */
interface Found {
  readonly stream: JobStream;
  readonly rest: Delta;
  readonly listening?: () => void;
}

export async function resumeAnswer(
  context: HttpContext,
  asked: ResumeRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const found = inMemory(context, asked) ?? interrupted(context, asked) ?? (await inTheBooks(context, asked));
  if (!found.ok) return refuse(reply, found.failure);
  if (request.raw.socket.destroyed) return refuse(reply, failure('client_gone'));
  const { stream, rest, listening } = found.value;
  const head = headOf(stream, asked.chat, context.version);
  const answered = answerStreaming(
    (listener) => context.streams.resume(stream, listener, rest),
    head,
    request,
    reply,
  );
  listening?.();
  return answered;
}

function inMemory(
  context: HttpContext,
  { chat, resumption }: ResumeRequest,
): Result<Found, ErrorCode> | undefined {
  const { jobId, flow, requestHash, ids } = resumption;
  const stream = context.streams.byJob(jobId);
  if (stream === undefined) return undefined;
  if (stream.resumable?.flow !== flow) return fail(failure('job_unknown'));
  const rest = restAfter(stream, ids, textOf(context, chat.model));
  if (rest === undefined || stream.resumable.requestHash !== requestHash)
    return fail(failure('resume_mismatch'));
  return ok({ stream, rest });
}

/** A job that a restart cut: the core decides whether it goes on. */
function interrupted(
  context: HttpContext,
  { chat, resumption }: ResumeRequest,
): Result<Found, ErrorCode> | undefined {
  const { jobId, flow, requestHash, ids } = resumption;
  const job: Job | undefined = context.dispatcher.state.jobs.get(jobId);
  if (job?.phase !== 'interrupted') return undefined;
  const text = textOf(context, chat.model)(ids);
  if (text === undefined) return fail(failure('resume_mismatch'));
  const { idempotency } = job.request;
  const stream = context.streams.open(
    jobId,
    {
      idempotency: idempotency === null ? null : { accountId: flow, ...idempotency },
      resumable: { flow, requestHash },
    },
    { createdAtMs: job.submittedAtMs, delta: { position: 0, ids, text, logprobs: undefined } },
  );
  const rest: Delta = { position: ids.length, ids: [], text: '', logprobs: undefined };
  return ok({ stream, rest, listening: () => context.dispatcher.post({ type: 'job-resumed', resumption }) });
}

/** The answer was whole and is no longer kept; who has all of it lacks only the end. */
async function inTheBooks(context: HttpContext, asked: ResumeRequest): Promise<Result<Found, ErrorCode>> {
  const { jobId, promptHash, ids } = asked.resumption;
  const receipt = await context.store.receiptOfJob(jobId);
  if (receipt === undefined || !('segments' in receipt) || receipt.payer !== asked.accountId)
    return fail(failure('job_unknown'));
  if (receipt.promptHash !== promptHash) return fail(failure('resume_mismatch'));
  const { finishReason, usage } = receipt;
  if (finishReason === null || !isWhole(receipt, ids))
    return fail(
      failure('job_unknown', 'This job was settled, and its answer is no longer kept: see its receipt.'),
    );
  const stream: JobStream = {
    jobId,
    createdAtMs: receipt.createdAtMs,
    idempotency: null,
    resumable: null,
    deltas: [],
    holds: [],
    ending: { kind: 'complete', answer: { finishReason, usage, receipt } },
    listeners: new Set(),
  };
  return ok({ stream, rest: { position: ids.length, ids: [], text: '', logprobs: undefined } });
}

function isWhole({ segments }: Receipt, ids: readonly number[]): boolean {
  const tokens = segments.reduce((sum, segment) => sum + segment.tokens, 0);
  return (
    ids.length === tokens &&
    segments.every(
      ({ firstPosition, tokens, idsHash }) =>
        hashOfIds(ids.slice(firstPosition, firstPosition + tokens)) === idsHash,
    )
  );
}

const textOf =
  ({ tokenizers }: HttpContext, model: string) =>
  (ids: readonly number[]): string | undefined =>
    tokenizers.codecOf(model)?.textOf(ids);
