/** What the Verify page is given, and what it finds. All of it can be cloned. */
import type { Verdict } from '@tussah/attestation/verdict';
import type { Failure } from '@tussah/protocol/errors';
import type { ReviewCheck } from '../receipt/review.ts';

/** One file or one pasted text. */
export interface Item {
  readonly id: number;
  readonly name: string;
  readonly text: string;
}

export interface Material {
  readonly items: readonly Item[];
  /** What bundles are judged by where no policy is among the items: its text. */
  readonly policy: string;
  /** The moment to judge bundles for, in milliseconds since 1970; null is now. */
  readonly atMs: number | null;
}

/** A line of what something says of itself. */
export type Fact = readonly [name: string, value: string];

export type Finding =
  | { readonly kind: 'unreadable'; readonly failure: Failure }
  | {
      readonly kind: 'policy';
      readonly name: string;
      readonly simulated: boolean;
      readonly facts: readonly Fact[];
    }
  | {
      readonly kind: 'receipt';
      readonly tier: 'public' | 'private';
      /** Whether it came with an answer. */
      readonly answer: boolean;
      readonly valid: boolean;
      /** Whether the evidence beside it says so; a receipt by itself can't tell. */
      readonly simulated: boolean;
      readonly checks: readonly ReviewCheck[];
      readonly facts: readonly Fact[];
      /** What could not be checked from what is there. */
      readonly notes: readonly string[];
    }
  | {
      readonly kind: 'bundle';
      readonly name: string;
      readonly verdict: Verdict;
      readonly policy: string;
      readonly atMs: number;
      readonly facts: readonly Fact[];
    };

export type Findings = readonly { readonly item: Pick<Item, 'id' | 'name'>; readonly finding: Finding }[];

/** Bounds on what is looked at. */
export const verifyLimits = {
  items: 8,
  /** One file; the largest bundle and any answer without log probabilities stay below. */
  bytes: 4_194_304,
} as const;
