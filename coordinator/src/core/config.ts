/** What an operator may set of the dispatcher; times in milliseconds, money in nanoTON. */
import type { Nano } from '@tussah/protocol/money';
import { limits } from '@tussah/protocol/limits';
import { privateLimits } from '@tussah/protocol/private/private-limits';

export interface GuestCaps {
  /** Largest sum a day spent on guests: altogether, from one network address, to one contributor, to one owner. */
  readonly totalDailyNano: Nano;
  readonly perNetworkDailyNano: Nano;
  readonly perContributorDailyNano: Nano;
  readonly perOwnerDailyNano: Nano;
  readonly concurrentPerNetwork: number;
  /** Completion tokens of one guest job at most. */
  readonly maxTokens: number;
}

export interface CoreConfig {
  readonly networkFeeBasisPoints: number;
  readonly queuedPerModel: number;
  readonly queuedPerAccount: number;
  readonly concurrentPerAccount: number;
  /** Completion tokens when the request names no bound and the context leaves room. */
  readonly defaultMaxTokens: number;
  /** Contributors tried for one job, the first included. */
  readonly attempts: number;
  /** How long a cut answer waits for somebody to go on with it. */
  readonly continuationWaitMs: number;
  readonly acceptTimeoutMs: number;
  readonly firstTokenSilenceMs: number;
  readonly tokenSilenceMs: number;
  readonly resumeGraceMs: number;
  /** How often a streaming job that goes on is written down: the most of a contributor's work that a crash can cost it. */
  readonly checkpointMs: number;
  /** How long after a restart a resumable job waits for its client. */
  readonly resumeWindowMs: number;
  readonly helloTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly heartbeatTimeoutMs: number;
  /** A contributor that failed this often in a row rests for `restMs`. */
  readonly failuresBeforeRest: number;
  readonly restMs: number;
  readonly guests: GuestCaps | null;
  /** Whether confidential nodes are taken, and sealed jobs with them. */
  readonly privateTier: boolean;
  /** A node may ask for an epoch this often. */
  readonly epochIntervalMs: number;
  /** Sealed jobs that one node may have beyond those that it serves at once: it refuses them itself, with its signature. */
  readonly nodeQueue: number;
  /** Nodes in the directory. */
  readonly nodesMax: number;
}

export const defaultCoreConfig: CoreConfig = {
  networkFeeBasisPoints: 500,
  queuedPerModel: 1_000,
  queuedPerAccount: 64,
  concurrentPerAccount: 64,
  defaultMaxTokens: 2_048,
  attempts: 4,
  continuationWaitMs: 15_000,
  acceptTimeoutMs: limits.acceptTimeoutMs,
  firstTokenSilenceMs: limits.firstTokenSilenceMs,
  tokenSilenceMs: limits.tokenSilenceMs,
  resumeGraceMs: limits.resumeGraceMs,
  checkpointMs: 1_000,
  resumeWindowMs: limits.resumeWindowMs,
  helloTimeoutMs: limits.helloTimeoutMs,
  heartbeatMs: limits.heartbeatMs,
  heartbeatTimeoutMs: limits.heartbeatTimeoutMs,
  failuresBeforeRest: 3,
  restMs: 60_000,
  guests: {
    totalDailyNano: 1_000_000_000n,
    perNetworkDailyNano: 50_000_000n,
    perContributorDailyNano: 500_000_000n,
    perOwnerDailyNano: 500_000_000n,
    concurrentPerNetwork: 8,
    maxTokens: 2_048,
  },
  privateTier: false,
  epochIntervalMs: privateLimits.epochIntervalMs,
  nodeQueue: 8,
  nodesMax: privateLimits.concurrencyMax,
};
