/**
 * Nodes' sessions: a connection proves an identity, attests and serves. A frame that is illegal in the phase it arrives in
 * ends the connection with a code and a remedy, and so does evidence that is refused: there is no way on without it.
 */
import { NODE_PROTOCOL, type NodeFrame } from '@tussah/protocol/private/node-frames';
import type { LeaveReason } from '@tussah/protocol/private/directory';
import { ledgerAccounts } from '../ledger.ts';
import type { Refusal } from '../refusal.ts';
import { lookAgain, note, type Turn } from '../turn.ts';
import { attest, depart, giveNonce, requestEpoch } from './epochs.ts';
import type { PrivateEvent } from './events.ts';
import { onNodeLost } from './jobs.ts';
import { onSealedFrame } from './job-frames.ts';
import { leaveReasonOf, nodeRefusals } from './node-refusals.ts';
import type { NodeConnection, NodePhase, Operator } from './state.ts';
import { effect, tell } from './turn.ts';

type EventOf<Type extends PrivateEvent['type']> = Extract<PrivateEvent, { type: Type }>;

/** Frames that may arrive in each phase of a connection. */
export const legalNodeFrames: Readonly<Record<NodePhase, ReadonlySet<NodeFrame['type']>>> = {
  challenged: new Set(['hello']),
  proving: new Set(),
  open: new Set([
    'epoch-request',
    'attest',
    'sealed-accept',
    'sealed-refuse',
    'sealed-delta',
    'sealed-done',
    'status',
    'pong',
  ]),
};

export function connectNode(turn: Turn, { connectionId, nonce }: EventOf<'node-connected'>): void {
  const connection: NodeConnection = {
    id: connectionId,
    phase: 'challenged',
    nonce,
    openedAtMs: turn.atMs,
    lastHeardMs: turn.atMs,
    lastPingMs: turn.atMs,
    pings: 0,
    operator: null,
    draining: false,
    epochNonce: null,
    epochAtMs: -Infinity,
    checking: false,
    epochs: new Set(),
    jobs: new Set(),
    endedJobs: new Set(),
  };
  turn.state.private.connections.set(connectionId, connection);
  const { coordinator } = turn.state;
  tell(turn, connectionId, { type: 'challenge', protocol: NODE_PROTOCOL, coordinator, nonce });
  lookAgain(turn, 'node', connectionId, turn.atMs + turn.state.config.helloTimeoutMs);
}

export function receiveFromNode(turn: Turn, event: EventOf<'node-frame-received'>): void {
  const { connectionId, frame } = event;
  const connection = turn.state.private.connections.get(connectionId);
  if (connection === undefined) return;
  connection.lastHeardMs = turn.atMs;
  if (!legalNodeFrames[connection.phase].has(frame.type)) {
    refuseNode(turn, connection, nodeRefusals.illegal(`${frame.type} while ${connection.phase}`));
    return;
  }
  const breach = dispatch(turn, connection, event);
  if (breach === undefined) return;
  refuseNode(turn, connection, typeof breach === 'string' ? nodeRefusals.illegal(breach) : breach);
}

/** Returns what is wrong with a frame. */
function dispatch(
  turn: Turn,
  connection: NodeConnection,
  { frame, epochNonce }: EventOf<'node-frame-received'>,
): Refusal | string | undefined {
  switch (frame.type) {
    case 'hello':
      connection.phase = 'proving';
      effect(turn, {
        type: 'check-node-hello',
        connectionId: connection.id,
        nonce: connection.nonce,
        hello: frame,
      });
      connection.nonce = '';
      return undefined;
    case 'epoch-request':
      return requestEpoch(turn, connection, epochNonce);
    case 'attest':
      return attest(turn, connection, frame);
    case 'sealed-accept':
    case 'sealed-refuse':
    case 'sealed-delta':
    case 'sealed-done':
      return onSealedFrame(turn, connection, frame);
    case 'status':
      connection.draining = frame.state === 'draining';
      // It takes no more. Once it is ready again, it needs a new bundle.
      if (connection.draining) departAll(turn, connection, 'drained');
      return undefined;
    case 'pong':
      return frame.n > connection.pings ? 'a pong to no ping' : undefined;
    default:
      return frame satisfies never;
  }
}

/** The identity was proven, or not. */
export function proveNode(turn: Turn, event: EventOf<'node-hello-checked'>): void {
  const { state } = turn;
  const connection = state.private.connections.get(event.connectionId);
  if (connection === undefined) return;
  if (!event.valid) {
    refuseNode(turn, connection, nodeRefusals.unproven);
    return;
  }
  const operator = operatorOf(turn, event);
  operator.connections += 1;
  connection.operator = operator;
  connection.phase = 'open';
  tell(turn, connection.id, {
    type: 'welcome',
    heartbeatMs: state.config.heartbeatMs,
    earnedNano: operator.earnedNano.toString(),
    networkFeeBasisPoints: state.config.networkFeeBasisPoints,
  });
  note(turn, { kind: 'node-connected', identity: operator.identity });
  giveNonce(turn, connection, event.epochNonce);
  lookAgain(turn, 'node', connection.id, turn.atMs + state.config.heartbeatMs);
}

function operatorOf(turn: Turn, { hello, record }: EventOf<'node-hello-checked'>): Operator {
  const { private: tier, balances } = turn.state;
  const { publicKey: identity, wallet } = hello;
  const known = tier.operators.get(identity);
  if (known !== undefined) {
    known.wallet = wallet;
    return known;
  }
  const earnedNano = balances.get(ledgerAccounts.contributor(identity)) ?? 0n;
  const operator = { identity, wallet, record: { ...record }, earnedNano, connections: 0 };
  tier.operators.set(identity, operator);
  return operator;
}

/** Ends a connection from our side. */
export function refuseNode(turn: Turn, connection: NodeConnection, refusal: Refusal): void {
  const { code, message, remedy, retry } = refusal;
  tell(turn, connection.id, { type: 'refused', code, message, remedy, retry });
  effect(turn, { type: 'close-node', connectionId: connection.id, refusal });
  leave(turn, connection, leaveReasonOf(refusal));
}

export function breachedByNode(turn: Turn, { connectionId, refusal }: EventOf<'node-breached'>): void {
  const connection = turn.state.private.connections.get(connectionId);
  if (connection !== undefined) refuseNode(turn, connection, refusal);
}

export function disconnectNode(turn: Turn, { connectionId }: EventOf<'node-disconnected'>): void {
  const connection = turn.state.private.connections.get(connectionId);
  if (connection !== undefined) leave(turn, connection, 'disconnected');
}

/** First out of the directory, so that its jobs find the departure under way. */
function leave(turn: Turn, connection: NodeConnection, reason: LeaveReason): void {
  const { private: tier, deadlines } = turn.state;
  tier.connections.delete(connection.id);
  deadlines.forget('node', connection.id);
  departAll(turn, connection, reason);
  onNodeLost(turn, connection, reason);
  const { operator } = connection;
  if (operator === null) return;
  operator.connections -= 1;
  if (operator.connections === 0) tier.operators.delete(operator.identity);
}

function departAll(turn: Turn, connection: NodeConnection, reason: LeaveReason): void {
  for (const epoch of connection.epochs) depart(turn, epoch, reason);
}

/** When a connection from which nothing comes is given up. */
const silentAtMs = (
  { state: { config } }: Turn,
  { phase, lastHeardMs, openedAtMs }: NodeConnection,
): number =>
  phase === 'open' ? lastHeardMs + config.heartbeatTimeoutMs : openedAtMs + config.helloTimeoutMs;

/** A connection's time has come: too slow a hello, a ping that is due, or a silence that lasted. */
export function onNodeDeadline(turn: Turn, connectionId: string): void {
  const connection = turn.state.private.connections.get(connectionId);
  if (connection === undefined) return;
  const { heartbeatMs } = turn.state.config;
  if (turn.atMs >= silentAtMs(turn, connection)) {
    refuseNode(turn, connection, nodeRefusals.silent);
    return;
  }
  if (connection.phase === 'open' && turn.atMs >= connection.lastPingMs + heartbeatMs) {
    connection.lastPingMs = turn.atMs;
    connection.pings += 1;
    tell(turn, connectionId, { type: 'ping', n: connection.pings });
  }
  const next =
    connection.phase === 'open' ? connection.lastPingMs + heartbeatMs : silentAtMs(turn, connection);
  lookAgain(turn, 'node', connectionId, Math.max(next, turn.atMs + 1));
}

/** The coordinator stops: nodes finish what runs. */
export function drainNodes(turn: Turn, reconnectAfterMs: number): void {
  for (const { id, phase } of turn.state.private.connections.values())
    if (phase === 'open')
      tell(turn, id, { type: 'drain', reason: 'the coordinator restarts', reconnectAfterMs });
}
