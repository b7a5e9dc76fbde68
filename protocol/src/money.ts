/** Money is an integer number of nanoTON: `bigint` in memory, a decimal string on the wire. */
import * as v from 'valibot';

export type Nano = bigint;

export const NANO_PER_TON: Nano = 1_000_000_000n;
const TOKENS_PER_PRICE = 1_000_000n;
/** More than all TON there is (5.1e9 TON) and less than 2^63; guards every parser against absurd sums. */
export const NANO_MAX: Nano = 9_000_000_000n * NANO_PER_TON;

const pattern = /^(0|[1-9]\d{0,18})$/;

/** Parses a decimal string of nanoTON; undefined unless canonical, not negative and at most `NANO_MAX`. */
export function parseNano(text: string): Nano | undefined {
  if (!pattern.test(text)) return undefined;
  const nano = BigInt(text);
  return nano <= NANO_MAX ? nano : undefined;
}

/** An amount on the wire: a canonical decimal string of nanoTON, not negative. */
export const NanoSchema = v.pipe(
  v.string(),
  v.regex(pattern, 'not a decimal number of nanoTON'),
  v.check((text) => parseNano(text) !== undefined, 'more nanoTON than there is'),
);

/** Parses a sum in TON as people write it, such as `1.5`; undefined when malformed or finer than a nanoTON. */
export function parseTon(text: string): Nano | undefined {
  const match = /^(\d{1,11})(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) return undefined;
  const nano = BigInt(match[1] ?? '0') * NANO_PER_TON + BigInt((match[2] ?? '').padEnd(9, '0'));
  return nano <= NANO_MAX ? nano : undefined;
}

/** Formats nanoTON as TON without trailing zeros: 1500000000n is `1.5`. */
export function formatTon(nano: Nano): string {
  const sign = nano < 0n ? '-' : '';
  const size = nano < 0n ? -nano : nano;
  const fraction = (size % NANO_PER_TON).toString().padStart(9, '0').replace(/0+$/, '');
  return `${sign}${size / NANO_PER_TON}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Price of a model or an ask of a contributor, in nanoTON per million tokens. */
export interface Price {
  readonly promptNanoPerMillion: Nano;
  readonly completionNanoPerMillion: Nano;
}

export const PriceSchema = v.strictObject({
  promptNanoPerMillion: NanoSchema,
  completionNanoPerMillion: NanoSchema,
});
export type PriceWire = v.InferOutput<typeof PriceSchema>;

export const priceFromWire = (wire: PriceWire): Price => ({
  promptNanoPerMillion: BigInt(wire.promptNanoPerMillion),
  completionNanoPerMillion: BigInt(wire.completionNanoPerMillion),
});
export const priceToWire = (price: Price): PriceWire => ({
  promptNanoPerMillion: price.promptNanoPerMillion.toString(),
  completionNanoPerMillion: price.completionNanoPerMillion.toString(),
});

/** What tokens cost, rounded up to a whole nanoTON once for the whole job. Counts are whole and not negative. */
export function costOf(price: Price, promptTokens: number, completionTokens: number): Nano {
  const millionths =
    price.promptNanoPerMillion * BigInt(promptTokens) +
    price.completionNanoPerMillion * BigInt(completionTokens);
  return (millionths + TOKENS_PER_PRICE - 1n) / TOKENS_PER_PRICE;
}

/** The network's fee: `basisPoints` hundredths of a percent of the charge, rounded down. */
export const feeOf = (charged: Nano, basisPoints: number): Nano => (charged * BigInt(basisPoints)) / 10_000n;

/**
 * Divides a sum by whole weights so that the parts add up to it exactly: each part is rounded down and the remainder
 * goes to the earliest parts of positive weight. All weights zero: all parts zero and the sum stays with the caller.
 * Throws unless the sum is not negative and each weight is a whole number that is not negative.
 */
export function divideByWeight(sum: Nano, weights: readonly number[]): Nano[] {
  if (sum < 0n || weights.some((weight) => weight < 0))
    throw new RangeError('only positive sums are divided');
  // Added up exactly: as a double the total could be off, and the parts with it.
  const total = weights.reduce((a, b) => a + BigInt(b), 0n);
  if (total === 0n) return weights.map(() => 0n);
  const parts = weights.map((weight) => (sum * BigInt(weight)) / total);
  let rest = sum - parts.reduce((a, b) => a + b, 0n);
  for (let i = 0; rest > 0n; i = (i + 1) % parts.length) {
    if (weights[i] === 0) continue;
    parts[i] = (parts[i] ?? 0n) + 1n;
    rest -= 1n;
  }
  return parts;
}
