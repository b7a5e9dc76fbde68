/** Sums as people read them. Exact amounts are in receipts; what is shown beside an answer keeps three digits. */
import { NANO_PER_TON, type Nano, type PriceWire } from '@tussah/protocol/money';

const digits = 3;

/** `0.00123 TON`, or `120 nanoTON` below a thousand nanoTON; nothing but zero is shown as zero. */
export function showNano(nano: Nano): string {
  const size = nano < 0n ? -nano : nano;
  const sign = nano < 0n ? '−' : '';
  if (size === 0n) return '0 TON';
  return size < 1000n ? `${sign}${size} nanoTON` : `${sign}${tonDigits(size)} TON`;
}

/** TON with three significant digits, or all whole ones; rounded half up. */
function tonDigits(size: Nano): string {
  const unit = 10n ** BigInt(Math.max(0, size.toString().length - digits));
  // Whole TON are never rounded away: the unit is at most one TON.
  const step = unit > NANO_PER_TON ? NANO_PER_TON : unit;
  const rounded = ((size + step / 2n) / step) * step;
  const fraction = (rounded % NANO_PER_TON).toString().padStart(9, '0').replace(/0+$/, '');
  const whole = (rounded / NANO_PER_TON).toString().replaceAll(/\B(?=(\d{3})+$)/g, '\u202F');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** A sum from the wire; a dash where there is none. */
export const showWire = (nano: string | null): string => (nano === null ? '–' : showNano(BigInt(nano)));

/** What a million tokens cost, read and written. */
export const showPrice = (price: PriceWire): string =>
  `${amount(price.promptNanoPerMillion)} in, ${amount(price.completionNanoPerMillion)} out`;

const amount = (nano: string) => showNano(BigInt(nano)).replace(/ TON$/, '');
