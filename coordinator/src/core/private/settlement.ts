/** From a node's signed receipt to the coordinator's receipt and its balanced transaction, and how the books' answer ends the job. */
import { costOf, feeOf } from '@tussah/protocol/money';
import type { PrivateReceipt, PrivateReceiptBody } from '@tussah/protocol/private/private-receipt';
import { countGuest } from '../guests.ts';
import { apply, ledgerAccounts, netEntries, type Transaction } from '../ledger.ts';
import type { Turn } from '../turn.ts';
import { takesSealed } from './job-tables.ts';
import { dismissSealed, endSealed, enter, noteEnd, release } from './jobs.ts';
import type { Epoch, SealedJob, SealedSettlementDraft } from './state.ts';
import { effect, tell } from './turn.ts';

/** Writes the books by a receipt whose signature is right. */
export function settleSealed(turn: Turn, job: SealedJob): void {
  const { epoch } = job;
  if (epoch === null) throw new Error(`sealed job ${job.id} is settled without an epoch`);
  enter(turn, job, 'settling');
  job.draft = draftOf(turn, job, epoch);
  effect(turn, { type: 'settle-sealed', draft: job.draft });
  release(turn, job);
}

function draftOf(turn: Turn, job: SealedJob, epoch: Epoch): SealedSettlementDraft {
  const { state, atMs } = turn;
  const { request, receipt: node, reservedNano } = job;
  if (node === null) throw new Error(`sealed job ${job.id} is settled without a receipt`);
  const { promptTokens, completionTokens } = node.receipt;
  const cost = costOf(epoch.price, promptTokens, completionTokens);
  const chargedNano = cost < reservedNano ? cost : reservedNano;
  const { networkFeeBasisPoints } = state.config;
  const networkFeeNano = feeOf(chargedNano, networkFeeBasisPoints);
  const receipt: PrivateReceiptBody = {
    version: 1,
    id: request.receiptId,
    createdAtMs: atMs,
    tier: 'private',
    payer: request.accountId,
    node,
    receiptKey: epoch.receiptKey,
    heldNano: reservedNano.toString(),
    chargedNano: chargedNano.toString(),
    networkFeeBasisPoints,
    networkFeeNano: networkFeeNano.toString(),
    payNano: (chargedNano - networkFeeNano).toString(),
    coordinator: state.coordinator,
  };
  const { identity: publicKey, wallet, record } = epoch.operator;
  record.jobsDone += 1;
  record.tokens += completionTokens;
  return {
    jobId: job.id,
    receipt,
    transaction: chargedNano === 0n ? null : transactionOf(job, receipt),
    record: { publicKey, wallet, stats: { ...record } },
  };
}

function transactionOf({ id, request }: SealedJob, receipt: PrivateReceiptBody): Transaction {
  return {
    key: `job:${id}`,
    kind: 'job',
    atMs: receipt.createdAtMs,
    receiptId: receipt.id,
    entries: netEntries([
      { account: request.payer, amountNano: -BigInt(receipt.chargedNano) },
      { account: ledgerAccounts.networkFee, amountNano: BigInt(receipt.networkFeeNano) },
      {
        account: ledgerAccounts.contributor(receipt.node.receipt.identity),
        amountNano: BigInt(receipt.payNano),
      },
    ]),
  };
}

/** The receipt is signed and durable: money moves, and client and node may know. */
export function onSealedSettled(turn: Turn, jobId: string, receipt: PrivateReceipt): void {
  const { state } = turn;
  const job = state.private.jobs.get(jobId);
  if (!takesSealed(job, 'sealed-job-settled') || job.draft === null || job.epoch === null) return;
  const { operator, connectionId } = job.epoch;
  if (job.draft.transaction !== null) apply(state.balances, job.draft.transaction);
  const chargedNano = BigInt(receipt.chargedNano);
  const { outcome, completionTokens } = receipt.node.receipt;
  if (job.request.guest) {
    const { identity: publicKey, wallet } = operator;
    countGuest(state, turn.atMs, job.request.flow, [{ publicKey, wallet, chargedNano }]);
  }
  operator.earnedNano += BigInt(receipt.payNano);
  tell(turn, connectionId, {
    type: 'job-settled',
    jobId,
    receiptId: receipt.id,
    tokens: completionTokens,
    payNano: receipt.payNano,
    earnedNano: operator.earnedNano.toString(),
  });
  if (outcome === 'complete') state.answered += 1;
  state.completionTokens += completionTokens;
  effect(turn, { type: 'complete-sealed', jobId, receipt });
  dismissSealed(turn, job);
  noteEnd(turn, job, { outcome, code: job.abandoned, tokens: completionTokens, chargedNano });
}

export function onSealedSettlementFailed(turn: Turn, jobId: string): void {
  const job = turn.state.private.jobs.get(jobId);
  if (takesSealed(job, 'sealed-settlement-failed')) endSealed(turn, job, 'store_failed');
}
