/** What the parts of a simulated network know of each other. */
import type { ContributorFrame, CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import type { ErrorCode } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import type { Answer, Effect, Event, Resumption, TimedEvent } from '../core/events.ts';
import type { JobRequest, State } from '../core/state.ts';
import type { Agenda } from './agenda.ts';
import type { Books } from './books.ts';
import type { Coverage } from './coverage.ts';
import type { Random } from './random.ts';
import type { Trace } from './trace.ts';
import type { Weather } from './weather.ts';

/** The world as everything in it sees it. */
export interface Surroundings {
  readonly random: Random;
  readonly agenda: Agenda;
  readonly weather: Weather;
  readonly books: Books;
  readonly watch: Observer;
  readonly trace: Trace;
  readonly coordinatorKey: string;
  readonly wallets: readonly string[];
  /** Networks that guests come from. */
  readonly networks: number;
  /** Null while the coordinator is down. */
  readonly process: LiveProcess | null;
  /** Lives of the coordinator so far. */
  readonly life: number;
  /** The troubles have ended: nobody asks any more, and everything must come to its end. */
  readonly over: boolean;
  /** How far the clock has jumped, and how long it was down: what was to end by now may be late by that. */
  readonly lateMs: number;
  /** How far the clock has jumped. */
  readonly jumpedMs: number;
  /** What the host's clock shows. */
  readonly clockMs: number;
  serial(): number;
  /** Something does not hold: the run ends here. */
  complain(fault: string): never;
  /** A job waits though this contributor could serve it. */
  vain(jobId: string, publicKey: string): void;
  /** Whether the process dies here. */
  crashes(effect: Effect, when: 'before' | 'after'): boolean;
}

/** One life of the coordinator. */
export interface LiveProcess {
  readonly world: Surroundings;
  readonly state: State;
  readonly alive: boolean;
  /** The time that the core was told last. */
  readonly atMs: number;
  readonly links: Map<string, Wire>;
  readonly streams: { resume(ask: Asking, resumption: Resumption): void };
  post(event: Event): void;
  receive(connectionId: string, frame: ContributorFrame): void;
  ask(ask: Asking, request: JobRequest): void;
}

/** A contributor's connection. */
export interface Wire {
  /** Behind something that repeats and reorders frames. */
  readonly shaky: boolean;
  down(frame: CoordinatorFrame): void;
  closeByCoordinator(): void;
  cutByCoordinator(): void;
}

/** The contributor's end of it. */
export interface Peer {
  hear(link: Wire, frame: CoordinatorFrame): void;
  lost(link: Wire): void;
}

/** A request without what the shell draws for it. */
export type Question = Omit<JobRequest, 'id' | 'receiptId'>;

/** `cut`: a crash took the rest, and it could not, or did not, come back. `gone`: the client itself left. */
export type AskState = 'open' | 'away' | 'complete' | 'failed' | 'cut' | 'gone';

/** A client's question, from its connection's side. */
export interface Asking {
  readonly question: Question;
  readonly jobId: string;
  readonly readsSlowly: boolean;
  readonly state: AskState;
  readonly isOver: boolean;
  /** Token ids that have arrived; of answers that are not streamed, at their end. */
  readonly ids: readonly number[];
  readonly text: string;
  readonly code: string;
  readonly endings: number;
  /** What was under way when the client itself left is lost, and it may be charged for it. */
  readonly lostOnItsWay: boolean;
  /** It is somebody else who pretends; it must get nothing. */
  readonly impostor: boolean;
  /** Why it is, or was last, away; `long` when the coordinator need not know of it any more. */
  readonly away: 'never' | 'cut' | 'left' | 'long';
  connect(process: LiveProcess, left: () => void): void;
  arrive(chunk: Chunk): void;
  arriveEnd(ending: Ending): void;
  refused(code: string): void;
  cut(): void;
  replaced(): void;
}

export interface Chunk {
  readonly position: number;
  readonly ids: readonly number[];
  readonly text: string;
}

export type Ending =
  | { readonly kind: 'complete'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly receipt: Receipt | null };

/** Sees everything, and complains. */
export interface Observer {
  readonly coverage: Coverage;
  readonly shadows: ReadonlyMap<string, Shadow>;
  asked(ask: Asking): void;
  /** A write that its client's return depends on was lost. */
  unprotected(jobId: string): void;
  /** A contributor made something up. */
  forged(jobId: string): void;
  before(state: State, event: TimedEvent): void;
  after(state: State, event: TimedEvent, effects: readonly Effect[]): void;
  completed(ask: Asking, answer: Answer): void;
  over(ask: Asking): void;
}

/** What is known of a job from outside the core. */
export interface Shadow {
  readonly ask: Asking;
  maxTokens: number;
  /** Everything that contributors delivered and the core accepted. */
  readonly ids: number[];
  /** Whose tokens begin where. */
  readonly turns: { readonly publicKey: string; readonly from: number }[];
  /** Some of it was made up by a contributor. */
  forged: boolean;
  /** A write that its client's return depends on was lost. */
  unprotected: boolean;
  /** The life of the coordinator in which it ended, or was settled. */
  endedIn: number;
  settledIn: number;
  /** Settled after a restart, for what was written down. */
  byCheckpoint: boolean;
  /** The coordinator's time by which it must have ended. */
  boundMs: number;
}
