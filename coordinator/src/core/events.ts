/** What happens to the core, and what it asks of the shell. Time and randomness arrive in events. */
import type { ContributorFrame, CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import type { ErrorCode, Failure } from '@tussah/protocol/errors';
import type { Nano } from '@tussah/protocol/money';
import type { Receipt, SegmentFacts } from '@tussah/protocol/receipts';
import type { FinishReason, Logprob } from '@tussah/protocol/sampling';
import type { Transaction } from './ledger.ts';
import type { ContributorStats } from './contributor-stats.ts';
import type { PrivateEffect, PrivateEvent, PrivateNote } from './private/events.ts';
import type { Refusal } from './refusal.ts';
import type { JobCheckpoint, JobRequest, SettlementDraft } from './state.ts';

export type HelloFrame = Extract<ContributorFrame, { type: 'hello' }>;

export type Event =
  | { readonly type: 'tick' }
  | { readonly type: 'job-submitted'; readonly request: JobRequest }
  /** The first event after a start: what the journal holds of jobs that a restart cut. */
  | { readonly type: 'jobs-recovered'; readonly checkpoints: readonly JobCheckpoint[] }
  | { readonly type: 'job-resumed'; readonly resumption: Resumption }
  /** The client went away, or the coordinator can't wait any longer. */
  | { readonly type: 'job-abandoned'; readonly jobId: string; readonly code: 'client_gone' | 'shutting_down' }
  | { readonly type: 'connection-opened'; readonly connectionId: string; readonly nonce: string }
  | { readonly type: 'frame-received'; readonly connectionId: string; readonly frame: ContributorFrame }
  | {
      readonly type: 'hello-checked';
      readonly connectionId: string;
      readonly hello: HelloFrame;
      readonly valid: boolean;
      readonly record: ContributorStats;
      /** Used unless an earlier session is resumed. */
      readonly sessionId: string;
    }
  /** The shell saw a breach before the frame could be read: malformed, too large, too fast. */
  | { readonly type: 'connection-breached'; readonly connectionId: string; readonly refusal: Refusal }
  | { readonly type: 'connection-closed'; readonly connectionId: string }
  | {
      readonly type: 'segment-checked';
      readonly jobId: string;
      readonly publicKey: string;
      readonly valid: boolean;
    }
  | { readonly type: 'settled'; readonly jobId: string; readonly receipt: Receipt }
  | { readonly type: 'settlement-failed'; readonly jobId: string }
  /** A credit that the store has made durable. */
  | { readonly type: 'credited'; readonly transaction: Transaction }
  | { readonly type: 'private'; readonly event: PrivateEvent }
  | { readonly type: 'drain' };

/** A client comes back for the rest of an answer that a restart cut, and brings what no checkpoint holds. */
export interface Resumption extends Pick<JobRequest, 'flow' | 'prompt' | 'promptHash' | 'stop'> {
  readonly jobId: string;
  readonly requestHash: string;
  /** All ids of the answer that the client has received. */
  readonly ids: readonly number[];
}

export type TimedEvent = Event & { readonly atMs: number };

export interface Answer {
  readonly finishReason: FinishReason;
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number };
  readonly receipt: Receipt;
}

export type Effect =
  | { readonly type: 'send'; readonly connectionId: string; readonly frame: CoordinatorFrame }
  | { readonly type: 'close'; readonly connectionId: string; readonly refusal: Refusal }
  | {
      readonly type: 'check-hello';
      readonly connectionId: string;
      readonly nonce: string;
      readonly hello: HelloFrame;
    }
  | {
      readonly type: 'check-segment';
      readonly jobId: string;
      readonly publicKey: string;
      readonly facts: SegmentFacts;
      readonly signature: string;
    }
  | {
      readonly type: 'deliver';
      readonly jobId: string;
      /** Of the first id, in the whole answer. */
      readonly position: number;
      readonly ids: readonly number[];
      readonly text: string;
      readonly logprobs: readonly Logprob[] | undefined;
    }
  /**
   * To be written down, replacing the job's last one, if the client has got everything delivered so far. `awaited`: nothing
   * more may leave before this one is durable.
   */
  | { readonly type: 'checkpoint'; readonly checkpoint: JobCheckpoint; readonly awaited: boolean }
  /** The job ended without a settlement, which would have removed its checkpoint. */
  | { readonly type: 'forget-checkpoint'; readonly jobId: string }
  | { readonly type: 'settle'; readonly draft: SettlementDraft }
  | { readonly type: 'complete'; readonly jobId: string; readonly answer: Answer }
  /** The job ended without a whole answer; `receipt` is there when part of it was charged. */
  | {
      readonly type: 'fail';
      readonly jobId: string;
      readonly failure: Failure<ErrorCode>;
      readonly receipt: Receipt | null;
    }
  /** The job stays as it is. */
  | { readonly type: 'resume-refused'; readonly jobId: string; readonly failure: Failure<ErrorCode> }
  | { readonly type: 'private'; readonly effect: PrivateEffect }
  | { readonly type: 'note'; readonly note: Note };

/** For logs and metrics: what happened, never what was said. */
export type Note =
  | PrivateNote
  | { readonly kind: 'contributor-joined'; readonly publicKey: string; readonly resumed: boolean }
  | { readonly kind: 'contributor-left'; readonly publicKey: string; readonly reason: string }
  | { readonly kind: 'model-ready'; readonly publicKey: string; readonly build: string }
  | { readonly kind: 'job-queued' | 'job-started'; readonly jobId: string; readonly model: string }
  /** Found in the journal after a restart, or left to it before one. */
  | {
      readonly kind: 'job-interrupted' | 'job-suspended';
      readonly jobId: string;
      readonly model: string;
      readonly resumable: boolean;
    }
  /** The shell's: what was to be written down of a running job was not. */
  | { readonly kind: 'checkpoint-failed'; readonly jobId: string }
  /** Its client came back after a restart. */
  | { readonly kind: 'job-resumed'; readonly jobId: string; readonly model: string; readonly tokens: number }
  | { readonly kind: 'job-refused'; readonly jobId: string; readonly code: ErrorCode }
  | {
      readonly kind: 'job-moved';
      readonly jobId: string;
      readonly publicKey: string;
      readonly reason: string;
      readonly detail: string | null;
    }
  | {
      readonly kind: 'job-ended';
      readonly jobId: string;
      readonly model: string;
      readonly outcome: 'complete' | 'cancelled' | 'failed';
      readonly tokens: number;
      readonly chargedNano: Nano;
      readonly ttftMs: number | null;
      readonly totalMs: number;
    };
