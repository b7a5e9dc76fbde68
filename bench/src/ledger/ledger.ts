/**
 * CPU of a durable settlement through the store (its rules, receipts as text, balances, group commit, promises) against the
 * raw grouped insert of the same rows, in the same run and in groups of the same size.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Settlement } from '@tussah/coordinator/shell/store/port';
import { openSqliteStore } from '@tussah/coordinator/shell/store/sqlite-store';
import {
  credit,
  namedIdentity,
  post,
  settle,
  settlementOf,
} from '@tussah/coordinator/shell/store/store-fixture';
import { unsignedReceipt } from '@tussah/protocol/receipt-fixture';
import { median, metric, type Bench } from '../harness.ts';
import { openRawTables, rowsOf } from './raw-insert.ts';

const GROUP = 32;
const GROUPS = 100;
const ROUNDS = 9;
/** Settlements of a live network touch the balances of many clients and contributors. */
const CLIENTS = 16;
const CONTRIBUTORS = 64;
const TOKENS = 64;
const RATIO_MAX = 1.6;

const coordinator = namedIdentity(1);
const contributors = Array.from({ length: CONTRIBUTORS }, (_, i) => namedIdentity(100 + i));
const payers = Array.from({ length: CLIENTS }, (_, i) => `acct_${String(i).padStart(24, '0')}`);

/** Groups of settlements, each of another client and contributor than the one before it. */
function newGroups(): Settlement[][] {
  let n = 0;
  const one = (): Settlement => {
    const contributor = contributors[n % CONTRIBUTORS] ?? coordinator;
    const payer = payers[n++ % CLIENTS] ?? '';
    const segments = [{ contributor, tokens: TOKENS, promptTokens: 36 }];
    return settlementOf(unsignedReceipt({ coordinator, payer, segments, createdAtMs: Date.now() }));
  };
  return Array.from({ length: GROUPS }, () => Array.from({ length: GROUP }, one));
}

/** CPU of this process, all its threads, in microseconds a settlement. */
async function cpuOf(work: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (GROUPS * GROUP);
}

export const ledger: Bench = {
  summary: 'CPU of a durable settlement against the raw insert of its rows',
  async run(say) {
    const folder = mkdtempSync(join(tmpdir(), 'tussah-bench-'));
    const store = openSqliteStore(join(folder, 'store.sqlite'));
    const raw = openRawTables(join(folder, 'raw.sqlite'));
    try {
      const wealth = 10n ** 15n;
      const balances = new Map(payers.map((payer) => [`client:${payer}`, wealth]));
      for (const payer of payers)
        await store.write(post(credit(wealth, `credit:${payer}`, `client:${payer}`)));
      const rawRound = () => {
        const rows = newGroups().map((group) => group.map((one) => rowsOf(one, balances)));
        return cpuOf(() => rows.forEach(raw.insert));
      };
      const storeRound = () => {
        const writes = newGroups().map((group) => group.map(settle));
        return cpuOf(async () => {
          for (const group of writes) await Promise.all(group.map((write) => store.write(write)));
        });
      };
      await rawRound();
      await storeRound();
      const floors: number[] = [];
      const values: number[] = [];
      for (let round = 1; round <= ROUNDS; round++) {
        const [floor, value] = [await rawRound(), await storeRound()];
        floors.push(floor);
        values.push(value);
        say(`round ${round} of ${ROUNDS}: raw ${floor.toFixed(1)} us, through the store ${value.toFixed(1)}`);
      }
      const { answered } = await store.totals();
      if (answered !== raw.count()) throw new Error('one of the two wrote less than the other');
      const { writes, groups } = store.counts;
      const [floor, value] = [median(floors), median(values)];
      const unit = 'us CPU a settlement';
      return {
        'through the store': metric(value, unit, {
          floor,
          target: `at most ${RATIO_MAX} x the raw insert`,
          pass: value <= RATIO_MAX * floor,
        }),
        'raw insert': metric(floor, unit),
        'settlements a commit': metric(writes / groups, ''),
      };
    } finally {
      raw.close();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
