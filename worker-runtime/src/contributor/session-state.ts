/**
 * What the contributor session knows, what can happen to it, and what it asks its shell to do. Times are milliseconds of one
 * clock that never goes back; every event carries the present time and a random number, so that a run can be repeated.
 */
import type { ContributorFrame, CoordinatorFrame, JobOffer } from '@tussah/protocol/contributor-frames';
import type { EngineProfile } from '@tussah/protocol/engine-profile';
import type { Failure } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import type { PriceWire } from '@tussah/protocol/money';
import type { FinishReason } from '@tussah/protocol/sampling';
import type { BackOff } from './back-off.ts';
import type { AnswerDelta, DeltaLog } from './deltas.ts';

export const timing = {
  /** From opening a socket to `welcome`. */
  handshakeMs: 15_000,
  heartbeatTimeoutMs: limits.heartbeatTimeoutMs,
  /** An offer that came while the engine was still stopping is declined after this. */
  offerWaitMs: limits.acceptTimeoutMs - 1_500,
  /** An engine that hasn't stopped by then is replaced. */
  stopEngineMs: 10_000,
  /** Without a connection for longer, the job has long gone elsewhere. */
  orphanMs: 6 * limits.resumeGraceMs,
  /** How long a delivered answer is kept for sending again, and how long a stopping contributor waits for its receipt. */
  settleMs: limits.heartbeatTimeoutMs + limits.resumeGraceMs,
  settleBeforeStopMs: 10_000,
  /** A connection that held for this long counts as a success: the back-off starts anew. */
  stableMs: 10_000,
  drainMaxMs: 300_000,
} as const;

/** The first repetition falls within `limits.resumeGraceMs`, so that a short loss costs nobody anything. */
export const reconnectBackOff: BackOff = { baseMs: 500, capMs: 60_000 };

/** Jobs whose settlement is still expected; the oldest is forgotten beyond this. */
export const UNSETTLED_MAX = 64;

/** What is announced, and what offers are measured against. */
export interface Announcement {
  readonly model: string;
  readonly build: string;
  readonly profile: EngineProfile;
  readonly tokensPerSecond: number;
  readonly ask: PriceWire | null;
  readonly contextTokens: number;
}

export type Link =
  | { readonly at: 'idle' }
  | { readonly at: 'waiting'; readonly untilMs: number; readonly reason: string }
  | { readonly at: 'connecting'; readonly byMs: number }
  | { readonly at: 'challenge-awaited'; readonly byMs: number }
  | { readonly at: 'hello-signing'; readonly byMs: number }
  | { readonly at: 'welcome-awaited'; readonly byMs: number }
  | { readonly at: 'welcomed'; readonly sinceMs: number; readonly heardMs: number; readonly told: Status }
  | { readonly at: 'draining'; readonly heardMs: number; readonly reconnectAfterMs: number }
  | { readonly at: 'stopped' }
  | { readonly at: 'failed'; readonly failure: Failure };

export type Status = 'ready' | 'paused' | 'draining';

/** The frame that ends a job here. */
export type LastFrame = Extract<ContributorFrame, { type: 'job-done' | 'job-failed' }>;

export type Job =
  | { readonly at: 'none' }
  | {
      readonly at: 'running';
      readonly jobId: string;
      readonly endBound: number;
      readonly log: DeltaLog;
      /** Everything before this position has been handed to the current connection. */
      readonly sentTo: number;
      readonly firstMs: number | null;
      readonly lastMs: number | null;
    }
  | { readonly at: 'signing'; readonly jobId: string; readonly log: DeltaLog; readonly end: AnswerEnd }
  | {
      readonly at: 'ended';
      readonly jobId: string;
      readonly log: DeltaLog;
      readonly last: LastFrame;
      readonly endedMs: number;
    }
  | {
      readonly at: 'stopping';
      readonly jobId: string;
      readonly byMs: number;
      /** Came while the engine was stopping; accepted as soon as it has. */
      readonly next: { readonly offer: JobOffer; readonly byMs: number } | null;
    };

export interface AnswerEnd {
  readonly finishReason: FinishReason;
  /** Tokens of this segment, and `hashOfIds` of their ids. */
  readonly tokens: number;
  readonly idsHash: string;
}

export interface Tally {
  readonly jobsDone: number;
  readonly tokensDone: number;
  readonly tokensPerSecond: number | null;
  readonly earnedHereNano: string;
  readonly earnedTotalNano: string | null;
}

export interface SessionState {
  readonly link: Link;
  readonly job: Job;
  readonly intent: 'serve' | 'pause' | 'finish';
  readonly engine: 'ready' | 'gone';
  readonly announcement: Announcement | null;
  /** Number of the current connection; what others say is ignored. */
  readonly connection: number;
  /** Failed or short connections in a row. */
  readonly attempt: number;
  readonly everWelcomed: boolean;
  readonly sessionId: string | null;
  readonly downSinceMs: number | null;
  readonly unsettled: readonly string[];
  readonly tally: Tally;
}

export const initialState: SessionState = {
  link: { at: 'idle' },
  job: { at: 'none' },
  intent: 'serve',
  engine: 'gone',
  announcement: null,
  connection: 0,
  attempt: 0,
  everWelcomed: false,
  sessionId: null,
  downSinceMs: null,
  unsettled: [],
  tally: {
    jobsDone: 0,
    tokensDone: 0,
    tokensPerSecond: null,
    earnedHereNano: '0',
    earnedTotalNano: null,
  },
};

export type SessionEvent =
  | { readonly type: 'start'; readonly announcement: Announcement }
  | { readonly type: 'pause' | 'resume' | 'finish' | 'stop' | 'time' }
  | { readonly type: 'fail'; readonly failure: Failure }
  | { readonly type: 'socket-open'; readonly connection: number }
  | { readonly type: 'socket-closed'; readonly connection: number; readonly reason: string }
  | { readonly type: 'frame'; readonly connection: number; readonly frame: CoordinatorFrame }
  | { readonly type: 'malformed'; readonly connection: number; readonly failure: Failure }
  | {
      readonly type: 'hello-signed';
      readonly connection: number;
      readonly hello: Omit<Extract<ContributorFrame, { type: 'hello' }>, 'resume'>;
    }
  | { readonly type: 'delta'; readonly jobId: string; readonly delta: AnswerDelta }
  | { readonly type: 'answer-finished'; readonly jobId: string; readonly end: AnswerEnd }
  | {
      readonly type: 'answer-failed';
      readonly jobId: string;
      readonly code: string;
      readonly message: string;
    }
  | { readonly type: 'segment-signed'; readonly jobId: string; readonly signature: string }
  | { readonly type: 'engine-gone'; readonly reason: string }
  | { readonly type: 'engine-back'; readonly tokensPerSecond: number };

export interface Moment {
  readonly nowMs: number;
  /** In [0, 1). */
  readonly random: number;
}

export type Effect =
  | { readonly do: 'connect'; readonly connection: number }
  | { readonly do: 'close'; readonly connection: number; readonly code: number; readonly reason: string }
  | { readonly do: 'send'; readonly connection: number; readonly frame: ContributorFrame }
  | {
      readonly do: 'sign-hello';
      readonly connection: number;
      readonly coordinator: string;
      readonly nonce: string;
    }
  /** Exactly one `answer-finished` or `answer-failed` must follow each, also after `stop-answer`. */
  | { readonly do: 'start-answer'; readonly offer: JobOffer }
  | { readonly do: 'stop-answer'; readonly jobId: string }
  | { readonly do: 'sign-segment'; readonly jobId: string; readonly end: AnswerEnd }
  | { readonly do: 'restart-engine'; readonly reason: string };
