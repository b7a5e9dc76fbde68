/** What every verification is given beside the evidence. */
import type { Policy } from './policy/policy.ts';
import type { Clock } from './steps/clock.ts';
import type { ChainCache } from './x509/chain-cache.ts';

export interface Context {
  /** Undefined for a single piece of evidence that is only checked for being genuine, current and not in debug mode. */
  readonly policy: Policy | undefined;
  readonly clock: Clock;
  readonly chains: ChainCache;
}

/** SHA-256 of the roots under which evidence is believed: the vendor's own, and simulated ones that the policy names. */
export const acceptedRoots = (pinned: readonly string[], policy: Policy | undefined): readonly string[] => [
  ...pinned,
  ...(policy?.simulatedRoots ?? []),
];
