/** What a contributor shows of itself, to a page or a terminal: plain data, replaced as a whole at each change. */
import type { EngineName } from '@tussah/protocol/engine-profile';
import type { Failure } from '@tussah/protocol/errors';
import type { PriceWire } from '@tussah/protocol/money';

export interface ContributorSettings {
  /** Origin of the coordinator, such as `https://tussah.example`. */
  readonly coordinatorUrl: string;
  readonly model: string;
  /** `auto`: WebLLM where the adapter has what the build needs and the catalogue has a build, else wllama. */
  readonly engine: EngineName | 'auto';
  readonly wallet: string | null;
  /** Lowest price accepted; null takes the catalogue's. */
  readonly ask: PriceWire | null;
}

export type ContributorPhase =
  | 'idle'
  | 'loading'
  | 'connecting'
  | 'ready'
  | 'working'
  | 'paused'
  | 'draining'
  | 'reconnecting'
  | 'stopped'
  | 'failed';

export interface ContributorSnapshot {
  readonly phase: ContributorPhase;
  /** One sentence: what is happening and why. */
  readonly sentence: string;
  readonly progress: {
    readonly step: 'download' | 'start';
    readonly loadedBytes: number;
    readonly totalBytes: number | null;
  } | null;
  readonly model: string;
  readonly build: string | null;
  readonly engine: EngineName | null;
  /** Why another engine than the preferred one runs; null when it is the preferred one. */
  readonly engineNote: string | null;
  readonly publicKey: string | null;
  readonly jobsDone: number;
  readonly tokensDone: number;
  /** Of the last job; null before the first. */
  readonly tokensPerSecond: number | null;
  /** Decimal strings of nanoTON: in this run, and by this key altogether as the coordinator says. */
  readonly earnedHereNano: string;
  readonly earnedTotalNano: string | null;
  readonly failure: Failure | null;
}
