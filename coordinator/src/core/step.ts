/**
 * The dispatcher: `step(state, event, codecs) -> { state, effects }`. The state given is consumed: it is changed in place and
 * returned, and nobody may keep it. No clock, no randomness, no I/O: production, recovery and simulation run this function.
 */
import type { Effect, TimedEvent } from './events.ts';
import { submit } from './admission.ts';
import { onCheckpointDue } from './checkpoints.ts';
import { onSettled, onSettlementFailed } from './job-endings.ts';
import { onSegmentChecked } from './job-frames.ts';
import { abandon, onDeadline } from './jobs.ts';
import { apply } from './ledger.ts';
import { recover, resume, suspend, suspendInterrupted } from './recovery.ts';
import type { Refusal } from './refusal.ts';
import { onEpochDeadline } from './private/epochs.ts';
import { drainNodes, onNodeDeadline } from './private/sessions.ts';
import { takePrivate } from './private/step.ts';
import { onSealedDeadline } from './private/verdicts.ts';
import {
  close,
  drainAll,
  onConnectionDeadline,
  onContributorDeadline,
  open,
  prove,
  receive,
  refuse,
  withdrawSilent,
} from './sessions.ts';
import type { State } from './state.ts';
import type { Codecs, Turn } from './turn.ts';

const RECONNECT_AFTER_MS = 3_000;

export function step(state: State, event: TimedEvent, codecs: Codecs): { state: State; effects: Effect[] } {
  const turn: Turn = { state, atMs: event.atMs, codecs, effects: [] };
  take(turn, event);
  return { state, effects: turn.effects };
}

function take(turn: Turn, event: TimedEvent): void {
  switch (event.type) {
    case 'tick':
      return tick(turn);
    case 'job-submitted':
      return submit(turn, event.request);
    case 'jobs-recovered':
      return recover(turn, event.checkpoints);
    case 'job-resumed':
      return resume(turn, event.resumption);
    case 'job-abandoned':
      if (event.code === 'shutting_down' && suspend(turn, event.jobId)) return undefined;
      return abandon(turn, event.jobId, event.code);
    case 'connection-opened':
      return open(turn, event);
    case 'frame-received':
      return receive(turn, event.connectionId, event.frame);
    case 'hello-checked':
      return prove(turn, event);
    case 'connection-breached':
      return breached(turn, event.connectionId, event.refusal);
    case 'connection-closed':
      return close(turn, event.connectionId);
    case 'segment-checked':
      return segmentChecked(turn, event.jobId, event.publicKey, event.valid);
    case 'settled':
      return onSettled(turn, event.jobId, event.receipt);
    case 'settlement-failed':
      return onSettlementFailed(turn, event.jobId);
    case 'credited':
      return apply(turn.state.balances, event.transaction);
    case 'private':
      return takePrivate(turn, event.event);
    case 'drain':
      turn.state.draining = true;
      drainNodes(turn, RECONNECT_AFTER_MS);
      suspendInterrupted(turn);
      return drainAll(turn, RECONNECT_AFTER_MS);
    default:
      return event satisfies never;
  }
}

function breached(turn: Turn, connectionId: string, refusal: Refusal): void {
  const connection = turn.state.connections.get(connectionId);
  if (connection !== undefined) refuse(turn, connection, refusal);
}

/** Looks at everything whose time has come; at connections first, so that nothing is offered to who is found to be gone. */
function tick(turn: Turn): void {
  for (let due = takeDue(turn); due.length > 0; due = takeDue(turn)) {
    const connections = due.filter(({ kind }) => kind === 'connection');
    for (const { id } of connections) withdrawSilent(turn, id);
    for (const { id } of connections) onConnectionDeadline(turn, id);
    for (const { kind, id } of due)
      if (kind === 'job') onDeadline(turn, id);
      else if (kind === 'checkpoint') onCheckpointDue(turn, id);
      else if (kind === 'contributor') onContributorDeadline(turn, id);
      else if (kind === 'node') onNodeDeadline(turn, id);
      else if (kind === 'epoch') onEpochDeadline(turn, id);
      else if (kind === 'sealed-job') onSealedDeadline(turn, id);
  }
}

function takeDue({ state: { deadlines }, atMs }: Turn) {
  const all = [];
  for (let next = deadlines.due(atMs); next !== undefined; next = deadlines.due(atMs)) all.push(next);
  return all;
}

function segmentChecked(turn: Turn, jobId: string, publicKey: string, valid: boolean): void {
  if (onSegmentChecked(turn, jobId, publicKey, valid)) return;
  const contributor = turn.state.contributors.get(publicKey);
  const connection = turn.state.connections.get(contributor?.connectionId ?? '');
  if (connection === undefined) return;
  refuse(turn, connection, {
    closeCode: 4409,
    code: 'bad_signature',
    message: 'The signature under the finished segment is not valid.',
    remedy: 'Sign the segment statement with the key of the hello.',
    retry: false,
  });
}
