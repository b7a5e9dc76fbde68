/**
 * `POST /v1/chat/completions/cancel`: ends an answer whose client might come back, or a sealed one, whose receipt then says
 * what was done. Hanging up ends any other; those that can be resumed run on for a while after it.
 */
import type { FastifyInstance } from 'fastify';
import { CancelRequestSchema } from '@tussah/protocol/chat-request';
import { failure } from '@tussah/protocol/errors';
import * as v from 'valibot';
import { refuse, type HttpContext } from './context.ts';

export function cancelRoute(app: FastifyInstance, context: HttpContext): void {
  const { accounts, dispatcher, guestRequests, now, streams } = context;
  app.post('/v1/chat/completions/cancel', (request, reply) => {
    const caller = accounts.identify(request.headers.authorization, request.ip);
    if (!caller.ok) return refuse(reply, caller.failure);
    const { flow, guest } = caller.value;
    if (guest && !guestRequests.take(flow, now())) return refuse(reply, failure('rate_limited'));
    const wanted = v.safeParse(CancelRequestSchema, request.body);
    if (!wanted.success)
      return refuse(
        reply,
        failure('invalid_request', 'Name the answer by jobId or by idempotencyKey, and by nothing else.'),
      );
    const named = 'jobId' in wanted.output ? wanted.output.jobId : '';
    if (context.private.streams.isOf(named, flow)) {
      const event = { type: 'sealed-job-abandoned', jobId: named, code: 'client_gone' } as const;
      dispatcher.post({ type: 'private', event });
      return reply.code(202).send({ jobId: named });
    }
    const stream =
      'jobId' in wanted.output
        ? streams.byJob(wanted.output.jobId)
        : streams.byIdempotencyKey(flow, wanted.output.idempotencyKey);
    const own = stream?.resumable?.flow === flow || stream?.idempotency?.accountId === flow;
    if (stream === undefined || !own) return refuse(reply, failure('job_unknown'));
    // One that has ended meanwhile is no mistake of anybody's.
    if (stream.ending === undefined)
      dispatcher.post({ type: 'job-abandoned', jobId: stream.jobId, code: 'client_gone' });
    return reply.code(202).send({ jobId: stream.jobId });
  });
}
