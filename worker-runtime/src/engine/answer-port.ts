/** An engine as a contributor uses it: what the port offers, and whole answers in the wire's deltas. */
import type { AnswerDelta, AnswerEnd } from './answer.ts';
import type { EnginePort, GenerateJob } from './port.ts';

/** What one job asks of an answer. */
export interface AnswerJob extends GenerateJob {
  readonly stop: readonly string[];
}

export type DeliveredEvent =
  | ({ readonly type: 'delta' } & AnswerDelta)
  | ({ readonly type: 'end' } & AnswerEnd);

export interface AnswerPort extends EnginePort {
  /** Deltas, then one end. Throws `EngineError`; an abort ends it with `aborted`, leaving the loop early stops the engine. */
  answer(job: AnswerJob, signal: AbortSignal): AsyncIterable<DeliveredEvent>;
  /** A text as the loaded model reads it at its start. Throws `EngineError`. */
  promptOf(text: string): Promise<GenerateJob['prompt']>;
}
