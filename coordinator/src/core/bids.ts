/** Whether a job can pay what is asked. In numbers where these are exact, for this is asked very often. */
import { costOf, type Nano, type Price } from '@tussah/protocol/money';

/** Whether tokens at a price may cost more than is reserved for them. */
export function exceeds(price: Price, promptTokens: number, maxTokens: number, reservedNano: Nano): boolean {
  const millionths =
    Number(price.promptNanoPerMillion) * promptTokens + Number(price.completionNanoPerMillion) * maxTokens;
  if (millionths < Number.MAX_SAFE_INTEGER) return millionths > Number(reservedNano) * 1_000_000;
  return costOf(price, promptTokens, maxTokens) > reservedNano;
}

/**
 * The highest price asked, both parts together, in nanoTON per million tokens, for which a reservation may be enough, however
 * the price is split: a little too high rather than too low. Null when the list price can be paid, which nobody exceeds.
 */
export function dearestOf(
  list: Price,
  promptTokens: number,
  maxTokens: number,
  reservedNano: Nano,
): number | null {
  if (!exceeds(list, promptTokens, maxTokens, reservedNano)) return null;
  const promptFirst = promptTokens < maxTokens;
  const most = Number(promptFirst ? list.promptNanoPerMillion : list.completionNanoPerMillion);
  const [fewer, more] = promptFirst ? [promptTokens, maxTokens] : [maxTokens, promptTokens];
  const affordable = Number(reservedNano) * 1_000_000 * (1 + 1e-9);
  // Cheapest is who asks all for the part of fewer tokens, as far as the list allows.
  const cheapPart = most * fewer <= affordable ? most : affordable / fewer;
  return cheapPart + (affordable - cheapPart * fewer) / more;
}
