/** Guests are paid for from the operator's prefunded account, within caps that start anew each day (UTC). */
import { fail, failure, ok, type ErrorCode, type Result } from '@tussah/protocol/errors';
import { costOf, type Nano } from '@tussah/protocol/money';
import { ledgerAccounts } from './ledger.ts';
import type { Contributor, GuestDay, HeldBuild, Job, JobRequest, State } from './state.ts';

const DAY_MS = 86_400_000;

/** The counters of today; yesterday's are dropped. */
export function today(state: State, atMs: number): GuestDay {
  const day = Math.floor(atMs / DAY_MS);
  const { guests } = state;
  if (guests.day !== day) {
    guests.day = day;
    guests.spentNano = 0n;
    guests.byNetwork.clear();
    guests.byContributor.clear();
    guests.byOwner.clear();
  }
  return guests;
}

/** Whether a guest of this network may cost `reserveNano` more today, counting what running jobs may still cost. */
export function admitGuest(
  state: State,
  atMs: number,
  network: string,
  reserveNano: Nano,
): Result<undefined, ErrorCode> {
  const caps = state.config.guests;
  if (caps === null)
    return fail(failure('invalid_api_key', 'This coordinator serves no guests; send an API key.'));
  const spent = today(state, atMs);
  const flow = state.flows.get(network);
  if ((flow?.active ?? 0) >= caps.concurrentPerNetwork) return fail(failure('rate_limited'));
  const total = spent.spentNano + (state.reserved.get(ledgerAccounts.guests) ?? 0n) + reserveNano;
  const own = (spent.byNetwork.get(network) ?? 0n) + (flow?.reservedNano ?? 0n) + reserveNano;
  if (total > caps.totalDailyNano || own > caps.perNetworkDailyNano)
    return fail(failure('guest_budget_exhausted'));
  return ok(undefined);
}

/** Whether a contributor may still earn from guests today what this job, which can pay it, may cost. */
export function guestMayUse(
  state: State,
  atMs: number,
  contributor: Contributor,
  build: HeldBuild,
  job: Job,
): boolean {
  const caps = state.config.guests;
  if (!job.request.guest || caps === null) return true;
  const spent = today(state, atMs);
  const earned = spent.byContributor.get(contributor.publicKey) ?? 0n;
  const owned = contributor.wallet === null ? 0n : (spent.byOwner.get(contributor.wallet) ?? 0n);
  const mayEarn = (cost: Nano): boolean =>
    earned + cost <= caps.perContributorDailyNano && owned + cost <= caps.perOwnerDailyNano;
  // What is reserved is at least the cost, and at hand.
  return mayEarn(job.reservedNano) || mayEarn(costOf(build.ask, job.promptTokens, job.maxTokens));
}

/** All guests together weigh in the queue as one account does, however many networks they come from. */
export const queueGroupOf = ({ guest }: JobRequest): string | undefined => (guest ? 'guests' : undefined);

/** Counts what a guest's job has cost. */
export function countGuest(
  state: State,
  atMs: number,
  network: string,
  parts: readonly {
    readonly publicKey: string;
    readonly wallet: string | null;
    readonly chargedNano: Nano;
  }[],
): void {
  const spent = today(state, atMs);
  const add = (map: Map<string, Nano>, key: string, nano: Nano) => map.set(key, (map.get(key) ?? 0n) + nano);
  for (const { publicKey, wallet, chargedNano } of parts) {
    spent.spentNano += chargedNano;
    add(spent.byNetwork, network, chargedNano);
    add(spent.byContributor, publicKey, chargedNano);
    if (wallet !== null) add(spent.byOwner, wallet, chargedNano);
  }
}
