/**
 * The answer to one sealed job, event by event. What it gives as text has been opened with keys that only the node has which was
 * verified; what it calls whole has that node's own end.
 */
import { ok, type Failure, type Result } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import { checkPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import type { ChunkPayload } from '@tussah/protocol/private/inner-request';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import { SealedEventSchema, type SealedEvent, type Skip } from '@tussah/protocol/private/sealed-events';
import * as v from 'valibot';
import type { ResponseOpener } from '../sealing/response.ts';
import { inOurWords, privateFailure, refusedWith } from './failures.ts';
import type { VerifiedNode } from './nodes.ts';
import { checkSkips, type OrderContext, type SkipReason } from './order.ts';

export type End = NonNullable<ChunkPayload['end']>;

/** What one event of the stream means, once it has been checked. */
export type Reading =
  | { readonly kind: 'assigned'; readonly node: VerifiedNode }
  /** Empty for cover. */
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'receipt' }
  /** The coordinator gave up. `reasons` of the candidates that did not take it, proven. */
  | { readonly kind: 'given-up'; readonly failure: Failure; readonly reasons: readonly SkipReason[] };

export class SealedAnswer {
  readonly #context: OrderContext;
  #node: VerifiedNode | undefined;
  #opener: ResponseOpener | undefined;
  #end: End | undefined;
  #failed: Failure | undefined;
  #receipt: PrivateReceipt | undefined;
  #characters = 0;

  constructor(context: OrderContext) {
    this.#context = context;
  }

  /** The one that took the job. */
  get node(): VerifiedNode | undefined {
    return this.#node;
  }

  /** Said by the node: with it, the text is whole. */
  get end(): End | undefined {
    return this.#end;
  }

  /** The signed receipt, unchecked until `conclude`. */
  get receipt(): PrivateReceipt | undefined {
    return this.#receipt;
  }

  /** Takes the data of one server-sent event. A failure is final. */
  async read(data: string): Promise<Result<Reading>> {
    const event = eventOf(data);
    if (!event.ok) return event;
    switch (event.value.type) {
      case 'assigned':
        return this.#assign(event.value);
      case 'chunk':
        return this.#open(event.value);
      case 'receipt':
        if (this.#opener === undefined) return refusedWith('plaintext_answer', 'a receipt without an answer');
        this.#receipt = event.value.receipt;
        return ok({ kind: 'receipt' });
      default:
        event.value satisfies { readonly type: 'failed' };
        return this.#giveUp(inOurWords(event.value.error.code), event.value.skipped);
    }
  }

  /**
   * After the last event: undefined when the answer is whole and its receipt is right. Otherwise what is wrong, in the order of
   * what matters to who reads it.
   */
  async conclude(): Promise<Failure | undefined> {
    if (this.#opener?.closed !== true) return privateFailure('truncated');
    if (this.#failed === undefined && this.#end === undefined)
      return privateFailure('truncated', 'the node said no end');
    if (this.#receipt === undefined) return this.#failed ?? privateFailure('receipt_missing');
    return (await this.#objectionTo(this.#receipt)) ?? this.#failed;
  }

  async #assign(event: Extract<SealedEvent, { type: 'assigned' }>): Promise<Result<Reading>> {
    const { candidate, responseNonce, skipped } = event;
    const { job } = this.#context;
    const [node, response] = [job.nodes[candidate], job.responses[candidate]];
    if (this.#node !== undefined || node === undefined || response === undefined)
      return refusedWith('order_ignored', 'the job was given to a node that it is not for');
    if (skipped.length !== candidate)
      return refusedWith('order_ignored', 'nodes were passed by without a reason');
    const reasons = await checkSkips(skipped, this.#context);
    if (!reasons.ok) return reasons;
    this.#node = node;
    this.#opener = await response.open(responseNonce);
    return ok({ kind: 'assigned', node });
  }

  async #open(event: Extract<SealedEvent, { type: 'chunk' }>): Promise<Result<Reading>> {
    if (this.#opener === undefined) return refusedWith('chunk_forged', 'no node was named');
    const opened = await this.#opener.open(event);
    if (!opened.ok) return refusedWith(opened.failure.code);
    const { text = '', end, failed } = opened.value;
    this.#characters += text.length;
    if (this.#characters > this.#context.job.header.maxTokens * limits.tokenBytes)
      return refusedWith('answer_too_long');
    this.#end ??= end;
    if (failed !== undefined) this.#failed = privateFailure(failed.code);
    return ok({ kind: 'text', text });
  }

  async #giveUp(failure: Failure, skipped: readonly Skip[]): Promise<Result<Reading>> {
    const reasons = await checkSkips(skipped, this.#context);
    return reasons.ok ? ok({ kind: 'given-up', failure, reasons: reasons.value }) : reasons;
  }

  async #objectionTo(receipt: PrivateReceipt): Promise<Failure | undefined> {
    const { job, chosenFrom } = this.#context;
    const [node, opener, end] = [this.#node, this.#opener, this.#end];
    if (node === undefined || opener === undefined) throw new Error('a receipt was taken before an answer');
    const { valid, checks } = await checkPrivateReceipt(receipt, {
      coordinator: chosenFrom.coordinator,
      receiptKey: node.statement.receiptKey,
      jobId: job.header.jobId,
      headerHash: job.headerHash,
      bundle: node.bundle,
      identity: node.offer.identity,
      model: job.header.model,
      price: node.offer.price,
      chunks: opener.chunks,
      transcript: opener.transcript(),
      maxPriceNano: job.header.maxPriceNano,
      maxPromptTokens: job.header.maxPromptTokens,
      maxTokens: job.header.maxTokens,
      ...(end === undefined
        ? {}
        : { promptTokens: end.promptTokens, completionTokens: end.completionTokens }),
    });
    const outcome = end === undefined ? 'failed' : 'complete';
    const wrong = checks.filter((check) => !check.ok).map(({ name }) => name);
    if (receipt.node.receipt.outcome !== outcome) wrong.push('outcome');
    if (valid && wrong.length === 0) return undefined;
    return privateFailure('receipt_mismatch', wrong.join(', '));
  }
}

/** An answer of the public kind, whole or a chunk: whoever wrote it has not read the question. */
export const isPlaintext = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  ('choices' in value || 'output' in value || 'content' in value);

function eventOf(data: string): Result<SealedEvent> {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return refusedWith('unreadable_answer');
  }
  if (isPlaintext(value)) return refusedWith('plaintext_answer');
  const parsed = v.safeParse(SealedEventSchema, value);
  return parsed.success ? ok(parsed.output) : refusedWith('unreadable_answer');
}
