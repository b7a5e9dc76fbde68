/**
 * The simulated durable store: one queue of writes, committed in groups. What was committed survives a crash; of the group
 * under way the seed decides; the rest is gone. It keeps the rules of the real one, and complains where the core breaks them.
 */
import type { Receipt } from '@tussah/protocol/receipts';
import { apply, faultOf, ledgerAccounts, type Transaction } from '../core/ledger.ts';
import type { ContributorStats } from '../core/contributor-stats.ts';
import type { JobCheckpoint, SettlementDraft } from '../core/state.ts';
import type { Agenda } from './agenda.ts';
import type { Random } from './random.ts';
import type { Weather } from './weather.ts';

export type Write =
  | { readonly kind: 'settlement'; readonly draft: SettlementDraft; readonly receipt: Receipt }
  | { readonly kind: 'credit'; readonly transaction: Transaction }
  | { readonly kind: 'checkpoint'; readonly checkpoint: JobCheckpoint }
  | { readonly kind: 'forget-checkpoint'; readonly jobId: string };

interface Pending {
  readonly write: Write;
  readonly settle: (durable: boolean) => void;
}

/** Writes that one commit holds at most, as in the real store. */
const GROUP = 32;

export class Books {
  readonly balances = new Map<string, bigint>();
  readonly receipts = new Map<string, Receipt>();
  readonly checkpoints = new Map<string, JobCheckpoint>();
  readonly records = new Map<string, ContributorStats>();
  /** Parts of guests' answers that were paid for. */
  guestParts = 0;
  #queue: Pending[] = [];
  #group: Pending[] = [];
  #unacknowledged = 0;
  /** Raised by a crash: what was under way is nobody's any more. */
  #life = 0;
  readonly #agenda: Agenda;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #complain: (fault: string) => never;

  constructor(agenda: Agenda, random: Random, weather: Weather, complain: (fault: string) => never) {
    this.#agenda = agenda;
    this.#random = random;
    this.#weather = weather;
    this.#complain = complain;
  }

  /** Money from outside, before anything begins. */
  fund(account: string, nano: bigint): void {
    this.balances.set(account, nano);
    const world = this.balances.get(ledgerAccounts.development) ?? 0n;
    this.balances.set(ledgerAccounts.development, world - nano);
  }

  /** `settle` is told once the write is durable, or was refused; never after a crash. */
  write(write: Write, settle: (durable: boolean) => void): void {
    this.#queue.push({ write, settle });
    if (this.#group.length === 0) this.#commitSoon();
  }

  /** Whether everything written has been acknowledged. */
  get idle(): boolean {
    return this.#queue.length === 0 && this.#group.length === 0 && this.#unacknowledged === 0;
  }

  /** The process is gone: the group under way may have been committed. */
  crash(): void {
    this.#life += 1;
    if (this.#random.chance(0.5)) for (const { write } of this.#group) this.#perform(write);
    this.#group = [];
    this.#queue = [];
    this.#unacknowledged = 0;
  }

  #commitSoon(): void {
    if (this.#queue.length === 0) return;
    this.#group = this.#queue.splice(0, GROUP);
    const life = this.#life;
    const slow = this.#random.chance(this.#weather.slowCommitRate) ? this.#random.between(500, 8_000) : 0;
    this.#agenda.after(this.#random.around(this.#weather.storeDelayMs) + slow, () => {
      if (life !== this.#life) return;
      const done = this.#group.map(({ write, settle }) => ({ settle, durable: this.#perform(write) }));
      this.#group = [];
      this.#unacknowledged += done.length;
      // Between the commit and its acknowledgement there is time for a crash, too.
      this.#agenda.after(this.#random.around(this.#weather.storeDelayMs / 4), () => {
        if (life !== this.#life) return;
        for (const { settle, durable } of done) {
          if (life !== this.#life) return;
          this.#unacknowledged -= 1;
          settle(durable);
        }
      });
      this.#commitSoon();
    });
  }

  #perform(write: Write): boolean {
    switch (write.kind) {
      case 'settlement':
        if (this.#random.chance(this.#weather.settlementFailRate)) return false;
        this.#settle(write.draft, write.receipt);
        return true;
      case 'credit':
        apply(this.balances, write.transaction);
        return true;
      case 'checkpoint':
        if (this.#random.chance(this.#weather.checkpointLossRate)) return false;
        // Behind its settlement it would bring the job back.
        if (!this.receipts.has(write.checkpoint.request.id))
          this.checkpoints.set(write.checkpoint.request.id, write.checkpoint);
        return true;
      case 'forget-checkpoint':
        this.checkpoints.delete(write.jobId);
        return true;
      default:
        return write satisfies never;
    }
  }

  #settle({ jobId, transaction, records }: SettlementDraft, receipt: Receipt): void {
    if (this.receipts.has(jobId)) this.#complain(`job ${jobId} is settled twice`);
    if (transaction !== null) {
      const fault = faultOf(this.balances, transaction);
      if (fault !== undefined) this.#complain(`the transaction of job ${jobId} is ${fault}`);
      apply(this.balances, transaction);
    }
    this.receipts.set(jobId, receipt);
    this.checkpoints.delete(jobId);
    if (receipt.payer === 'guest') this.guestParts += receipt.segments.length;
    for (const { publicKey, stats } of records) this.records.set(publicKey, stats);
  }
}
