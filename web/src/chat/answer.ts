/**
 * One answer's life as a pure machine: waiting, streaming, then done, stopped or failed. Time comes with the events, in
 * milliseconds of one monotonic clock.
 */
import type { ChatFailure } from '@tussah/client/events';
import type { Usage } from '@tussah/protocol/chat-response';
import type { Receipt } from '@tussah/protocol/receipts';
import type { FinishReason } from '@tussah/protocol/sampling';
import type { Machine, Proof } from '../private/proof.ts';

export interface Timing {
  readonly askedAtMs: number;
  /** When the first and the latest text came; null before. */
  readonly firstAtMs: number | null;
  readonly lastAtMs: number | null;
}

interface Common {
  readonly text: string;
  readonly timing: Timing;
  readonly jobId: string | null;
  /** The confidential machines that the question was sealed to and that took it, in order; none for a public answer. */
  readonly machines: readonly Machine[];
}
export type Answer =
  | (Common & { readonly phase: 'waiting' })
  | (Common & { readonly phase: 'streaming' })
  | (Common & {
      readonly phase: 'done';
      readonly finishReason: FinishReason;
      readonly usage: Usage | null;
      /** Of a public answer. */
      readonly receipt: Receipt | null;
      /** Of a private one. */
      readonly proof: Proof | null;
    })
  | (Common & { readonly phase: 'stopped' })
  | (Common & { readonly phase: 'failed'; readonly failure: ChatFailure });

export type AnswerEvent =
  | { readonly type: 'text-delta'; readonly text: string; readonly atMs: number }
  | { readonly type: 'assigned'; readonly machine: Machine }
  | {
      readonly type: 'finished';
      readonly finishReason: FinishReason;
      readonly usage: Usage | null;
      readonly jobId: string | null;
      readonly receipt: Receipt | null;
      readonly proof: Proof | null;
    }
  | { readonly type: 'failed'; readonly failure: ChatFailure }
  | { readonly type: 'stopped' };

export const asked = (atMs: number): Answer => ({
  phase: 'waiting',
  text: '',
  timing: { askedAtMs: atMs, firstAtMs: null, lastAtMs: null },
  jobId: null,
  machines: [],
});

export const isEnded = (answer: Answer): boolean =>
  answer.phase !== 'waiting' && answer.phase !== 'streaming';

/** The next state. An ended answer stays as it is: events in flight when somebody pressed Stop come too late. */
export function step(answer: Answer, event: AnswerEvent): Answer {
  if (isEnded(answer)) return answer;
  const { text, timing, jobId, machines } = answer;
  switch (event.type) {
    case 'text-delta':
      if (event.text === '') return answer;
      return {
        phase: 'streaming',
        text: text + event.text,
        timing: { ...timing, firstAtMs: timing.firstAtMs ?? event.atMs, lastAtMs: event.atMs },
        jobId,
        machines,
      };
    case 'assigned':
      return { ...answer, machines: [...machines, event.machine] };
    case 'finished': {
      const { type: _, ...end } = event;
      return { phase: 'done', text, timing, machines, ...end };
    }
    case 'failed':
      return { phase: 'failed', text, timing, jobId, machines, failure: event.failure };
    case 'stopped':
      return { phase: 'stopped', text, timing, jobId, machines };
    default:
      return event satisfies never;
  }
}

export interface Measured {
  /** From asking to the first text. */
  readonly firstTextMs: number | null;
  /** Between the first and the last text; null where too little came to tell. */
  readonly tokensPerSecond: number | null;
}

/** What the reader's own clock says. The first token starts the clock, so it does not count; text comes in
 * batches, so a short span tells nothing. */
export function measure(timing: Timing, completionTokens: number): Measured {
  const { askedAtMs, firstAtMs, lastAtMs } = timing;
  if (firstAtMs === null || lastAtMs === null) return { firstTextMs: null, tokensPerSecond: null };
  const seconds = (lastAtMs - firstAtMs) / 1000;
  const enough = completionTokens >= 8 && seconds >= 0.25;
  return {
    firstTextMs: firstAtMs - askedAtMs,
    tokensPerSecond: enough ? (completionTokens - 1) / seconds : null,
  };
}
