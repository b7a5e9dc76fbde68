/** What the network looks like from outside, counted from the state. */
import type { EngineName } from '@tussah/protocol/engine-profile';
import { priceToWire, type Price } from '@tussah/protocol/money';
import type { Network } from '@tussah/protocol/network';
import { today } from './guests.ts';
import { ledgerAccounts } from './ledger.ts';
import { nodesByModel } from './private/views.ts';
import type { Pool, State } from './state.ts';

export function networkOf(state: State, atMs: number): Network {
  const models = [...state.pools.values()].map((pool) => modelOf(state, pool, atMs));
  return {
    atMs,
    coordinator: state.coordinator,
    tiers: state.config.privateTier ? ['public', 'private'] : ['public'],
    ...(state.config.privateTier ? { nodes: nodesByModel(state.private) } : {}),
    contributors: state.contributors.size,
    running: models.reduce((sum, model) => sum + model.running, 0),
    queued: models.reduce((sum, model) => sum + model.queued, 0),
    answered: state.answered,
    completionTokens: state.completionTokens,
    guests: guestsOf(state, atMs),
    models,
  };
}

function modelOf(state: State, pool: Pool, atMs: number): Network['models'][number] {
  const engines = new Set<EngineName>();
  const speeds: number[] = [];
  let idle = 0;
  let price: Price | null = null;
  for (const contributor of pool.holders) {
    const ready =
      contributor.connectionId !== null && contributor.state === 'ready' && contributor.restUntilMs <= atMs;
    if (ready && contributor.jobId === null) idle += 1;
    if (contributor.record.tokensPerSecond !== null) speeds.push(contributor.record.tokensPerSecond);
    for (const build of contributor.builds) {
      if (build.model !== pool.model.id) continue;
      engines.add(build.profile.engine);
      if (ready && (price === null || build.ask.completionNanoPerMillion < price.completionNanoPerMillion))
        price = build.ask;
    }
  }
  return {
    id: pool.model.id,
    contributors: pool.holders.size,
    idle,
    queued: pool.queue.size,
    running: pool.running,
    tokensPerSecond: median(speeds),
    price: price === null ? null : priceToWire(price),
    engines: [...engines],
  };
}

function guestsOf(state: State, atMs: number): Network['guests'] {
  const caps = state.config.guests;
  if (caps === null) return { accepted: false, remainingNano: '0' };
  const funded =
    (state.balances.get(ledgerAccounts.guests) ?? 0n) - (state.reserved.get(ledgerAccounts.guests) ?? 0n);
  const allowed = caps.totalDailyNano - today(state, atMs).spentNano;
  const remaining = funded < allowed ? funded : allowed;
  return { accepted: remaining > 0n, remainingNano: (remaining > 0n ? remaining : 0n).toString() };
}

function median(values: number[]): number | null {
  const sorted = values.sort((a, b) => a - b);
  const middle = sorted[sorted.length >> 1];
  return middle === undefined ? null : Math.round(middle * 100) / 100;
}
