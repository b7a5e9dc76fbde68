/**
 * What is checked of an offered job before anything of it is opened, in the order of docs/private-tier.md. The header comes
 * from the coordinator, so nothing of it is believed: what it says is bound to the body by the keys, and compared here.
 */
import { costOf, priceFromWire, type PriceWire } from '@tussah/protocol/money';
import type { SealedHeader, SuiteName } from '@tussah/protocol/private/header';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { RefusalCode } from '@tussah/protocol/private/statements';
import type { SeenIds } from './seen-ids.ts';

/** What the node sells at the moment. */
export interface Stand {
  readonly nowMs: number;
  /** Names of the bundles whose keys are there, with their ends. */
  readonly epochs: ReadonlyMap<string, { readonly notAfterMs: number }>;
  readonly suite: SuiteName;
  readonly model: string;
  readonly modelDigest: string;
  readonly price: PriceWire;
  /** Ids of the jobs that run. */
  readonly running: { readonly size: number; has(jobId: string): boolean };
  readonly concurrency: number;
  readonly draining: boolean;
}

/** Undefined when it may be opened; it is then remembered as seen. */
export function checkOffer(
  header: SealedHeader,
  candidate: number,
  seen: SeenIds,
  stand: Stand,
): RefusalCode | undefined {
  const { nowMs } = stand;
  const epoch = stand.epochs.get(header.candidates[candidate] ?? '');
  if (epoch === undefined || epoch.notAfterMs <= nowMs) return 'key_rotated';
  if (header.notAfterMs <= nowMs) return 'expired';
  if (header.notAfterMs > nowMs + privateLimits.headerAheadMs) return 'too_far_ahead';
  if (seen.has(header.jobId) || stand.running.has(header.jobId)) return 'replayed';
  if (!isOurs(header, stand)) return 'header_mismatch';
  if (stand.draining) return 'draining';
  if (stand.running.size >= stand.concurrency) return 'busy';
  return seen.add(header.jobId, nowMs) ? undefined : 'busy';
}

/** The price: what the bounds cost here is not more than what the client gives at most. */
function isOurs(header: SealedHeader, { suite, model, modelDigest, price }: Stand): boolean {
  const most = costOf(priceFromWire(price), header.maxPromptTokens, header.maxTokens);
  return (
    header.suite === suite &&
    header.model === model &&
    header.modelDigest === modelDigest &&
    most <= BigInt(header.maxPriceNano)
  );
}
