/** Turns what the private client says into the events of an answer on the page. */
import type { NodeView } from '@tussah/client/private/nodes';
import type { PrivateEvent, PrivateFailed, PrivateFinished } from '@tussah/client/private/private-events';
import type { Usage } from '@tussah/protocol/chat-response';
import type { DeskEvent } from './desk-api.ts';
import { machineOf } from './machine.ts';
import type { Expected, Proof } from './proof.ts';

/** Takes the events of one answer in order; what the page has no use for gives none. */
export class AnswerEvents {
  readonly #policy: string;
  readonly #model: string;
  #coordinator: string | undefined;
  #verifiedAtMs = 0;

  constructor(policy: string, model: string) {
    this.#policy = policy;
    this.#model = model;
  }

  of(event: PrivateEvent): DeskEvent | undefined {
    switch (event.type) {
      case 'verified':
        this.#coordinator = event.preparation.head?.coordinator;
        this.#verifiedAtMs = event.preparation.atMs;
        return undefined;
      case 'assigned':
        return { type: 'assigned', machine: machineOf(event.node, this.#policy, this.#verifiedAtMs) };
      case 'continued':
        return undefined;
      case 'finished':
        return this.#finished(event, null);
      case 'failed':
        return this.#failed(event);
      default:
        return event;
    }
  }

  /** A whole text stays one, and what is wrong with its receipt is shown with it. */
  #failed(event: PrivateFailed): DeskEvent {
    const { text, finishReason, usage, jobId, failure } = event;
    return text === 'whole' && finishReason !== null
      ? this.#finished({ ...event, finishReason, usage, jobId }, failure)
      : { type: 'failed', failure };
  }

  #finished(
    end: Pick<PrivateFinished, 'finishReason'> & Pick<PrivateFailed, 'usage' | 'jobId' | 'receipt' | 'node'>,
    failure: Proof['failure'],
  ): DeskEvent {
    const { finishReason, usage, jobId, receipt, node } = end;
    const proof = { receipt, expected: this.#expected(node, usage, jobId), failure };
    return { type: 'finished', finishReason, usage, jobId, receipt: null, proof };
  }

  #expected(node: NodeView | null, usage: Usage | null, jobId: string | null): Expected {
    const receiptKey = node === null ? undefined : receiptKeyOf(node);
    return {
      model: this.#model,
      ...(this.#coordinator === undefined ? {} : { coordinator: this.#coordinator }),
      ...(jobId === null ? {} : { jobId }),
      ...(receiptKey === undefined ? {} : { receiptKey }),
      ...(node === null ? {} : { bundle: node.bundle, identity: node.identity, price: node.price }),
      ...(usage === null
        ? {}
        : { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens }),
    };
  }
}

function receiptKeyOf({ verdict }: NodeView): string | undefined {
  const { statement } = verdict.claims;
  const key =
    typeof statement === 'object' && statement !== null && 'receiptKey' in statement
      ? statement['receiptKey']
      : undefined;
  return typeof key === 'string' ? key : undefined;
}
