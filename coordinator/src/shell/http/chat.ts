/** `POST /v1/chat/completions`: reads the request, renders the prompt, makes the job, and streams or collects the answer. */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { modelById } from '@tussah/models/catalogue';
import { IdempotencyKeySchema, readChatRequest, type ChatRequest } from '@tussah/protocol/chat-request';
import { hashOfIds } from '@tussah/protocol/bytes';
import {
  errorKinds,
  fail,
  failure,
  isErrorCode,
  ok,
  type ErrorCode,
  type Failure,
  type Result,
} from '@tussah/protocol/errors';
import { newId } from '@tussah/protocol/ids';
import * as v from 'valibot';
import type { JobRequest } from '../../core/state.ts';
import type { Caller } from '../accounts.ts';
import type { JobStream, Returning } from '../job-streams.ts';
import { answerOnce, answerStreaming, headOf } from './answers.ts';
import { refuse, type HttpContext } from './context.ts';
import { resumeAnswer } from './resume.ts';

export function chatRoutes(app: FastifyInstance, context: HttpContext): void {
  app.post('/v1/chat/completions', async (request, reply) => {
    const prepared = await prepare(context, request);
    if (!prepared.ok) return refuse(reply, prepared.failure);
    const { chat, caller, job } = prepared.value;
    if (chat.resume === undefined) return run(context, prepared.value, request, reply);
    const { flow, prompt, promptHash, stop } = job;
    const resumption = { ...chat.resume, flow, requestHash: hashOf(chat), prompt, promptHash, stop };
    return resumeAnswer(context, { chat, accountId: caller.accountId, resumption }, request, reply);
  });
}

interface Prepared {
  readonly chat: ChatRequest;
  readonly job: JobRequest;
  readonly caller: Caller;
}

async function prepare(context: HttpContext, request: FastifyRequest): Promise<Result<Prepared, ErrorCode>> {
  const caller = context.accounts.identify(request.headers.authorization, request.ip);
  if (!caller.ok) return caller;
  if (caller.value.guest && !context.guestRequests.take(caller.value.flow, context.now()))
    return fail(failure('rate_limited'));
  const chat = readChatRequest(request.body);
  if (!chat.ok) return chat;
  const idempotency = readIdempotencyKey(request, chat.value);
  if (!idempotency.ok) return idempotency;
  const model = modelById(chat.value.model);
  if (model === undefined) return fail(failure('model_not_found', undefined, 'model'));
  const objection = cannotHonour(chat.value, model.capabilities);
  if (objection !== undefined) return fail(objection);
  const text = await context.tokenizers.load(model);
  if (!text.ok) return fail(failure('no_contributor', text.failure.message));
  const prompt = text.value.renderer.render(chat.value.messages, model.contextTokens - 1);
  if (!prompt.ok) return fail(asKnown(prompt.failure));
  return ok({
    chat: chat.value,
    caller: caller.value,
    job: jobOf(caller.value, chat.value, prompt.value, idempotency.value),
  });
}

/** What was asked for but this model can't do, by name. */
function cannotHonour(chat: ChatRequest, capabilities: readonly string[]): Failure<ErrorCode> | undefined {
  if (chat.tier !== 'public') return failure('private_must_be_sealed', undefined, 'tussah.tier');
  if (chat.topLogprobs !== null && !capabilities.includes('logprobs'))
    return failure('unsupported_parameter', 'logprobs cannot be honoured by this model.', 'logprobs');
  return undefined;
}

const asKnown = (failed: Failure): Failure<ErrorCode> =>
  isErrorCode(failed.code) ? { ...failed, code: failed.code } : failure('internal');

function jobOf(
  caller: Caller,
  chat: ChatRequest,
  prompt: { readonly text: string; readonly ids: readonly number[] },
  idempotency: JobRequest['idempotency'],
): JobRequest {
  const id = newId('job');
  return {
    id,
    ...caller,
    stream: chat.stream,
    model: chat.model,
    prompt,
    promptHash: hashOfIds(prompt.ids),
    sampling: chat.sampling,
    maxTokens: chat.maxTokens,
    stop: chat.stop,
    // The same seed and request give the same answer; without one each job has its own.
    seedRoot: chat.seed === undefined ? id : `seed:${chat.seed}`,
    topLogprobs: chat.topLogprobs,
    maxPriceNano: chat.maxPriceNano,
    maxTtftMs: chat.maxTtftMs,
    minTokensPerSecond: chat.minTokensPerSecond,
    maxWaitMs: chat.maxWaitMs,
    idempotency,
    resumable: chat.resumable ? { requestHash: hashOf(chat) } : null,
    receiptId: newId('rcp'),
  };
}

function readIdempotencyKey(
  request: FastifyRequest,
  chat: ChatRequest,
): Result<JobRequest['idempotency'], ErrorCode> {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return ok(null);
  if (!v.is(IdempotencyKeySchema, key))
    return fail(
      failure(
        'invalid_request',
        'The Idempotency-Key must be 1 to 255 visible ASCII characters.',
        'Idempotency-Key',
      ),
    );
  return ok({ key, requestHash: hashOf(chat) });
}

/** SHA-256 of what was asked; how the answer is sent is not part of it. */
function hashOf(chat: ChatRequest): string {
  const sent = { stream: undefined, includeUsage: undefined, resumable: undefined, resume: undefined };
  const text = JSON.stringify({ ...chat, ...sent }, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return createHash('sha256').update(text).digest('hex');
}

async function run(
  context: HttpContext,
  { chat, job, caller }: Prepared,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { streams, store } = context;
  let stream: JobStream | undefined;
  if (job.idempotency !== null) {
    const { key, requestHash } = job.idempotency;
    const remembered =
      streams.byIdempotencyKey(caller.flow, key) ?? (await store.idempotency(caller.flow, key));
    // While the store was read, a twin of this request may have begun.
    stream = streams.byIdempotencyKey(caller.flow, key);
    const known =
      stream?.idempotency ?? (remembered !== undefined && 'receiptId' in remembered ? remembered : undefined);
    if (known != null && known.requestHash !== requestHash)
      return refuse(reply, failure('idempotency_key_reused'));
    if (known != null && stream === undefined) return refuse(reply, failure('idempotency_result_expired'));
  }
  // Whoever left while this was prepared would not be noticed leaving again: the job would run for nobody.
  if (request.raw.socket.destroyed) return refuse(reply, failure('client_gone'));
  const fresh = stream === undefined;
  const answering = stream ?? streams.open(job.id, returningTo(job));
  const head = headOf(answering, chat, context.version);
  const answer = chat.stream ? answerStreaming : answerOnce;
  const answered = answer((listener) => streams.listen(answering, listener), head, request, reply);
  if (fresh) context.dispatcher.post({ type: 'job-submitted', request: job });
  return answered;
}

const returningTo = ({ flow, idempotency, resumable }: JobRequest): Returning => ({
  idempotency: idempotency === null ? null : { accountId: flow, ...idempotency },
  resumable: resumable === null ? null : { flow, ...resumable },
});

/** Codes that this route may answer with, for the API's description. */
export const chatErrors = Object.keys(errorKinds) as ErrorCode[];
