/** Private answers in OpenAI's shapes, with what this network adds under `tussah`. */
import type { ChatCompletion, ChatCompletionChunk, Usage } from '@tussah/protocol/chat-response';
import { errorBody, errorKinds, isErrorCode, type Failure } from '@tussah/protocol/errors';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import type { FinishReason } from '@tussah/protocol/sampling';
import type { ChatFailure } from '../events.ts';
import type { PrivateFailureCode } from './failures.ts';
import type { NodeView } from './nodes.ts';
import type { AttestationKind, PrivateFailed, PrivateFinished } from './private-events.ts';

/** What goes with an answer: the proof, who gave it, and how that machine was attested. */
export interface PrivateProof {
  readonly jobId: string | null;
  readonly tier: 'private';
  readonly receipt: PrivateReceipt | null;
  readonly node: Omit<NodeView, 'verdict'> | null;
  readonly attestation: AttestationKind | null;
  /** The text is whole, but something beside it is wrong, such as the charge. */
  readonly failure?: Failure;
}

export type PrivateCompletion = Omit<ChatCompletion, 'tussah'> & { readonly tussah: PrivateProof };
export type PrivateCompletionChunk = Omit<ChatCompletionChunk, 'tussah'> & { readonly tussah?: PrivateProof };

export interface Head {
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly includeUsage: boolean;
}

/** An end whose text is whole. */
export type Whole = PrivateFinished | PrivateFailed;

const FINGERPRINT = 'tussah-private';
const noUsage: Usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
const idOf = (jobId: string | null): string => `chatcmpl-${jobId ?? 'none'}`;
const reasonOf = (end: Whole): FinishReason => end.finishReason ?? 'stop';

export function completionOf({ model, created }: Head, text: string, end: Whole): PrivateCompletion {
  return {
    id: idOf(end.jobId),
    object: 'chat.completion',
    created,
    model,
    system_fingerprint: FINGERPRINT,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: text, refusal: null },
        logprobs: null,
        finish_reason: reasonOf(end),
      },
    ],
    usage: end.usage ?? noUsage,
    tussah: proofOf(end),
  };
}

function proofOf(end: Whole): PrivateProof {
  const proof = { jobId: end.jobId, tier: 'private', receipt: end.receipt } as const;
  if (end.node === null) return { ...proof, node: null, attestation: null };
  const { verdict: _, ...node } = end.node;
  const attestation = node.simulated ? 'simulated' : 'hardware';
  return { ...proof, node, attestation, ...(end.type === 'failed' ? { failure: end.failure } : {}) };
}

/** Server-sent events, as OpenAI sends them. */
export class ChunkWriter {
  readonly #head: Head;
  readonly #jobId: string | null;

  constructor(head: Head, jobId: string | null) {
    this.#head = head;
    this.#jobId = jobId;
  }

  begin(): string {
    return this.#event([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]);
  }

  text(content: string): string {
    return this.#event([{ index: 0, delta: { content }, finish_reason: null }]);
  }

  /** With `include_usage` OpenAI sends usage in a chunk of its own, without choices, after the finish. */
  end(end: Whole): string {
    const finish = [{ index: 0 as const, delta: {}, finish_reason: reasonOf(end) }];
    const tussah = proofOf(end);
    const events = this.#head.includeUsage
      ? this.#event(finish) + this.#event([], { usage: end.usage ?? noUsage, tussah })
      : this.#event(finish, { tussah });
    return `${events}data: [DONE]\n\n`;
  }

  failed(failure: Failure): string {
    return `data: ${JSON.stringify({ ...errorBody(failure), status: statusOf(failure) })}\n\n`;
  }

  #event(
    choices: PrivateCompletionChunk['choices'],
    more: Pick<PrivateCompletionChunk, 'usage' | 'tussah'> = {},
  ): string {
    const { model, created, includeUsage } = this.#head;
    const chunk: PrivateCompletionChunk = {
      id: idOf(this.#jobId),
      object: 'chat.completion.chunk',
      created,
      model,
      system_fingerprint: FINGERPRINT,
      choices,
      ...(includeUsage ? { usage: null } : {}),
      ...more,
    };
    return `data: ${JSON.stringify(chunk)}\n\n`;
  }
}

/** Of this side's failures; most of them mean that whoever stands behind us is not to be trusted. */
const statuses: Partial<Record<PrivateFailureCode, number>> = {
  other_tier: 400,
  request_too_large: 413,
  model_not_in_policy: 400,
  no_node: 503,
  busy: 503,
  draining: 503,
  unsupported: 400,
  too_long: 400,
  timed_out: 504,
};
const passing: ReadonlySet<string> = new Set(['unreachable', 'no_node', 'busy', 'draining', 'rate_limited']);

export const statusOf = ({ code }: Failure): number =>
  statuses[code as PrivateFailureCode] ?? (isErrorCode(code) ? errorKinds[code].status : 502);

/** A refusal with OpenAI's body. Its client library repeats what has such a status, unless it is told that this is of no use. */
export function refusalResponse(failure: ChatFailure): Response {
  const { code, retryAfterSeconds } = failure;
  const headers = {
    'content-type': 'application/json',
    'x-should-retry': String(passing.has(code)),
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  };
  return new Response(JSON.stringify(errorBody(failure)), { status: statusOf(failure), headers });
}
