/**
 * What has come of one answer, over all its connections: the token ids to go on from, and what was said about the end.
 * Takes the events of a stream one by one and sees to it that no text is lost or repeated.
 */
import { ChatCompletionChunkSchema, type ChatCompletionChunk } from '@tussah/protocol/chat-response';
import { ErrorBodySchema, type Failure } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { ReceiptSchema, type Receipt } from '@tussah/protocol/receipts';
import * as v from 'valibot';
import { failures, type Finished } from './events.ts';

/** What one event of the stream meant; `failed` is final unless the coordinator says otherwise. */
export type Reading =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly receipt: Receipt | null };

const unreadable: Reading = { kind: 'failed', failure: failures.unreadable, receipt: null };

/** An error after the first token; `tussah` is there when a part of the answer was charged. */
const StreamErrorSchema = v.object({
  ...ErrorBodySchema.entries,
  tussah: v.optional(v.object({ receipt: ReceiptSchema })),
});

export class ReceivedAnswer {
  readonly #ids: number[] = [];
  #jobId: string | null = null;
  #end: Partial<Omit<Finished, 'type'>> = {};

  /** What a resumed request names; undefined before the first text. */
  get resumable(): { readonly jobId: string; readonly ids: readonly number[] } | undefined {
    return this.#jobId === null ? undefined : { jobId: this.#jobId, ids: this.#ids };
  }

  get tokens(): number {
    return this.#ids.length;
  }

  /** The end, once it was said; its proof may still be missing. */
  get finished(): Finished | undefined {
    const { finishReason, usage = null, jobId = this.#jobId, receipt = null } = this.#end;
    return finishReason === undefined ? undefined : { type: 'finished', finishReason, usage, jobId, receipt };
  }

  /** Takes the `data` of one server-sent event. */
  read(data: string): Reading {
    if (data === '[DONE]') return this.finished === undefined ? unreadable : { kind: 'end' };
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      return unreadable;
    }
    const error = v.safeParse(StreamErrorSchema, value);
    if (error.success) {
      const { error: failed, tussah } = error.output;
      return { kind: 'failed', failure: asFailure(failed), receipt: tussah?.receipt ?? null };
    }
    const chunk = v.safeParse(ChatCompletionChunkSchema, value);
    return chunk.success ? this.#take(chunk.output) : unreadable;
  }

  #take(chunk: ChatCompletionChunk): Reading {
    const text = chunk.choices.map(({ delta }) => delta.content ?? '').join('');
    const { tussah } = chunk;
    if (tussah !== undefined && 'ids' in tussah) {
      if (!this.#append(tussah)) return unreadable;
    } else if (text !== '') return unreadable;
    this.#end = { ...this.#end, ...endOf(chunk) };
    return { kind: 'text', text };
  }

  /** False when these ids are not the next ones of this very answer. */
  #append(piece: {
    readonly jobId: string;
    readonly position: number;
    readonly ids: readonly number[];
  }): boolean {
    const { jobId, position, ids } = piece;
    if ((this.#jobId ?? jobId) !== jobId || position !== this.#ids.length) return false;
    if (position + ids.length > limits.completionTokensMax) return false;
    this.#jobId = jobId;
    for (const id of ids) this.#ids.push(id);
    return true;
  }
}

export const asFailure = ({
  code,
  message,
  remedy,
}: v.InferOutput<typeof ErrorBodySchema>['error']): Failure => ({
  code,
  message,
  remedy,
});

/** What a chunk says about the end; usage, reason and receipt may come in one chunk or in several. */
function endOf(chunk: ChatCompletionChunk): Partial<Omit<Finished, 'type'>> {
  const finishReason = chunk.choices.find((choice) => choice.finish_reason !== null)?.finish_reason;
  const { tussah } = chunk;
  return {
    ...(finishReason == null ? {} : { finishReason }),
    ...(chunk.usage == null ? {} : { usage: chunk.usage }),
    ...(tussah !== undefined && 'receipt' in tussah ? { jobId: tussah.jobId, receipt: tussah.receipt } : {}),
  };
}
