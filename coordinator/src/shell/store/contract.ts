/** What every store must do. Each implementation's test runs this suite. */
import { beforeEach, describe, expect, it } from 'vitest';
import { NANO_MAX } from '@tussah/protocol/money';
import type { Transaction } from '../../core/ledger.ts';
import type { Settlement, Store, StoreWrite } from './port.ts';
import {
  checkpointFor,
  credit,
  payer,
  post,
  privateSettlement,
  settle,
  settlement,
} from './store-fixture.ts';
import { StoreError, type StoreFault } from './store-error.ts';

const client = `client:${payer}`;
const wealth = 10n ** 12n;
const dear = { promptNanoPerMillion: '0', completionNanoPerMillion: `${10n ** 18n}` };

/** What anybody can read of a store, to see that nothing changed. */
async function snapshot(store: Store, settlements: readonly Settlement[]) {
  return {
    balances: await store.balances(),
    accounts: await store.accounts(),
    keys: await store.apiKeys(),
    totals: await store.totals(),
    receipts: await Promise.all(settlements.map(({ receipt }) => store.receipt(receipt.id))),
    contributors: await Promise.all(
      settlements.flatMap(({ contributors }) => contributors.map((c) => store.contributor(c.publicKey))),
    ),
    idempotency: await Promise.all(
      settlements.map(({ idempotency }) => store.idempotency(payer, idempotency?.key ?? '')),
    ),
  };
}

const refused = (write: Promise<unknown>, fault: StoreFault) =>
  expect(write).rejects.toSatisfy((error) => {
    expect(error).toBeInstanceOf(StoreError);
    expect((error as StoreError).fault).toBe(fault);
    expect((error as StoreError).remedy).not.toBe('');
    return true;
  });

export function storeContract(name: string, open: () => Store): void {
  describe(`${name}, as every store`, () => {
    let store: Store;
    beforeEach(async () => {
      store = open();
      await store.write(post(credit(wealth)));
      return () => store.close();
    });

    it('is empty at first', async () => {
      const fresh = open();
      expect([...(await fresh.balances())]).toEqual([]);
      expect(await fresh.totals()).toEqual({ answered: 0, completionTokens: 0 });
      expect(await fresh.receipt('rcp_none')).toBeUndefined();
      expect(await fresh.contributor('none')).toBeUndefined();
      expect(await fresh.idempotency('acct', 'none')).toBeUndefined();
      await fresh.close();
    });

    it('settles a job: receipt, money, contributor, idempotency and totals', async () => {
      const job = settlement('once');
      await store.write(settle(job));
      const { receipt } = job;
      expect(await store.receipt(receipt.id)).toEqual(receipt);
      const charged = BigInt(receipt.chargedNano);
      expect(Object.fromEntries(await store.balances())).toEqual({
        'world:development': -wealth,
        [client]: wealth - charged,
        'operator:fees': BigInt(receipt.networkFeeNano),
        [`contributor:${receipt.segments[0]?.contributor}`]: BigInt(receipt.segments[0]?.payNano ?? 0),
      });
      expect(await store.contributor(job.contributors[0]?.publicKey ?? '')).toEqual(job.contributors[0]);
      expect(await store.idempotency(payer, 'once')).toEqual(job.idempotency);
      expect(await store.totals()).toEqual({ answered: 1, completionTokens: 64 });
    });

    it('keeps a receipt that charges nothing, without a transaction', async () => {
      const free = settlement(null, [{ tokens: 3, billedTokens: 0, end: 'refused' }]);
      expect(free.transaction).toBeNull();
      await store.write(settle(free));
      expect(await store.receipt(free.receipt.id)).toEqual(free.receipt);
      expect((await store.balances()).get(client)).toBe(wealth);
    });

    it('does not change anything when the same settlement comes again, even with older records', async () => {
      const [first, second] = [settlement('a'), settlement('b')];
      await store.write(settle(first));
      await store.write(settle({ ...second, contributors: first.contributors.map(aged) }));
      const before = await snapshot(store, [first, second]);
      await store.write(settle(first));
      expect(await snapshot(store, [first, second])).toEqual(before);
    });

    it('does not change anything when the same credit comes again, whenever it comes', async () => {
      expect(await store.write(post({ ...credit(wealth), atMs: 99 }))).toBe('known');
      expect((await store.balances()).get(client)).toBe(wealth);
    });

    it('refuses other content under a name that is taken', async () => {
      const job = settlement('once');
      await store.write(settle(job));
      const other = settlement('once');
      const before = await snapshot(store, [job, other]);
      await refused(store.write(post(credit(wealth + 1n))), 'conflict');
      await refused(store.write(settle({ ...job, receipt: { ...job.receipt, model: 'other' } })), 'conflict');
      const dearer = job.transaction?.entries.map((e) => ({ ...e, amountNano: e.amountNano * 2n })) ?? [];
      const changed = { ...job.transaction, entries: dearer } as Transaction;
      await refused(store.write(settle({ ...job, transaction: changed })), 'conflict');
      // The same idempotency key, and the same job under another receipt's id.
      await refused(store.write(settle(other)), 'conflict');
      const again = settlement();
      const receipt = { ...again.receipt, jobId: job.receipt.jobId };
      const transaction = { ...again.transaction, key: `job:${receipt.jobId}` } as Transaction;
      await refused(store.write(settle({ ...again, receipt, transaction })), 'conflict');
      expect(await snapshot(store, [job, other])).toEqual(before);
    });

    it.each<[string, StoreFault, Partial<Transaction>]>([
      ['unbalanced', 'unbalanced', { entries: entriesOf(-5n, 6n) }],
      ['empty', 'empty', { entries: [] }],
      ['one-sided', 'empty', { entries: entriesOf(5n) }],
      ['zero', 'zero-entry', { entries: entriesOf(0n, 0n) }],
      ['overdrawing', 'overdrawn', { entries: entriesOf(-wealth - 1n, wealth + 1n) }],
      ['a repeated account', 'repeated-account', { entries: [...entriesOf(-5n), ...entriesOf(5n)] }],
      ['beyond all money', 'out-of-range', { entries: [...worldOf(-NANO_MAX - 1n, NANO_MAX + 1n)] }],
      ['adding up beyond all money', 'out-of-range', { entries: worldOf(-NANO_MAX, NANO_MAX) }],
      ['a job without its receipt', 'mismatched', { kind: 'job', receiptId: 'rcp_1' }],
      ['a credit with a receipt', 'mismatched', { receiptId: 'rcp_1' }],
      ['a credit with the key of a job', 'mismatched', { key: 'job:job_1' }],
    ])('refuses a transaction that is %s', async (_, fault, change) => {
      const before = await snapshot(store, []);
      await refused(store.write(post({ ...credit(5n, 'other'), ...change })), fault);
      expect(await snapshot(store, [])).toEqual(before);
    });

    it('lets an account be emptied, but not by one nano more', async () => {
      await store.write(post({ ...credit(1n, 'all'), entries: entriesOf(-wealth, wealth) }));
      expect((await store.balances()).get(client)).toBe(0n);
      await refused(store.write(post({ ...credit(1n, 'more'), entries: entriesOf(-1n, 1n) })), 'overdrawn');
    });

    it.each<[string, (job: Settlement) => Settlement]>([
      ['another receipt', (job) => ({ ...job, transaction: change(job, { receiptId: 'rcp_other' }) })],
      ['another key', (job) => ({ ...job, transaction: change(job, { key: 'job:other' }) })],
      ['another kind', (job) => ({ ...job, transaction: change(job, { kind: 'credit' }) })],
      ['no transaction for a charge', (job) => ({ ...job, transaction: null })],
      ['a charge of nothing', (job) => ({ ...job, receipt: { ...job.receipt, chargedNano: '0' } })],
      [
        'idempotency of another job',
        (job) => ({ ...job, idempotency: job.idempotency && { ...job.idempotency, jobId: 'job_other' } }),
      ],
    ])('refuses a settlement whose parts are of different jobs: %s', async (_, change) => {
      const job = settlement('once');
      const before = await snapshot(store, [job]);
      await refused(store.write(settle(change(job))), 'mismatched');
      expect(await snapshot(store, [job])).toEqual(before);
    });

    it('leaves nothing of a settlement of which one part is refused', async () => {
      await store.write(settle(settlement('taken')));
      const parts = [settlement('taken'), settlement('free', [{ price: dear }])];
      const before = await snapshot(store, parts);
      for (const part of parts) await expect(store.write(settle(part))).rejects.toThrow(StoreError);
      expect(await snapshot(store, parts)).toEqual(before);
    });

    it('commits the others of a group in order when one is refused', async () => {
      const jobs = Array.from({ length: 20 }, () => settlement());
      const outcomes = await Promise.allSettled([
        ...jobs.slice(0, 10).map((job) => store.write(settle(job))),
        store.write(post({ ...credit(5n, 'bad'), entries: entriesOf(-5n, 6n) })),
        ...jobs.slice(10).map((job) => store.write(settle(job))),
      ]);
      expect(outcomes.map(({ status }) => status === 'rejected')).toEqual(
        Array.from({ length: 21 }, (_, i) => i === 10),
      );
      const found = await Promise.all(jobs.map(({ receipt }) => store.receipt(receipt.id)));
      expect(found).toEqual(jobs.map(({ receipt }) => receipt));
    });

    it('spends what an earlier write of the same group brought, and no more', async () => {
      const outcomes = await Promise.allSettled([
        store.write(post(credit(7n, 'in', 'client:b'))),
        store.write(post({ ...credit(1n, 'out-1'), entries: entriesOf(-7n, 7n, 'client:b') })),
        store.write(post({ ...credit(1n, 'out-2'), entries: entriesOf(-1n, 1n, 'client:b') })),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
      expect((await store.balances()).get('client:b')).toBe(0n);
    });

    it('keeps accounts and their keys, and revokes keys once', async () => {
      const account = { id: payer, name: 'Ada', weight: 3, createdAtMs: 5 };
      const apiKey = {
        id: 'key_1',
        hash: 'ab'.repeat(32),
        accountId: payer,
        createdAtMs: 6,
        revokedAtMs: null,
      };
      await refused(store.write({ kind: 'api-key', apiKey }), 'unknown-account');
      await store.write({ kind: 'account', account });
      await store.write({ kind: 'account', account: { ...account, createdAtMs: 6 } });
      await store.write({ kind: 'api-key', apiKey });
      await store.write({ kind: 'api-key', apiKey });
      await refused(store.write({ kind: 'account', account: { ...account, weight: 4 } }), 'conflict');
      await refused(
        store.write({ kind: 'account', account: { ...account, id: 'acct_2', weight: 0 } }),
        'invalid',
      );
      await refused(store.write({ kind: 'api-key', apiKey: { ...apiKey, hash: 'cd' } }), 'conflict');
      await refused(store.write({ kind: 'api-key', apiKey: { ...apiKey, id: 'key_2' } }), 'conflict');
      await refused(store.write({ kind: 'revoke-key', keyId: 'key_2', atMs: 7 }), 'unknown-key');
      await store.write({ kind: 'revoke-key', keyId: 'key_1', atMs: 7 });
      await store.write({ kind: 'revoke-key', keyId: 'key_1', atMs: 8 });
      // Written again, a revoked key stays revoked.
      await store.write({ kind: 'api-key', apiKey });
      expect(await store.accounts()).toEqual([account]);
      expect(await store.apiKeys()).toEqual([{ ...apiKey, revokedAtMs: 7 }]);
    });

    it('keeps the last checkpoint of each job, to the last amount and undefined field', async () => {
      const [a, b] = ['a', 'b'].map((letter) => `job_${letter.repeat(24)}`) as [string, string];
      const last = checkpointFor(a, { open: null, submittedAtMs: 6 });
      await store.write({ kind: 'checkpoint', checkpoint: checkpointFor(b) });
      expect(await store.write({ kind: 'checkpoint', checkpoint: checkpointFor(a) })).toBe('written');
      expect(await store.write({ kind: 'checkpoint', checkpoint: last })).toBe('written');
      expect(await store.checkpoints()).toEqual({ checkpoints: [last, checkpointFor(b)], unreadable: [] });
    });

    it('forgets a checkpoint when it is told to, and when the job is settled', async () => {
      const [job, other] = [settlement('once'), `job_${'x'.repeat(24)}`];
      for (const id of [job.receipt.jobId, other])
        await store.write({ kind: 'checkpoint', checkpoint: checkpointFor(id) });
      await store.write(settle(job));
      expect((await store.checkpoints()).checkpoints.map(({ request }) => request.id)).toEqual([other]);
      expect(await store.write({ kind: 'forget-checkpoint', jobId: other })).toBe('written');
      expect(await store.write({ kind: 'forget-checkpoint', jobId: other })).toBe('known');
      expect((await store.checkpoints()).checkpoints).toEqual([]);
    });

    it('writes nothing down of a job that is settled', async () => {
      const job = settlement();
      const checkpoint = checkpointFor(job.receipt.jobId);
      const outcomes = await Promise.all([
        store.write({ kind: 'checkpoint', checkpoint }),
        store.write(settle(job)),
        store.write({ kind: 'checkpoint', checkpoint }),
      ]);
      expect(outcomes).toEqual(['written', 'written', 'known']);
      expect((await store.checkpoints()).checkpoints).toEqual([]);
    });

    it('keeps the checkpoint of a job whose settlement is refused', async () => {
      await store.write(settle(settlement('taken')));
      const job = settlement('taken');
      await store.write({ kind: 'checkpoint', checkpoint: checkpointFor(job.receipt.jobId) });
      await refused(store.write(settle(job)), 'conflict');
      expect((await store.checkpoints()).checkpoints).toHaveLength(1);
    });

    it('finds a receipt by its job', async () => {
      const jobs = [settlement(), settlement()];
      for (const job of jobs) await store.write(settle(job));
      for (const { receipt } of jobs) expect(await store.receiptOfJob(receipt.jobId)).toEqual(receipt);
      expect(await store.receiptOfJob('job_none')).toBeUndefined();
    });

    it('settles a private job like any other, once', async () => {
      const job = privateSettlement();
      const { jobId, identity } = job.receipt.node.receipt;
      expect(await store.write(settle(job))).toBe('written');
      expect(await store.write(settle(job))).toBe('known');
      expect(await store.receipt(job.receipt.id)).toEqual(job.receipt);
      expect(await store.receiptOfJob(jobId)).toEqual(job.receipt);
      expect(Object.fromEntries(await store.balances())).toEqual({
        'world:development': -wealth,
        [client]: wealth - 20n,
        'operator:fees': 1n,
        [`contributor:${identity}`]: 19n,
      });
      expect(await store.totals()).toEqual({ answered: 1, completionTokens: 5 });
      const other = privateSettlement();
      const { node } = job.receipt;
      await refused(store.write(settle(privateSettlement({ node }))), 'conflict');
      await refused(
        store.write(settle({ ...other, transaction: change(other, { key: 'job:other' }) })),
        'mismatched',
      );
      await refused(store.write(settle({ ...other, transaction: null })), 'mismatched');
    });

    it('keeps the directory in order: appends at its end, changes nothing, leaves no gap', async () => {
      const entry = (index: number, text = `{"n":${index}}`): StoreWrite => ({
        kind: 'directory-entry',
        index,
        entry: text,
      });
      expect(await store.directoryEntries(0, 10)).toEqual([]);
      await refused(store.write(entry(1)), 'invalid');
      const outcomes = await Promise.all([0, 1, 2].map((index) => store.write(entry(index))));
      expect(outcomes).toEqual(['written', 'written', 'written']);
      expect(await store.write(entry(1))).toBe('known');
      await refused(store.write(entry(1, 'other')), 'conflict');
      await refused(store.write(entry(4)), 'invalid');
      expect(await store.directoryEntries(0, 10)).toEqual(['{"n":0}', '{"n":1}', '{"n":2}']);
      expect(await store.directoryEntries(1, 2)).toEqual(['{"n":1}']);
    });

    it('finishes what was written before it closes, and refuses what comes later', async () => {
      const closing = open();
      const written = closing.write(post(credit(5n)));
      await closing.close();
      await expect(written).resolves.toBe('written');
      await refused(closing.write(post(credit(5n, 'late'))), 'closed');
      await expect(closing.balances()).rejects.toThrow(StoreError);
      await closing.close();
    });
  });
}

function entriesOf(payerNano: bigint, otherNano?: bigint, account = client) {
  const first = { account, amountNano: payerNano };
  return otherNano === undefined ? [first] : [first, { account: 'client:other', amountNano: otherNano }];
}

const worldOf = (worldNano: bigint, nano: bigint) => [
  { account: 'world:development', amountNano: worldNano },
  { account: client, amountNano: nano },
];

const change = (job: Settlement, part: Partial<Transaction>) =>
  ({ ...job.transaction, ...part }) as Transaction;

const aged = (record: Settlement['contributors'][number]) => ({ ...record, jobsDone: record.jobsDone + 9 });
