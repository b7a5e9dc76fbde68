/**
 * What the bundled model is measured by: sums it has never seen, and the questions it was trained on.
 * The rule of the held-out sums is the recipe's own (tiny/train/corpus.py, `held_out`).
 */
import { sha256Hex } from '@tussah/protocol/bytes';
import questionList from '../tiny/questions.json' with { type: 'json' };

export interface Expectation {
  readonly prompt: string;
  /** The whole answer under greedy decoding. */
  readonly expected: string;
}

/** Of the 256 values of a hash's first byte: about a tenth of the sums. */
const HELD_OUT_BELOW = 26;

/** A sum and its mirror are held out together, in every phrasing. */
export function isHeldOut(a: number, b: number): boolean {
  const hash = sha256Hex(`${Math.min(a, b)}+${Math.max(a, b)}`);
  return Number.parseInt(hash.slice(0, 2), 16) < HELD_OUT_BELOW;
}

const numbers = Array.from({ length: 100 }, (_, n) => n);

/** All held-out sums of two numbers 0..99, in the order of a, then b. */
export const heldOutSums: readonly Expectation[] = numbers.flatMap((a) =>
  numbers
    .filter((b) => isHeldOut(a, b))
    .map((b) => ({ prompt: `What is ${a} + ${b}?`, expected: `${a} + ${b} = ${a + b}.` })),
);

/** Every phrasing of every question. */
export const questions: readonly Expectation[] = questionList.questions.flatMap(({ ask, answer }) =>
  ask.map((prompt) => ({ prompt, expected: answer })),
);
