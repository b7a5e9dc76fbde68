/** Sealed answers on their way to the clients that asked: nothing of them is kept, and nobody can come back to one. */
import type { ErrorCode, Failure } from '@tussah/protocol/errors';

export type SealedEnding =
  | { readonly kind: 'complete'; readonly event: string }
  | {
      readonly kind: 'failed';
      readonly failure: Failure<ErrorCode>;
      /** Null where no candidate was passed by. */
      readonly event: string | null;
    };

/** Events come as the JSON text of one server-sent event each. */
export interface SealedListener {
  event(text: string): void;
  end(ending: SealedEnding): void;
}

interface SealedStream {
  readonly flow: string;
  readonly listener: SealedListener;
}

export class SealedStreams {
  readonly #streams = new Map<string, SealedStream>();

  /** Until its job ends the id is taken, whether anybody still listens or not. */
  open(jobId: string, flow: string, listener: SealedListener): void {
    if (this.#streams.has(jobId)) throw new Error(`sealed job ${jobId} has a stream already`);
    this.#streams.set(jobId, { flow, listener });
  }

  has(jobId: string): boolean {
    return this.#streams.has(jobId);
  }

  /** Whether this account, or guests of this network, asked for it. */
  isOf(jobId: string, flow: string): boolean {
    return this.#streams.get(jobId)?.flow === flow;
  }

  deliver(jobId: string, event: string): void {
    this.#streams.get(jobId)?.listener.event(event);
  }

  end(jobId: string, ending: SealedEnding): void {
    const stream = this.#streams.get(jobId);
    if (stream === undefined) return;
    this.#streams.delete(jobId);
    stream.listener.end(ending);
  }
}
