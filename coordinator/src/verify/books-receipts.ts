/** The receipts: each valid by itself, and the money moved exactly as it says. */
import type { Database } from 'better-sqlite3';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import type { Receipt } from '@tussah/protocol/receipts';
import { verifyEitherReceipt } from './either-receipt.ts';
import { FaultLog, type Check } from './verdict.ts';

/** Receipts checked at the same time: signatures are verified on other threads. */
const AT_ONCE = 32;
/** A receipt of 64 segments has about 64 KiB. */
const BODY_MAX_BYTES = 1_048_576;

interface ReceiptRow {
  readonly id: string;
  readonly job_id: string;
  readonly created_at_ms: bigint;
  readonly bytes: bigint;
  readonly body: string | null;
  readonly transaction_id: bigint | null;
  readonly key: string | null;
}

/** Checks all receipts with their transactions. `coordinator`: the key all must be signed by; else the first one's. */
export async function checkReceipts(db: Database, coordinator?: string): Promise<Check[]> {
  const books = new ReceiptBooks(db, coordinator);
  const rows = db.prepare<[number], ReceiptRow>(
    `SELECT r.id, r.job_id, r.created_at_ms, octet_length(r.body) AS bytes,
       CASE WHEN octet_length(r.body) <= ? THEN r.body END AS body, t.id AS transaction_id, t.key
     FROM receipts r LEFT JOIN transactions t ON t.receipt_id = r.id ORDER BY r.rowid`,
  );
  let batch: Promise<void>[] = [];
  try {
    for (const row of rows.iterate(BODY_MAX_BYTES)) {
      batch.push(books.check(row));
      if (batch.length < AT_ONCE) continue;
      await Promise.all(batch);
      batch = [];
    }
  } finally {
    // Also when a row can't be read: nothing may use the database after it is closed.
    await Promise.all(batch);
  }
  return books.checks();
}

class ReceiptBooks {
  readonly #db: Database;
  readonly #entries;
  readonly #receipts = new FaultLog();
  readonly #charges = new FaultLog();
  #coordinator: string | undefined;
  #count = 0;
  #charged = 0n;
  #answered = 0n;
  #completionTokens = 0n;

  constructor(db: Database, coordinator: string | undefined) {
    this.#db = db;
    this.#coordinator = coordinator;
    this.#entries = db.prepare<[bigint], { account: string; nano: bigint }>(
      'SELECT account, nano FROM entries WHERE transaction_id = ?',
    );
  }

  /** Never rejects: what goes wrong with a row is a fault of the row. */
  async check(row: ReceiptRow): Promise<void> {
    this.#count += 1;
    try {
      await this.#check(row);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#receipts.add('receipts', row.id, `could not be checked: ${problem}`);
    }
  }

  async #check(row: ReceiptRow): Promise<void> {
    const body = parse(row.body);
    if (body === undefined) {
      this.#receipts.add('receipts', row.id, `its body of ${row.bytes} bytes is not a receipt`);
      return;
    }
    this.#coordinator ??= body.coordinator;
    const { checks } = await verifyEitherReceipt(body, this.#coordinator);
    const bad = checks.filter((check) => !check.ok);
    for (const { name, detail } of bad) this.#receipts.add('receipts', row.id, `${name}: ${detail}`);
    // What hasn't the shape of a receipt has nothing to compare.
    if (bad.some((check) => check.name === 'shape')) return;
    const receipt = bookedOf(body);
    this.#checkColumns(row, receipt);
    this.#checkCharge(row, receipt);
    this.#answered += receipt.outcome === 'complete' ? 1n : 0n;
    this.#completionTokens += BigInt(receipt.completionTokens);
  }

  #checkColumns(row: ReceiptRow, receipt: Booked): void {
    const wrong = (column: string, body: unknown) =>
      this.#receipts.add('receipts', row.id, `${column} differs from the body's ${String(body)}`);
    if (row.id !== receipt.id) wrong('id', receipt.id);
    if (row.job_id !== receipt.jobId) wrong('job_id', receipt.jobId);
    if (row.created_at_ms !== BigInt(receipt.createdAtMs)) wrong('created_at_ms', receipt.createdAtMs);
  }

  #checkCharge(row: ReceiptRow, receipt: Booked): void {
    const charged = BigInt(receipt.chargedNano);
    this.#charged += charged;
    if (row.transaction_id === null) {
      if (charged !== 0n)
        this.#charges.add('receipts', row.id, `charges ${charged}, but there is no transaction`);
      return;
    }
    if (charged === 0n)
      this.#charges.add('transactions', row.key, `moves money for ${row.id}, which charges none`);
    if (row.key !== `job:${receipt.jobId}`)
      this.#charges.add('transactions', row.key, `is not named after job ${receipt.jobId}`);
    const expected = movementsOf(receipt);
    for (const { account, nano } of this.#entries.iterate(row.transaction_id)) {
      const due = expected.get(account) ?? 0n;
      if (nano !== due)
        this.#charges.add('entries', `${row.key} ${account}`, `is ${nano}, by the receipt ${due}`);
      expected.delete(account);
    }
    for (const [account, due] of expected)
      this.#charges.add('entries', `${row.key} ${account}`, `is missing, by the receipt ${due}`);
  }

  checks(): Check[] {
    const totals = new FaultLog();
    const rows = this.#db
      .prepare<[], { answered: bigint; completion_tokens: bigint }>(
        'SELECT answered, completion_tokens FROM totals',
      )
      .all();
    if (rows.length !== 1) totals.add('totals', 'all', `${rows.length} rows, not one`);
    for (const row of rows) {
      if (row.answered !== this.#answered)
        totals.add('totals', 'answered', `is ${row.answered}, by the receipts ${this.#answered}`);
      if (row.completion_tokens !== this.#completionTokens)
        totals.add(
          'totals',
          'completion_tokens',
          `is ${row.completion_tokens}, by the receipts ${this.#completionTokens}`,
        );
    }
    const signer = this.#coordinator === undefined ? '' : ` signed by ${this.#coordinator}`;
    return [
      this.#receipts.check('receipts', `${this.#count} receipts${signer}`),
      this.#charges.check('charges', `${this.#charged} nanoTON charged as the receipts say`),
      totals.check('totals', `${this.#answered} answers, ${this.#completionTokens} completion tokens`),
    ];
  }
}

/** What the books have to say of a receipt of either tier. */
interface Booked {
  readonly id: string;
  readonly jobId: string;
  readonly createdAtMs: number;
  readonly outcome: string;
  readonly completionTokens: number;
  readonly payer: string;
  readonly chargedNano: string;
  readonly networkFeeNano: string;
  readonly paid: readonly { readonly contributor: string; readonly payNano: string }[];
}

function bookedOf(receipt: Receipt | PrivateReceipt): Booked {
  const { id, createdAtMs, payer, chargedNano, networkFeeNano } = receipt;
  const common = { id, createdAtMs, payer, chargedNano, networkFeeNano };
  if ('node' in receipt) {
    const { jobId, outcome, completionTokens, identity } = receipt.node.receipt;
    const paid = [{ contributor: identity, payNano: receipt.payNano }];
    return { ...common, jobId, outcome, completionTokens, paid };
  }
  const { jobId, outcome, usage, segments } = receipt;
  return { ...common, jobId, outcome, completionTokens: usage.completionTokens, paid: segments };
}

function parse(body: string | null): Receipt | PrivateReceipt | undefined {
  try {
    const value: unknown = JSON.parse(body ?? '');
    // Its shape is checked by verifyReceipt before anything in it is used.
    return typeof value === 'object' && value !== null ? (value as Receipt | PrivateReceipt) : undefined;
  } catch {
    return undefined;
  }
}

/** What each account gets by the receipt: the payer pays, contributors and the network get; nothing is left out. */
function movementsOf(receipt: Booked): Map<string, bigint> {
  const movements = new Map<string, bigint>();
  const move = (account: string, nano: bigint) =>
    movements.set(account, (movements.get(account) ?? 0n) + nano);
  move(payerAccount(receipt.payer), -BigInt(receipt.chargedNano));
  move('operator:fees', BigInt(receipt.networkFeeNano));
  for (const { contributor, payNano } of receipt.paid) move(`contributor:${contributor}`, BigInt(payNano));
  for (const [account, nano] of movements) if (nano === 0n) movements.delete(account);
  return movements;
}

/** Accounts pay for themselves; guests, who have none, are paid for by the operator. */
const payerAccount = (payer: string) => (payer.startsWith('acct_') ? `client:${payer}` : 'operator:guests');
