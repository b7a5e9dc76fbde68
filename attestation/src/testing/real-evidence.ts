/** Verifying real evidence, for the suites about it. */
import type { Policy } from '../policy/policy.ts';
import type { Verdict } from '../verdict.ts';
import { Verifier, type Evidence } from '../verify.ts';
import { policy as simulated } from './world.ts';

export const verify = (evidence: Evidence, at: string, policy?: Policy): Promise<Verdict> =>
  new Verifier().verify(evidence, policy, Date.parse(at));
export const unchecked = ({ steps }: Verdict) =>
  steps.filter(({ status }) => status === 'unchecked').map(({ id }) => id);
const year = 366 * 86_400_000;
/** A policy for real evidence: nothing simulated, nothing of its own about images. */
export const real: Policy = {
  ...simulated,
  simulatedRoots: [],
  collateralAgeMaxMs: year,
  images: [{ name: 'none' }],
};
