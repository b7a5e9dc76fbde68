/** The two ways an answer leaves: server-sent events as it arrives, or one JSON object at the end. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ChatRequest } from '@tussah/protocol/chat-request';
import type { ChatCompletion, TussahChunk } from '@tussah/protocol/chat-response';
import { errorBody, type Failure } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import type { Logprob } from '@tussah/protocol/sampling';
import type { Answer } from '../../core/events.ts';
import type { Delta, Ending, JobStream, Listener } from '../job-streams.ts';
import { onceClosed } from './connection-end.ts';
import { refuse, statusOf } from './context.ts';

/** What a client may leave unread before it counts as gone. */
const UNREAD_BYTES_MAX = 1024 * 1024;

export interface AnswerHead {
  readonly id: string;
  readonly jobId: string;
  readonly created: number;
  readonly model: string;
  readonly fingerprint: string;
  readonly includeUsage: boolean;
  readonly logprobs: boolean;
  /** Chunks say which ids they carry. */
  readonly resumable: boolean;
}

export const headOf = (stream: JobStream, chat: ChatRequest, version: string): AnswerHead => ({
  id: `chatcmpl-${stream.jobId}`,
  jobId: stream.jobId,
  created: Math.floor(stream.createdAtMs / 1000),
  model: chat.model,
  fingerprint: `tussah-${version}`,
  includeUsage: chat.includeUsage,
  logprobs: chat.topLogprobs !== null,
  resumable: chat.resumable,
});

/** Begins to listen to an answer; returns how to stop. */
export type Listen = (listener: Listener) => () => void;

const usageOf = (answer: Answer) => ({
  prompt_tokens: answer.usage.promptTokens,
  completion_tokens: answer.usage.completionTokens,
  total_tokens: answer.usage.promptTokens + answer.usage.completionTokens,
});

/** Collects the whole answer; a failure has its own status. */
export function answerOnce(
  listen: Listen,
  head: AnswerHead,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  return new Promise((resolve) => {
    const texts: string[] = [];
    const logprobs: Logprob[] = [];
    const stop = listen({
      delta: (delta) => {
        texts.push(delta.text);
        if (delta.logprobs !== undefined) logprobs.push(...delta.logprobs);
      },
      end: (ending) => {
        void reply.header('x-tussah-job-id', head.jobId);
        if (ending.kind === 'failed') resolve(refuse(reply, ending.failure));
        else resolve(reply.send(completionOf(head, ending.answer, texts.join(''), logprobs)));
      },
      hasSent: () => false,
    });
    reply.raw.once('finish', onceClosed(request.raw.socket, stop));
  });
}

function completionOf(
  head: AnswerHead,
  answer: Answer,
  content: string,
  logprobs: Logprob[],
): ChatCompletion {
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    system_fingerprint: head.fingerprint,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null },
        logprobs: head.logprobs ? { content: logprobs, refusal: null } : null,
        finish_reason: answer.finishReason,
      },
    ],
    usage: usageOf(answer),
    tussah: { jobId: head.jobId, receipt: answer.receipt },
  };
}

/**
 * Server-sent events (WHATWG HTML section 9.2) as OpenAI sends them. The status waits for the first token, so that a job that
 * fails before has its own; a later failure is an event with an error, and no `[DONE]`.
 */
export function answerStreaming(
  listen: Listen,
  head: AnswerHead,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  return new Promise((resolve) => {
    const chunks = chunkWriter(head);
    const out = reply.raw;
    // What comes in one turn of the event loop leaves as one chunk: a system call costs more than relaying a delta.
    let opening = '';
    let text = '';
    let position = 0;
    let ids: number[] = [];
    let logprobs: Logprob[] = [];
    const take = (): string => {
      const delta =
        text === ''
          ? ''
          : chunks.delta({ position, ids, text, logprobs: logprobs.length === 0 ? undefined : logprobs });
      const taken = opening + delta;
      opening = '';
      text = '';
      ids = [];
      logprobs = [];
      return taken;
    };
    const flush = () => {
      const chunk = take();
      if (chunk !== '' && !out.destroyed) out.write(chunk);
    };
    let begun = false;
    const begin = () => {
      if (begun) return;
      begun = true;
      reply.hijack();
      out.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
        'x-tussah-job-id': head.jobId,
        'x-request-id': request.id,
      });
      opening = chunks.first();
    };
    const onDelta = (delta: Delta) => {
      // Before the write: a repeated answer comes as one piece of any size. After a destroy nothing may be written.
      if (out.writableLength > UNREAD_BYTES_MAX) out.destroy();
      if (out.destroyed) return;
      begin();
      if (text === '') {
        position = delta.position;
        setImmediate(flush);
      }
      text += delta.text;
      if (head.resumable) for (const id of delta.ids) ids.push(id);
      if (delta.logprobs !== undefined) logprobs.push(...delta.logprobs);
    };
    const onEnd = (ending: Ending) => {
      if (out.destroyed) {
        resolve(reply);
        return;
      }
      if (ending.kind === 'failed' && !begun) {
        void reply.header('x-tussah-job-id', head.jobId);
        resolve(refuse(reply, ending.failure));
        return;
      }
      begin();
      const last =
        ending.kind === 'complete'
          ? chunks.last(ending.answer)
          : chunks.error(ending.failure, ending.receipt);
      out.end(take() + last);
      resolve(reply);
    };
    const stop = listen({
      delta: onDelta,
      end: onEnd,
      hasSent: () => text === '' && !out.destroyed && out.writableLength === 0,
      replaced: () => out.destroy(),
    });
    // `close` on the response comes after its end, too; by then nobody listens any more.
    out.once('close', () => {
      stop();
      resolve(reply);
    });
  });
}

const partOf = ({ jobId }: AnswerHead, position: number, ids: readonly number[]): TussahChunk => ({
  jobId,
  position,
  ids: [...ids],
});

/** Chunks as text. What is the same in each is made once. */
function chunkWriter(head: AnswerHead) {
  const common = JSON.stringify({
    id: head.id,
    object: 'chat.completion.chunk',
    created: head.created,
    model: head.model,
    system_fingerprint: head.fingerprint,
  }).slice(0, -1);
  const usageNull = head.includeUsage ? ',"usage":null' : '';
  const event = (choices: string, rest = usageNull) => `data: ${common},"choices":${choices}${rest}}\n\n`;
  return {
    first: () => event('[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]'),
    delta: ({ position, ids, text, logprobs }: Delta) => {
      const probabilities =
        logprobs === undefined ? '' : `,"logprobs":${JSON.stringify({ content: logprobs, refusal: null })}`;
      return event(
        `[{"index":0,"delta":{"content":${JSON.stringify(text)}}${probabilities},"finish_reason":null}]`,
        head.resumable ? `${usageNull},"tussah":${JSON.stringify(partOf(head, position, ids))}` : usageNull,
      );
    },
    last: (answer: Answer) => {
      const proof = `,"tussah":${JSON.stringify({ jobId: head.jobId, receipt: answer.receipt })}`;
      const finish = `[{"index":0,"delta":{},"finish_reason":"${answer.finishReason}"}]`;
      // With include_usage OpenAI sends usage in a chunk of its own, without choices, after the finish.
      const end = head.includeUsage
        ? event(finish) + event('[]', `,"usage":${JSON.stringify(usageOf(answer))}${proof}`)
        : event(finish, proof);
      return `${end}data: [DONE]\n\n`;
    },
    error: (failed: Failure, receipt: Receipt | null) => {
      const body = {
        ...errorBody(failed),
        ...(receipt === null ? {} : { tussah: { jobId: head.jobId, receipt } }),
        status: statusOf(failed),
      };
      return `data: ${JSON.stringify(body)}\n\n`;
    },
  };
}
