/**
 * How bad a simulated world is. Each seed draws its own weather, and leaves some troubles out altogether: faults that are
 * always all present hide those that need quiet (swarm testing, Groce et al., ISSTA 2012).
 */
import { defaultCoreConfig, type CoreConfig } from '../core/config.ts';
import type { Random } from './random.ts';

export interface Weather {
  /** One way, mean. */
  readonly linkDelayMs: number;
  /** Of a frame, to be lost and its connection with it. */
  readonly lossRate: number;
  /** Of a broken connection, to be noticed by the coordinator only when its patience ends. */
  readonly halfOpenRate: number;
  /** Of contributors, to sit behind something that repeats and reorders frames. */
  readonly shakyShare: number;
  readonly storeDelayMs: number;
  /** Of a settlement, to be refused by the store. */
  readonly settlementFailRate: number;
  /** Of a write of a checkpoint, to fail. */
  readonly checkpointLossRate: number;
  /** Of a commit, to take some seconds. */
  readonly slowCommitRate: number;
  /** Of checks of signatures; 0 is at once. */
  readonly checkDelayMs: number;
  /** Mean time between crashes; 0 is never. */
  readonly crashEveryMs: number;
  /** Of restarts, to be drained ones. */
  readonly drainShare: number;
  /** Mean time between jumps of the coordinator's clock; 0 is never. */
  readonly clockJumpEveryMs: number;
  /** Of contributors that are not honest. */
  readonly malice: number;
  /** Of honest contributors, per piece of an answer, to be hit by something. */
  readonly misfortune: number;
  /** Mean time between a client's questions. */
  readonly thinkMs: number;
  readonly config: CoreConfig;
}

export function weatherOf(random: Random): Weather {
  const sometimes = <Value>(probability: number, value: () => Value, otherwise: Value): Value =>
    random.chance(probability) ? value() : otherwise;
  return {
    linkDelayMs: random.pick([0, 5, 40, 200]),
    lossRate: sometimes(0.6, () => random.unit() * 0.01, 0),
    halfOpenRate: sometimes(0.5, () => random.unit(), 0),
    shakyShare: sometimes(0.4, () => random.unit() * 0.2, 0),
    storeDelayMs: random.pick([1, 5, 50, 400]),
    settlementFailRate: sometimes(0.4, () => random.unit() * 0.2, 0),
    checkpointLossRate: sometimes(0.4, () => random.unit() * 0.5, 0),
    slowCommitRate: sometimes(0.4, () => random.unit() * 0.05, 0),
    checkDelayMs: random.pick([0, 0, 3, 300]),
    crashEveryMs: sometimes(0.75, () => random.pick([10_000, 40_000, 120_000]), 0),
    drainShare: sometimes(0.5, () => random.unit() * 0.5, 0),
    clockJumpEveryMs: sometimes(0.4, () => random.pick([20_000, 100_000]), 0),
    malice: sometimes(0.7, () => random.unit() * 0.6, 0),
    misfortune: sometimes(0.7, () => random.unit() * 0.05, 0),
    thinkMs: random.pick([300, 2_000, 10_000]),
    config: configOf(random),
  };
}

/** The production settings, some of them narrowed so that their bounds are met within minutes. */
function configOf(random: Random): CoreConfig {
  const narrow = random.chance(0.6);
  const { guests } = defaultCoreConfig;
  return {
    ...defaultCoreConfig,
    ...(narrow
      ? {
          networkFeeBasisPoints: random.pick([0, 1, 500, 10_000]),
          queuedPerModel: random.pick([4, 30, 1_000]),
          queuedPerAccount: random.pick([2, 64]),
          concurrentPerAccount: random.pick([3, 64]),
          defaultMaxTokens: random.pick([8, 200]),
          attempts: random.pick([1, 2, 4, 8]),
          failuresBeforeRest: random.pick([1, 3]),
          restMs: random.pick([5_000, 60_000]),
          tokenSilenceMs: random.pick([3_000, 30_000]),
          firstTokenSilenceMs: random.pick([5_000, 120_000]),
        }
      : {}),
    guests:
      guests === null || random.chance(0.1)
        ? null
        : narrow
          ? {
              ...guests,
              totalDailyNano: random.pick([20_000n, 1_000_000_000n]),
              perNetworkDailyNano: random.pick([1_000n, 50_000_000n]),
              perContributorDailyNano: random.pick([2_000n, 500_000_000n]),
              perOwnerDailyNano: random.pick([2_000n, 500_000_000n]),
              concurrentPerNetwork: random.pick([1, 8]),
            }
          : guests,
  };
}
