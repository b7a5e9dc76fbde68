/** The private tier's part of the dispatcher's state: nodes, what they have attested, and sealed jobs. */
import type { ErrorCode } from '@tussah/protocol/errors';
import type { Nano, Price } from '@tussah/protocol/money';
import type { DirectoryEntry } from '@tussah/protocol/private/directory';
import type { SealedHeader, SuiteName, Wrap } from '@tussah/protocol/private/header';
import type { PrivateReceiptBody } from '@tussah/protocol/private/private-receipt';
import type { NodeOffer, SignedNodeReceipt, SignedRefusal } from '@tussah/protocol/private/statements';
import type { ContributorStats } from '../contributor-stats.ts';
import type { Transaction } from '../ledger.ts';

export type NodePhase = 'challenged' | 'proving' | 'open';

/** Who is paid: one proven identity, which may run several nodes. */
export interface Operator {
  readonly identity: string;
  wallet: string | null;
  readonly record: ContributorStats;
  earnedNano: Nano;
  /** Open connections; with the last of them it is forgotten. */
  connections: number;
}

/** One WebSocket of a node. */
export interface NodeConnection {
  readonly id: string;
  phase: NodePhase;
  /** Forgotten once a hello has come: it is good for one. */
  nonce: string;
  readonly openedAtMs: number;
  lastHeardMs: number;
  lastPingMs: number;
  pings: number;
  operator: Operator | null;
  draining: boolean;
  /** For the next bundle; forgotten with the first that comes. */
  epochNonce: { readonly nonce: string; readonly atMs: number } | null;
  /** When the last nonce was given. */
  epochAtMs: number;
  /** A bundle of its is being checked. */
  checking: boolean;
  /** All that have not left the directory. */
  readonly epochs: Set<Epoch>;
  readonly jobs: Set<string>;
  /** Jobs that ended lately; frames about them may still arrive and mean nothing. */
  readonly endedJobs: Set<string>;
}

/**
 * `joining` and `leaving`: its entry is being made durable. `overlapping`: a newer one of the same node is current; it is no
 * longer listed, and still offered what clients have sealed to it. `departed` has left the directory.
 */
export type EpochPhase = 'joining' | 'current' | 'overlapping' | 'leaving' | 'departed';

/** What was found in an accepted bundle. */
export interface Attested {
  readonly bundle: string;
  readonly suite: SuiteName;
  readonly modelDigest: string;
  readonly receiptKey: string;
  readonly notAfterMs: number;
}

/** A node's bundle, from its acceptance until it has left the directory; jobs that it serves know it for longer. */
export interface Epoch extends Attested {
  readonly connectionId: string;
  readonly operator: Operator;
  readonly offer: NodeOffer;
  readonly price: Price;
  readonly entry: DirectoryEntry;
  phase: EpochPhase;
  /** Of its entry in the directory; -1 while joining. */
  index: number;
  /** Jobs that go on to their next candidate when it has left. */
  readonly waiting: Set<string>;
}

export type SealedJobPhase =
  /** Waits until the departure of its candidate is in the directory. */
  | 'placing'
  | 'offered'
  /** The signature of a refusal is being checked. */
  | 'refusing'
  | 'running'
  /** The last chunk has come, the receipt has not. */
  | 'closing'
  /** The node was told to stop, and may still sign what it has done. */
  | 'cancelling'
  /** The signature of the receipt is being checked. */
  | 'checking'
  | 'settling'
  | 'ended';

export interface SealedJobRequest {
  readonly payer: string;
  /** The account, or a guest's network. */
  readonly flow: string;
  readonly accountId: string;
  readonly guest: boolean;
  readonly header: SealedHeader;
  readonly headerHash: string;
  readonly wraps: readonly Wrap[];
  /** Forgotten once a candidate has accepted. */
  body: string;
  /** Drawn by the shell, used if the job comes to a receipt. */
  readonly receiptId: string;
}

/** Why a candidate was passed by; the shell adds the proof of a departure. */
export type SkipDraft =
  | { readonly kind: 'refused'; readonly signed: SignedRefusal }
  | { readonly kind: 'left'; readonly index: number; readonly entry: DirectoryEntry };

export interface SealedJob {
  readonly id: string;
  readonly request: SealedJobRequest;
  phase: SealedJobPhase;
  /** Place in the header's candidates of the one whose turn it is. */
  candidate: number;
  /** Of the candidate that has it. */
  epoch: Epoch | null;
  readonly skipped: SkipDraft[];
  readonly reservedNano: Nano;
  readonly submittedAtMs: number;
  /** When it came into its phase. */
  phaseAtMs: number;
  startedAtMs: number;
  lastChunkMs: number;
  firstChunkMs: number | null;
  chunks: number;
  receipt: SignedNodeReceipt | null;
  draft: SealedSettlementDraft | null;
  /** Nobody waits for the answer any more, because of this. */
  abandoned: ErrorCode | null;
}

/** A private job's end, ready to be signed and written. */
export interface SealedSettlementDraft {
  readonly jobId: string;
  readonly receipt: PrivateReceiptBody;
  readonly transaction: Transaction | null;
  readonly record: {
    readonly publicKey: string;
    readonly wallet: string | null;
    readonly stats: ContributorStats;
  };
}

/** A bundle that has left lately: clients may have chosen it before. */
export interface Departed {
  readonly index: number;
  readonly entry: Extract<DirectoryEntry, { kind: 'left' }>;
}

export interface PrivateState {
  readonly connections: Map<string, NodeConnection>;
  readonly operators: Map<string, Operator>;
  /** By bundle: all that have not left the directory. */
  readonly epochs: Map<string, Epoch>;
  /** By bundle, the oldest first. */
  readonly departed: Map<string, Departed>;
  readonly jobs: Map<string, SealedJob>;
  /** Ids of jobs that ended, until their headers' end: the first to end first. */
  readonly endedJobs: Map<string, number>;
}

export const initialPrivateState = (): PrivateState => ({
  connections: new Map(),
  operators: new Map(),
  epochs: new Map(),
  departed: new Map(),
  jobs: new Map(),
  endedJobs: new Map(),
});
