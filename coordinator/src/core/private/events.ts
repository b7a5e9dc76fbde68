/** What happens in the private tier, and what the core asks of the shell for it. */
import type { ErrorCode, Failure, Result } from '@tussah/protocol/errors';
import type { DirectoryEntry, LeaveReason } from '@tussah/protocol/private/directory';
import type { CoordinatorNodeFrame, NodeFrame } from '@tussah/protocol/private/node-frames';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import type { NodeOffer, SignedNodeReceipt, SignedRefusal } from '@tussah/protocol/private/statements';
import type { ContributorStats } from '../contributor-stats.ts';
import type { Refusal } from '../refusal.ts';
import type { Attested, Departed, SealedJobRequest, SealedSettlementDraft, SkipDraft } from './state.ts';

export type NodeHello = Extract<NodeFrame, { type: 'hello' }>;

/** An entry of the directory at its place. */
export interface PlacedEntry {
  readonly index: number;
  readonly entry: DirectoryEntry;
}

export type PrivateEvent =
  /** The first event after a start: bundles that were in the directory, and such as had left it lately. */
  | {
      readonly type: 'directory-recovered';
      readonly listed: readonly string[];
      readonly departed: readonly Departed[];
    }
  | { readonly type: 'node-connected'; readonly connectionId: string; readonly nonce: string }
  | {
      readonly type: 'node-frame-received';
      readonly connectionId: string;
      readonly frame: NodeFrame;
      /** Drawn by the shell, for an epoch that is asked for. */
      readonly epochNonce?: string;
    }
  | {
      readonly type: 'node-hello-checked';
      readonly connectionId: string;
      readonly hello: NodeHello;
      readonly valid: boolean;
      readonly record: ContributorStats;
      readonly epochNonce: string;
    }
  | {
      readonly type: 'bundle-checked';
      readonly connectionId: string;
      readonly offer: NodeOffer;
      readonly signature: string;
      readonly checked: Result<Attested>;
    }
  /** It is durable, and in the tree. */
  | { readonly type: 'entry-appended'; readonly placed: PlacedEntry }
  /** The shell saw a breach before the frame could be read: malformed, too large, too fast. */
  | { readonly type: 'node-breached'; readonly connectionId: string; readonly refusal: Refusal }
  | { readonly type: 'node-disconnected'; readonly connectionId: string }
  | { readonly type: 'sealed-job-submitted'; readonly request: SealedJobRequest }
  /** The client went away, or the coordinator can't wait any longer. */
  | {
      readonly type: 'sealed-job-abandoned';
      readonly jobId: string;
      readonly code: 'client_gone' | 'shutting_down';
    }
  | {
      readonly type: 'refusal-checked';
      readonly jobId: string;
      readonly signed: SignedRefusal;
      readonly valid: boolean;
    }
  | { readonly type: 'node-receipt-checked'; readonly jobId: string; readonly valid: boolean }
  | { readonly type: 'sealed-job-settled'; readonly jobId: string; readonly receipt: PrivateReceipt }
  | { readonly type: 'sealed-settlement-failed'; readonly jobId: string };

export type PrivateEffect =
  | { readonly type: 'send-to-node'; readonly connectionId: string; readonly frame: CoordinatorNodeFrame }
  | { readonly type: 'close-node'; readonly connectionId: string; readonly refusal: Refusal }
  | {
      readonly type: 'check-node-hello';
      readonly connectionId: string;
      readonly nonce: string;
      readonly hello: NodeHello;
    }
  | {
      readonly type: 'check-bundle';
      readonly connectionId: string;
      readonly identity: string;
      readonly epochNonce: string;
      readonly bundle: string;
      readonly offer: NodeOffer;
      readonly signature: string;
    }
  | { readonly type: 'append-entry'; readonly entry: DirectoryEntry }
  | {
      readonly type: 'check-refusal';
      readonly jobId: string;
      readonly receiptKey: string;
      readonly signed: SignedRefusal;
    }
  | {
      readonly type: 'check-node-receipt';
      readonly jobId: string;
      readonly receiptKey: string;
      readonly signed: SignedNodeReceipt;
    }
  | {
      readonly type: 'assign';
      readonly jobId: string;
      readonly candidate: number;
      readonly responseNonce: string;
      readonly skipped: readonly SkipDraft[];
    }
  | {
      readonly type: 'deliver-chunk';
      readonly jobId: string;
      readonly index: number;
      readonly data: string;
      readonly last: boolean;
    }
  | { readonly type: 'settle-sealed'; readonly draft: SealedSettlementDraft }
  | { readonly type: 'complete-sealed'; readonly jobId: string; readonly receipt: PrivateReceipt }
  | {
      readonly type: 'fail-sealed';
      readonly jobId: string;
      readonly failure: Failure<ErrorCode>;
      readonly skipped: readonly SkipDraft[];
    };

export type PrivateNote =
  | { readonly kind: 'node-connected'; readonly identity: string }
  | {
      readonly kind: 'node-joined';
      readonly identity: string;
      readonly bundle: string;
      readonly model: string;
    }
  | { readonly kind: 'node-left'; readonly bundle: string; readonly reason: LeaveReason }
  /** What was wrong with the evidence: ids of failed steps, and our own codes. */
  | { readonly kind: 'evidence-refused'; readonly identity: string; readonly code: string }
  | { readonly kind: 'sealed-job-refused'; readonly code: ErrorCode }
  | {
      readonly kind: 'sealed-job-skipped';
      readonly jobId: string;
      readonly bundle: string;
      readonly code: string;
    }
  | { readonly kind: 'sealed-job-started'; readonly jobId: string; readonly bundle: string }
  | {
      readonly kind: 'sealed-job-ended';
      readonly jobId: string;
      readonly outcome: 'complete' | 'cancelled' | 'failed';
      readonly code: ErrorCode | null;
      readonly tokens: number;
      readonly chunks: number;
      readonly chargedNano: bigint;
      readonly totalMs: number;
    };
