/** Whether a job can pay what is asked. In numbers where these are exact, for this is asked very often. */
import { costOf, type Nano, type Price } from '@tussah/protocol/money';

/** Whether tokens at a price may cost more than is reserved for them. */
export function exceeds(price: Price, promptTokens: number, maxTokens: number, reservedNano: Nano): boolean {
  const millionths =
    Number(price.promptNanoPerMillion) * promptTokens + Number(price.completionNanoPerMillion) * maxTokens;
  if (millionths < Number.MAX_SAFE_INTEGER) return millionths > Number(reservedNano) * 1_000_000;
  return costOf(price, promptTokens, maxTokens) > reservedNano;
}

/** Whether a price is split between prompt and completion as the list price is, as far as whole numbers can be. */
export const isSplitAs = (
  list: Price,
  { promptNanoPerMillion, completionNanoPerMillion }: Price,
): boolean => {
  const apart =
    promptNanoPerMillion * list.completionNanoPerMillion -
    completionNanoPerMillion * list.promptNanoPerMillion;
  return 2n * (apart < 0n ? -apart : apart) <= list.promptNanoPerMillion + list.completionNanoPerMillion;
};

/** Prices, both parts together, in nanoTON per million tokens. */
export interface Dearest {
  /** For who splits the price as the list does. */
  readonly listSplit: number;
  /** However it is split. */
  readonly anySplit: number;
  /** Whoever splits the price as the list does and asks no more than this can be paid. */
  readonly payable: number;
}

/**
 * The highest prices asked for which a reservation may be enough: a little too high rather than too low. Null when the list
 * price can be paid, which nobody exceeds.
 */
export function dearestOf(
  list: Price,
  promptTokens: number,
  maxTokens: number,
  reservedNano: Nano,
): Dearest | null {
  if (!exceeds(list, promptTokens, maxTokens, reservedNano)) return null;
  const prompt = Number(list.promptNanoPerMillion);
  const completion = Number(list.completionNanoPerMillion);
  const affordable = Number(reservedNano) * 1_000_000 * (1 + 1e-9);
  // A part may be half a nanoTON off its share.
  const rounding = Math.abs(promptTokens - maxTokens) / 2;
  const listCost = (prompt * promptTokens + completion * maxTokens) / (prompt + completion);
  const [most, fewer, more] =
    promptTokens < maxTokens ? [prompt, promptTokens, maxTokens] : [completion, maxTokens, promptTokens];
  // Cheapest is who asks all for the part of fewer tokens, as far as the list allows.
  const cheapPart = most * fewer <= affordable ? most : affordable / fewer;
  return {
    listSplit: (affordable + rounding) / listCost,
    payable: (affordable * (1 - 2e-9) - rounding) / listCost,
    anySplit: cheapPart + (affordable - cheapPart * fewer) / more,
  };
}
