/**
 * The record of a verification. A kind of evidence lists all its steps beforehand, in its plan; a verdict is `accepted` only
 * if every one of them was made and passed. What was never reached, because something before it failed, stays in the record
 * as unchecked, and refuses too.
 */
import { Malformed } from '../malformed.ts';

export interface StepText {
  readonly title: string;
  /** What the one who presents the evidence, or who wrote the policy, can do when it fails. */
  readonly remedy: string;
}
/** Steps in the order in which they are shown. */
export type Plan<Id extends string> = Readonly<Record<Id, StepText>>;

export interface Step {
  readonly id: string;
  readonly title: string;
  /** `unchecked`: nothing asked for it, or nothing was there to check; the latter refuses, and has a remedy. */
  readonly status: 'passed' | 'failed' | 'unchecked';
  readonly expected?: string;
  readonly got?: string;
  readonly remedy?: string;
}

export interface Seen {
  readonly expected?: string;
  readonly got?: string;
}

export interface Outcome {
  readonly accepted: boolean;
  readonly steps: readonly Step[];
}

/** What comes out of the input is shown cut to this many characters. */
const SHOWN = 400;

export class StepRecord<Id extends string> {
  readonly #plan: Plan<Id>;
  readonly #made = new Map<Id, Step>();
  readonly #waived = new Set<Id>();

  constructor(plan: Plan<Id>) {
    this.#plan = plan;
  }

  /** Records one check. A second one under the same id can only make it worse. */
  check(id: Id, ok: boolean, seen: Seen = {}): boolean {
    if (this.#made.get(id)?.status === 'failed') return ok;
    const { title, remedy } = this.#plan[id];
    const shown = {
      ...(seen.expected === undefined ? {} : { expected: seen.expected.slice(0, SHOWN) }),
      ...(seen.got === undefined ? {} : { got: seen.got.slice(0, SHOWN) }),
    };
    const step: Step = ok
      ? { id, title, status: 'passed', ...shown }
      : { id, title, status: 'failed', expected: 'yes', got: 'no', ...shown, remedy };
    this.#made.set(id, step);
    return ok;
  }

  /** Runs a parser; `Malformed` fails the step, with undefined as the result. */
  parse<Value>(id: Id, expected: string, parser: () => Value): Value | undefined {
    try {
      const value = parser();
      this.check(id, true);
      return value;
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.check(id, false, { expected, got: error.message });
      return undefined;
    }
  }

  /** Nobody asked for this step: it is listed as unchecked, and does not refuse. One that is made all the same counts. */
  waive(id: Id): void {
    this.#waived.add(id);
  }

  outcome(): Outcome {
    const ids = Object.keys(this.#plan) as Id[];
    const steps = ids.map((id): Step => {
      const { title, remedy } = this.#plan[id];
      const unchecked = { id, title, status: 'unchecked' } as const;
      return this.#made.get(id) ?? (this.#isWaived(id) ? unchecked : { ...unchecked, remedy });
    });
    const accepted = ids.every((id) => this.#made.get(id)?.status === 'passed' || this.#isWaived(id));
    return { accepted, steps };
  }

  #isWaived(id: Id): boolean {
    return this.#waived.has(id) && !this.#made.has(id);
  }
}
