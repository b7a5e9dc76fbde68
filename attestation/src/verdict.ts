/** What a verification says. */
import type { Step } from './steps/record.ts';

/** Facts taken from evidence; they are worth something only under an accepted verdict. */
export type Claim = string | number | boolean | null | readonly Claim[] | { readonly [name: string]: Claim };
export type Claims = { readonly [name: string]: Claim };

export interface Verdict {
  readonly verdict: 'accepted' | 'rejected';
  /** Every step of the plan, those never reached included. */
  readonly steps: readonly Step[];
  readonly claims: Claims;
}

/** What every kind of evidence says of itself beside the facts of its own. */
export interface CommonClaims {
  readonly [name: string]: Claim;
  /** Whether it ends at a root of simulated evidence. Whoever shows the verdict says SIMULATED. */
  readonly simulated: boolean;
}

/** What is in a piece of evidence and decides nothing. Files of others have such things; a bundle must not. */
export interface Unused {
  readonly unused: readonly string[];
}

/** One part's result, with the facts that a bundle goes on with. */
export interface PartVerdict<Facts> {
  readonly accepted: boolean;
  readonly steps: readonly Step[];
  readonly claims: CommonClaims;
  /** Undefined when the evidence could not be read. */
  readonly facts: Facts | undefined;
}
