/** What was found out about a node's words, and what it did not say in time: each may be the end of its connection. */
import { closeCodes } from '@tussah/protocol/contributor-frames';
import type { Refusal } from '../refusal.ts';
import { note, type Turn } from '../turn.ts';
import { join } from './epochs.ts';
import type { PrivateEvent } from './events.ts';
import { takesSealed } from './job-tables.ts';
import { cancel, deadlineOf, endSealed, giveUp, onRefused, schedule } from './jobs.ts';
import { nodeRefusals } from './node-refusals.ts';
import { refuseNode } from './sessions.ts';
import { settleSealed } from './settlement.ts';
import type { SealedJob } from './state.ts';

type EventOf<Type extends PrivateEvent['type']> = Extract<PrivateEvent, { type: Type }>;

const badSignature: Refusal = {
  closeCode: closeCodes.illegalFrame,
  code: 'bad_signature',
  message: "The signature is not by the receipt key of the job's bundle.",
  remedy: 'Sign refusals and receipts with the receipt key of the bundle that the job was sealed to.',
  retry: false,
};

export function onBundleChecked(turn: Turn, event: EventOf<'bundle-checked'>): void {
  const connection = turn.state.private.connections.get(event.connectionId);
  if (connection === undefined || connection.operator === null) return;
  const { operator } = connection;
  const { checked } = event;
  connection.checking = false;
  if (checked.ok) {
    const refusal = join(turn, connection, operator, checked.value, event);
    if (refusal !== undefined) refuseNode(turn, connection, refusal);
    return;
  }
  const { code, message, remedy, param } = checked.failure;
  note(turn, { kind: 'evidence-refused', identity: operator.identity, code: param ?? code });
  refuseNode(turn, connection, nodeRefusals.evidence(code, message, remedy));
}

export function onRefusalChecked(turn: Turn, event: EventOf<'refusal-checked'>): void {
  const job = turn.state.private.jobs.get(event.jobId);
  if (!takesSealed(job, 'refusal-checked')) return;
  if (event.valid) onRefused(turn, job, event.signed);
  else misbehaved(turn, job);
}

export function onNodeReceiptChecked(turn: Turn, event: EventOf<'node-receipt-checked'>): void {
  const job = turn.state.private.jobs.get(event.jobId);
  if (!takesSealed(job, 'node-receipt-checked')) return;
  if (event.valid) settleSealed(turn, job);
  else misbehaved(turn, job);
}

/** Ends a job over what its node has signed, and sends the node away. */
function misbehaved(turn: Turn, job: SealedJob): void {
  const node = turn.state.private.connections.get(job.epoch?.connectionId ?? '');
  endSealed(turn, job, 'node_misbehaved');
  if (node !== undefined) refuseNode(turn, node, badSignature);
}

/** The time set for a job has come: perhaps it has moved since, else its node has failed at what it was doing. */
export function onSealedDeadline(turn: Turn, jobId: string): void {
  const job = turn.state.private.jobs.get(jobId);
  if (!takesSealed(job, 'deadline')) return;
  if (deadlineOf(turn, job) > turn.atMs) schedule(turn, job);
  else if (job.phase === 'placing') endSealed(turn, job, 'store_failed');
  else if (job.phase === 'offered') silent(turn, job);
  else if (job.phase === 'running' && turn.atMs < job.lastChunkMs + silenceOf(turn, job))
    cancel(turn, job, 'node_lost');
  else giveUp(turn, job);
}

const silenceOf = ({ state: { config } }: Turn, job: SealedJob): number =>
  job.chunks === 0 ? config.firstTokenSilenceMs : config.tokenSilenceMs;

/** A node that does not answer an offer leaves the directory, and the job goes on to its next candidate. */
function silent(turn: Turn, job: SealedJob): void {
  const node = turn.state.private.connections.get(job.epoch?.connectionId ?? '');
  if (node === undefined) throw new Error(`sealed job ${job.id} is offered to nobody`);
  refuseNode(turn, node, nodeRefusals.silent);
}
