/**
 * `POST /v1/sealed/chat/completions`: takes a request that only confidential nodes can read, and passes their sealed answer on
 * as server-sent events. The job id, drawn by the client, is good once: it is the idempotency key.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { errorBody, failure } from '@tussah/protocol/errors';
import { headerHashOf, SealedRequestSchema, type SealedRequest } from '@tussah/protocol/private/header';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { newId } from '@tussah/protocol/ids';
import * as v from 'valibot';
import type { Caller } from '../accounts.ts';
import type { SealedJobRequest } from '../../core/private/state.ts';
import type { SealedEnding } from '../private/sealed-streams.ts';
import { refuse, type HttpContext } from './context.ts';

/** What a client may leave unread before it counts as gone. */
const UNREAD_BYTES_MAX = 1024 * 1024;

export function sealedRoute(app: FastifyInstance, context: HttpContext): void {
  const { accounts, guestRequests, now, store } = context;
  const { streams, policy } = context.private;
  const path = '/v1/sealed/chat/completions';
  app.post(path, { bodyLimit: privateLimits.requestBodyBytes }, async (request, reply) => {
    if (policy === undefined) return refuse(reply, failure('tier_unavailable'));
    const caller = accounts.identify(request.headers.authorization, request.ip);
    if (!caller.ok) return refuse(reply, caller.failure);
    const { flow, guest } = caller.value;
    if (guest && !guestRequests.take(flow, now())) return refuse(reply, failure('rate_limited'));
    const parsed = v.safeParse(SealedRequestSchema, request.body, { abortEarly: true });
    if (!parsed.success) return refuse(reply, notSealed(parsed.issues[0]));
    const sealed = parsed.output;
    const { jobId } = sealed.header;
    const used = await store.receiptOfJob(jobId);
    if (used !== undefined || streams.has(jobId))
      return refuse(reply, failure('job_known', undefined, 'header.jobId'));
    // Whoever left meanwhile would not be noticed leaving again.
    if (request.raw.socket.destroyed) return refuse(reply, failure('client_gone'));
    const answered = listen(context, jobId, flow, request, reply);
    const event = { type: 'sealed-job-submitted', request: jobOf(sealed, caller.value) } as const;
    request.body = undefined;
    context.dispatcher.post({ type: 'private', event });
    return answered;
  });
}

const jobOf = ({ header, wraps, body }: SealedRequest, caller: Caller): SealedJobRequest => {
  const { accountId, flow, guest, payer } = caller;
  const receiptId = newId('rcp');
  return { accountId, flow, guest, payer, header, headerHash: headerHashOf(header), wraps, body, receiptId };
};

/** Names the place of what is wrong, never the value: what was to be sealed may stand there in the clear. */
function notSealed(issue: v.BaseIssue<unknown>) {
  const path = v.getDotPath(issue)?.split('.') ?? [];
  const known =
    path.every((part) => /^(?:\d{1,2}|[a-zA-Z]{1,32})$/.test(part)) && issue.type !== 'strict_object';
  return failure('invalid_request', undefined, known && path.length > 0 ? path.join('.') : undefined);
}

/** Passes on what the job says. Neither this nor anything that it leaves behind knows the request: it may be large. */
function listen(
  { dispatcher, private: { streams } }: HttpContext,
  jobId: string,
  flow: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  return new Promise((resolve) => {
    const out = reply.raw;
    let begun = false;
    // What comes in one turn of the event loop leaves as one piece: a system call costs more than relaying a chunk.
    let text = '';
    const take = (): string => {
      const taken = text;
      text = '';
      return taken;
    };
    const flush = () => {
      if (text !== '' && !out.destroyed) out.write(take());
    };
    const begin = () => {
      if (begun) return;
      begun = true;
      reply.hijack();
      out.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
        'x-tussah-job-id': jobId,
        'x-request-id': request.id,
      });
    };
    let ended = false;
    out.once('close', () => {
      const event = { type: 'sealed-job-abandoned', jobId, code: 'client_gone' } as const;
      if (!ended) dispatcher.post({ type: 'private', event });
      resolve(reply);
    });
    streams.open(jobId, flow, {
      event: (event) => {
        if (out.writableLength + text.length > UNREAD_BYTES_MAX) out.destroy();
        if (out.destroyed) return;
        begin();
        if (text === '') setImmediate(flush);
        text += `data: ${event}\n\n`;
      },
      end: (ending) => {
        ended = true;
        if (out.destroyed) {
          resolve(reply);
          return;
        }
        if (ending.kind === 'failed' && !begun && ending.event === null) {
          void reply.header('x-tussah-job-id', jobId);
          resolve(refuse(reply, ending.failure));
          return;
        }
        begin();
        out.end(take() + lastOf(ending));
        resolve(reply);
      },
    });
  });
}

const lastOf = (ending: SealedEnding): string => {
  if (ending.kind === 'complete') return `data: ${ending.event}\n\ndata: [DONE]\n\n`;
  const { error } = errorBody(ending.failure);
  return `data: ${ending.event ?? JSON.stringify({ type: 'failed', error, skipped: [] })}\n\n`;
};
