/**
 * What the node's session with its coordinator knows, what can happen to it, and what it asks its shell to do. Times are
 * milliseconds of one clock that never goes back; each event comes with the present time and a random number.
 */
import type { Failure } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import type { CoordinatorNodeFrame, NodeFrame, SealedOffer } from '@tussah/protocol/private/node-frames';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { BackOff } from '../../contributor/back-off.ts';

export const timing = {
  /** From opening a socket to `welcome`. */
  handshakeMs: 15_000,
  heartbeatTimeoutMs: limits.heartbeatTimeoutMs,
  /** From `welcome` or `epoch-request` to the nonce. */
  epochAnswerMs: 30_000,
  /** From `attest` to the coordinator's word. */
  attestedMs: 60_000,
  /** A connection that held for this long, and has a bundle listed, counts as a success: the back-off starts anew. */
  stableMs: 10_000,
  drainMaxMs: 300_000,
} as const;

export const reconnectBackOff: BackOff = { baseMs: 500, capMs: 60_000 };
/** Before the machine is asked for evidence again. Half of it passes at least, and by then a nonce may be asked for again. */
export const attestBackOff: BackOff = { baseMs: 2 * (privateLimits.epochIntervalMs + 1_000), capMs: 120_000 };

export type Link =
  | { readonly at: 'idle' }
  | { readonly at: 'waiting'; readonly untilMs: number; readonly reason: string }
  | { readonly at: 'connecting'; readonly byMs: number }
  | { readonly at: 'challenge-awaited'; readonly byMs: number }
  | { readonly at: 'hello-signing'; readonly byMs: number }
  | { readonly at: 'welcome-awaited'; readonly byMs: number }
  | { readonly at: 'welcomed'; readonly sinceMs: number; readonly heardMs: number }
  | { readonly at: 'draining'; readonly heardMs: number; readonly reconnectAfterMs: number }
  | { readonly at: 'stopped' }
  | { readonly at: 'failed'; readonly failure: Failure };

/** The epoch that is being made. */
export type Coming =
  | { readonly at: 'none' }
  /** The nonce was asked for, or comes by itself after `welcome`. */
  | { readonly at: 'nonce-awaited'; readonly byMs: number }
  | { readonly at: 'attesting'; readonly epochNonce: string }
  | {
      readonly at: 'attested-awaited';
      readonly bundle: string;
      readonly notAfterMs: number;
      readonly byMs: number;
    }
  /** The machine gave no evidence: asked again then. */
  | { readonly at: 'retrying'; readonly atMs: number };

export interface CurrentEpoch {
  readonly bundle: string;
  readonly notAfterMs: number;
  /** When the next nonce is asked for. */
  readonly renewAtMs: number;
}
/** Its keys still open jobs until its end. */
export interface OverlappingEpoch {
  readonly bundle: string;
  readonly notAfterMs: number;
}

export interface SessionState {
  readonly link: Link;
  /** Number of the present socket: whatever comes from another is old. */
  readonly connection: number;
  readonly attempt: number;
  readonly everWelcomed: boolean;
  readonly intent: 'serve' | 'finish';
  readonly coordinator: string | null;
  readonly coming: Coming;
  readonly attestAttempt: number;
  readonly current: CurrentEpoch | null;
  readonly overlapping: readonly OverlappingEpoch[];
  readonly jobs: number;
}

export const initialState: SessionState = {
  link: { at: 'idle' },
  connection: 0,
  attempt: 0,
  everWelcomed: false,
  intent: 'serve',
  coordinator: null,
  coming: { at: 'none' },
  attestAttempt: 0,
  current: null,
  overlapping: [],
  jobs: 0,
};

export interface Moment {
  readonly nowMs: number;
  readonly random: number;
}

type Hello = Extract<NodeFrame, { type: 'hello' }>;
type Attest = Extract<NodeFrame, { type: 'attest' }>;

export type SessionEvent =
  | { readonly type: 'start' }
  /** Finish what runs, take no more, then stop. */
  | { readonly type: 'finish' }
  | { readonly type: 'stop' }
  | { readonly type: 'time' }
  | { readonly type: 'socket-open'; readonly connection: number }
  | { readonly type: 'socket-closed'; readonly connection: number; readonly reason: string }
  | { readonly type: 'frame'; readonly connection: number; readonly frame: CoordinatorNodeFrame }
  | { readonly type: 'malformed'; readonly connection: number; readonly failure: Failure }
  | { readonly type: 'hello-signed'; readonly connection: number; readonly hello: Hello }
  | {
      readonly type: 'bundle-made';
      readonly epochNonce: string;
      readonly bundle: string;
      readonly notAfterMs: number;
      readonly attest: Attest;
    }
  | { readonly type: 'bundle-failed'; readonly epochNonce: string }
  | { readonly type: 'jobs'; readonly running: number };

export type Effect =
  | { readonly do: 'open-socket'; readonly connection: number }
  | { readonly do: 'close-socket'; readonly code: number; readonly reason: string }
  | { readonly do: 'send'; readonly frame: NodeFrame }
  | {
      readonly do: 'sign-hello';
      readonly connection: number;
      readonly coordinator: string;
      readonly nonce: string;
    }
  | { readonly do: 'make-bundle'; readonly coordinator: string; readonly epochNonce: string }
  | { readonly do: 'forget-epoch'; readonly bundle: string }
  /** The connection is gone: no job can be delivered, no bundle is listed. */
  | { readonly do: 'forget-all'; readonly reason: string }
  | { readonly do: 'offer'; readonly offer: SealedOffer }
  | { readonly do: 'cancel'; readonly jobId: string }
  | { readonly do: 'tell'; readonly what: Told };

/** Steps of the session's life, for the log and for whoever waits for them. */
export type Told =
  | { readonly event: 'connecting' }
  | { readonly event: 'welcomed'; readonly coordinator: string }
  | {
      readonly event: 'attested';
      readonly bundle: string;
      readonly notAfterMs: number;
      readonly index: number;
    }
  | {
      readonly event: 'settled';
      readonly jobId: string;
      readonly receiptId: string;
      readonly payNano: string;
    }
  | { readonly event: 'connection-lost'; readonly reason: string; readonly retryMs: number }
  | { readonly event: 'draining'; readonly jobs: number }
  | { readonly event: 'stopped' }
  | { readonly event: 'failed'; readonly failure: Failure };
