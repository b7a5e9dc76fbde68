/** The dispatcher's whole state: plain data and indexes over it, owned by `step` and changed by nobody else. */
import type { IdsHasher } from '@tussah/protocol/bytes';
import type { EngineProfile } from '@tussah/protocol/engine-profile';
import type { ErrorCode } from '@tussah/protocol/errors';
import type { Nano, Price } from '@tussah/protocol/money';
import type { ReceiptBody, SegmentEnd } from '@tussah/protocol/receipts';
import type { FinishReason, Sampling } from '@tussah/protocol/sampling';
import type { Dearest } from './bids.ts';
import type { CoreConfig } from './config.ts';
import type { ContributorStats } from './contributor-stats.ts';
import { Deadlines } from './deadlines.ts';
import { FairQueue } from './fair-queue.ts';
import { IdlePool, type IdleClass, type Ware } from './idle-pool.ts';
import type { Balances, Transaction } from './ledger.ts';
import { initialPrivateState, type PrivateState } from './private/state.ts';
import { Seats } from './seats.ts';

/** What the core needs to know of a model, from the catalogue. */
export interface ModelInfo {
  readonly id: string;
  readonly contextTokens: number;
  /** The highest price a contributor may ask. */
  readonly price: Price;
  /** Ids of its builds with the engine each is for. */
  readonly builds: ReadonlyMap<string, string>;
}

export type ConnectionPhase = 'challenged' | 'proving' | 'open';

/** One WebSocket of a contributor. */
export interface Connection {
  readonly id: string;
  phase: ConnectionPhase;
  /** Forgotten once a hello has come: it is good for one. */
  nonce: string;
  readonly openedAtMs: number;
  lastHeardMs: number;
  lastPingMs: number;
  pings: number;
  /** Set once the key is proven. */
  publicKey: string | null;
}

/** A build a contributor is ready to serve. */
export interface HeldBuild extends Ware {
  readonly holder: Contributor;
  /** Its number in the table of seats. */
  readonly seat: number;
  /** The price asked, prompt and completion together, in nanoTON per million tokens: for the order only, hence a number. */
  readonly askNano: number;
  readonly pool: Pool;
  readonly model: string;
  readonly profile: EngineProfile;
  readonly claimedTokensPerSecond: number;
  readonly ask: Price;
}

/** A proven key with a session: connected, or lost for less than the grace. */
export interface Contributor {
  /** Order of service. */
  lastServed: number;
  /** One of its seats in the pools; -1 when it has none. */
  firstSeat: number;
  /** As which kind its builds are classed; -1 when they are of several kinds, or not classed yet. */
  kind: number;
  /** Whether that is still so: false after a job that changed its record. */
  classed: boolean;
  readonly publicKey: string;
  readonly sessionId: string;
  wallet: string | null;
  connectionId: string | null;
  detachedAtMs: number;
  state: 'ready' | 'paused' | 'draining';
  /** At most one of each build. */
  readonly builds: HeldBuild[];
  jobId: string | null;
  /** Jobs that ended lately; frames about them may still arrive and mean nothing. */
  readonly endedJobs: string[];
  record: ContributorStats;
  earnedNano: Nano;
  failuresInRow: number;
  restUntilMs: number;
  /** Smoothed time to the first token; null before the first job. */
  ttftMs: number | null;
}

/** `interrupted`: cut by a restart of the coordinator, known from its checkpoint alone. */
export type JobPhase = 'queued' | 'offered' | 'running' | 'checking' | 'settling' | 'interrupted' | 'ended';

/** One contributor's turn at a job. */
export interface Lease {
  readonly publicKey: string;
  readonly build: string;
  readonly profile: EngineProfile;
  readonly price: Price;
  readonly offeredAtMs: number;
  acceptedAtMs: number;
  firstTokenMs: number;
  lastFrameMs: number;
  readonly firstPosition: number;
  readonly ids: number[];
  text: string;
  /** Set once the contributor has named it and it was found to be true. */
  idsHash: string | null;
  /** How far its last checkpoint has read `ids`, so that the next reads only what is new; null before the first. */
  journal: { tokens: number; readonly idsHash: IdsHasher } | null;
}

/** A finished turn that delivered something. */
export interface SegmentDraft {
  readonly publicKey: string;
  readonly wallet: string | null;
  readonly build: string;
  readonly profile: EngineProfile;
  readonly price: Price;
  readonly firstPosition: number;
  readonly tokens: number;
  readonly billedTokens: number;
  readonly idsHash: string;
  readonly end: SegmentEnd;
  readonly signature: string | null;
}

export interface JobRequest {
  readonly id: string;
  readonly accountId: string;
  /** The ledger account that pays. */
  readonly payer: string;
  /** Whose turn it is in the fair queue: the account, or a guest's network. */
  readonly flow: string;
  readonly weight: number;
  readonly guest: boolean;
  readonly stream: boolean;
  readonly model: string;
  readonly prompt: { readonly text: string; readonly ids: readonly number[] };
  readonly promptHash: string;
  readonly sampling: Sampling;
  /** Undefined: what the context and the coordinator's default allow. */
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  readonly seedRoot: string;
  readonly topLogprobs: number | null;
  readonly maxPriceNano: Nano | undefined;
  readonly maxTtftMs: number | undefined;
  readonly minTokensPerSecond: number | undefined;
  readonly maxWaitMs: number;
  readonly idempotency: { readonly key: string; readonly requestHash: string } | null;
  /** Whether the client may come back for the rest of a streamed answer, with the very same request. */
  readonly resumable: { readonly requestHash: string } | null;
  /** Drawn by the shell, used if the job comes to a receipt. */
  readonly receiptId: string;
}

/** A job's end, ready to be signed and written; nothing is said to the client before `settled`. */
export interface SettlementDraft {
  readonly jobId: string;
  readonly receipt: ReceiptBody;
  readonly transaction: Transaction | null;
  readonly records: readonly {
    readonly publicKey: string;
    readonly wallet: string | null;
    readonly stats: ContributorStats;
  }[];
  readonly idempotency: {
    readonly accountId: string;
    readonly key: string;
    readonly requestHash: string;
  } | null;
}

/** How a job ended. */
export interface Outcome {
  readonly kind: 'complete' | 'cancelled' | 'failed';
  readonly finishReason: FinishReason | null;
}

/** A turn that the last checkpoint found under way. */
export type OpenSegment = Omit<SegmentDraft, 'end' | 'signature'>;

/** What is written down of a streaming job while it runs: everything but its content. */
export interface JobCheckpoint {
  readonly request: Omit<JobRequest, 'prompt' | 'stop'>;
  readonly promptTokens: number;
  readonly maxTokens: number;
  readonly reservedNano: Nano;
  readonly submittedAtMs: number;
  readonly segments: readonly SegmentDraft[];
  readonly open: OpenSegment | null;
}

export interface Job {
  /** While `interrupted`, without its prompt and stop strings: only its client can bring them back. */
  request: JobRequest;
  readonly promptTokens: number;
  phase: JobPhase;
  readonly maxTokens: number;
  readonly reservedNano: Nano;
  /** Whoever asks more is too dear; null when nobody is. */
  readonly dearest: Dearest | null;
  readonly submittedAtMs: number;
  /** While queued or interrupted: when waiting ends. */
  waitUntilMs: number;
  lease: Lease | null;
  readonly segments: SegmentDraft[];
  readonly ids: number[];
  /** The pieces delivered so far. */
  readonly text: string[];
  /** Contributors that shall not have it again, and how many turns there were. */
  readonly tried: Set<string>;
  attempts: number;
  /** Awaiting the check of its signature. */
  done: { readonly finishReason: FinishReason; readonly signature: string } | null;
  /** Set when it ends, while the books are written. */
  outcome: Outcome | null;
  draft: SettlementDraft | null;
  /** Why it ended without a whole answer. */
  failure: ErrorCode | null;
  ttftMs: number | null;
  /** The earliest entry of this job in the deadline heap. */
  scheduledMs: number;
  /** Tokens delivered at its last checkpoint; null before the first. */
  checkpointedTokens: number | null;
  /** The end, when it came with the last text: whoever is lost after it has answered all the same. */
  endSaid: FinishReason | null;
  /** While `interrupted`: the turn that the restart cut. */
  cut: OpenSegment | null;
}

/** One model's side of the market. */
export interface Pool {
  readonly model: ModelInfo;
  readonly holders: Set<Contributor>;
  readonly idle: IdlePool<HeldBuild>;
  readonly queue: FairQueue<Job>;
  running: number;
}

/** What one flow of the fair queue has going on; removed when nothing. */
export interface Flow {
  active: number;
  queued: number;
  reservedNano: Nano;
}

export interface GuestDay {
  day: number;
  spentNano: Nano;
  readonly byNetwork: Map<string, Nano>;
  readonly byContributor: Map<string, Nano>;
  readonly byOwner: Map<string, Nano>;
}

export interface State {
  readonly config: CoreConfig;
  readonly coordinator: string;
  draining: boolean;
  readonly balances: Balances;
  readonly connections: Map<string, Connection>;
  readonly contributors: Map<string, Contributor>;
  readonly pools: Map<string, Pool>;
  /** Of all pools. */
  readonly seats: Seats<HeldBuild, IdleClass>;
  readonly jobs: Map<string, Job>;
  /** Held for running jobs, by the payer's ledger account; removed when nothing. */
  readonly reserved: Map<string, Nano>;
  readonly flows: Map<string, Flow>;
  readonly guests: GuestDay;
  readonly deadlines: Deadlines;
  /** Jobs that wait in all pools. */
  queued: number;
  readonly private: PrivateState;
  /** Counts turns of service. */
  served: number;
  answered: number;
  completionTokens: number;
}

export interface InitialState {
  readonly config: CoreConfig;
  readonly coordinator: string;
  readonly models: readonly ModelInfo[];
  readonly balances: Balances;
  readonly totals: { readonly answered: number; readonly completionTokens: number };
}

export function initialState(from: InitialState): State {
  const seats = new Seats<HeldBuild, IdleClass>();
  const pool = (model: ModelInfo): Pool => ({
    model,
    holders: new Set(),
    idle: new IdlePool(seats),
    queue: new FairQueue<Job>(),
    running: 0,
  });
  return {
    config: from.config,
    coordinator: from.coordinator,
    draining: false,
    balances: from.balances,
    connections: new Map(),
    contributors: new Map(),
    pools: new Map(from.models.map((model) => [model.id, pool(model)])),
    seats,
    jobs: new Map(),
    reserved: new Map(),
    flows: new Map(),
    guests: { day: 0, spentNano: 0n, byNetwork: new Map(), byContributor: new Map(), byOwner: new Map() },
    deadlines: new Deadlines(),
    queued: 0,
    private: initialPrivateState(),
    served: 0,
    answered: from.totals.answered,
    completionTokens: from.totals.completionTokens,
  };
}
