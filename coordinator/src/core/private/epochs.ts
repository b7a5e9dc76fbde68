/**
 * What nodes attest, and how long it counts. A nonce is good for one bundle. An accepted bundle is entered into the directory
 * and counts once the entry is durable; the one before it then overlaps until its end. Whatever ends it is entered, too.
 */
import { priceFromWire } from '@tussah/protocol/money';
import type { DirectoryEntry, LeaveReason } from '@tussah/protocol/private/directory';
import type { NodeFrame } from '@tussah/protocol/private/node-frames';
import type { NodeOffer } from '@tussah/protocol/private/statements';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { Refusal } from '../refusal.ts';
import { lookAgain, note, type Turn } from '../turn.ts';
import type { PrivateEvent } from './events.ts';
import { placeAfterDeparture } from './jobs.ts';
import { nodeRefusals } from './node-refusals.ts';
import type {
  Attested,
  Departed,
  Epoch,
  EpochPhase,
  NodeConnection,
  Operator,
  PrivateState,
} from './state.ts';
import { effect, tell } from './turn.ts';

type EventOf<Type extends PrivateEvent['type']> = Extract<PrivateEvent, { type: Type }>;

/** Bundles of one node that have not left: one joins, one is current, the others overlap. */
const EPOCHS_PER_NODE = 4;
/** How long clients may still name a bundle that has left: by a stale list, and a header that ends late. */
export const DEPARTED_MS = privateLimits.headAgeMaxMs + privateLimits.headerAheadMs;

/** Which phase may follow which. Anything else is a bug of ours. */
export const epochTransitions: Readonly<Record<EpochPhase, readonly EpochPhase[]>> = {
  joining: ['current', 'leaving'],
  current: ['overlapping', 'leaving'],
  overlapping: ['leaving'],
  leaving: ['departed'],
  departed: [],
};

function enter(epoch: Epoch, phase: EpochPhase): void {
  if (!epochTransitions[epoch.phase].includes(phase))
    throw new Error(`epoch ${epoch.bundle} can't go from ${epoch.phase} to ${phase}`);
  epoch.phase = phase;
}

export function giveNonce(turn: Turn, connection: NodeConnection, nonce: string): void {
  connection.epochNonce = { nonce, atMs: turn.atMs };
  connection.epochAtMs = turn.atMs;
  tell(turn, connection.id, { type: 'epoch', epochNonce: nonce });
}

/** Returns what is wrong with asking for a nonce now. */
export function requestEpoch(
  turn: Turn,
  connection: NodeConnection,
  nonce: string | undefined,
): string | undefined {
  if (nonce === undefined) throw new Error('an epoch-request without a nonce of the shell');
  if (turn.atMs < connection.epochAtMs + turn.state.config.epochIntervalMs) return 'epoch-request too soon';
  giveNonce(turn, connection, nonce);
  return undefined;
}

/** Returns why a bundle is not even looked at. */
export function attest(
  turn: Turn,
  connection: NodeConnection,
  { bundle, offer, signature }: Extract<NodeFrame, { type: 'attest' }>,
): Refusal | string | undefined {
  if (connection.checking) return 'a bundle while another is checked';
  if (connection.operator === null) throw new Error('an open connection without an operator');
  const { epochNonce } = connection;
  connection.epochNonce = null;
  if (epochNonce === null || turn.atMs >= epochNonce.atMs + privateLimits.epochNonceMs)
    return nodeRefusals.nonceUnknown;
  connection.checking = true;
  effect(turn, {
    type: 'check-bundle',
    connectionId: connection.id,
    identity: connection.operator.identity,
    epochNonce: epochNonce.nonce,
    bundle,
    offer,
    signature,
  });
  return undefined;
}

/** Enters a node whose evidence was accepted into the directory; returns why not. */
export function join(
  turn: Turn,
  connection: NodeConnection,
  operator: Operator,
  attested: Attested,
  { offer, signature }: { readonly offer: NodeOffer; readonly signature: string },
): Refusal | undefined {
  const { private: tier, config } = turn.state;
  // While its evidence was checked, it may have begun to drain, or its bundle may have ended.
  if (connection.draining || attested.notAfterMs <= turn.atMs) return undefined;
  if (!hasRoom(tier, connection, config.nodesMax)) return nodeRefusals.full;
  const { bundle, notAfterMs } = attested;
  if (tier.epochs.has(bundle)) throw new Error(`bundle ${bundle} was accepted twice`);
  const entry: DirectoryEntry = { kind: 'joined', atMs: turn.atMs, bundle, offer, signature };
  const epoch: Epoch = {
    ...attested,
    connectionId: connection.id,
    operator,
    offer,
    price: priceFromWire(offer.price),
    entry,
    phase: 'joining',
    index: -1,
    waiting: new Set(),
  };
  tier.epochs.set(bundle, epoch);
  connection.epochs.add(epoch);
  effect(turn, { type: 'append-entry', entry });
  lookAgain(turn, 'epoch', bundle, notAfterMs);
  return undefined;
}

/** Who is in the directory may always renew. The second bound is for departures that can't be written. */
function hasRoom({ connections, epochs }: PrivateState, own: NodeConnection, nodesMax: number): boolean {
  if (own.epochs.size >= EPOCHS_PER_NODE || epochs.size >= EPOCHS_PER_NODE * nodesMax) return false;
  if (own.epochs.size > 0) return true;
  let nodes = 0;
  for (const connection of connections.values()) if (connection.epochs.size > 0) nodes += 1;
  return nodes < nodesMax;
}

/** An entry is durable: from now on it may be shown. */
export function onEntryAppended(turn: Turn, { placed }: EventOf<'entry-appended'>): void {
  const { index, entry } = placed;
  const epoch = turn.state.private.epochs.get(entry.bundle);
  if (entry.kind === 'joined') {
    // It may have left while this was written; the entry of that comes next.
    if (epoch?.phase === 'joining') becomeCurrent(turn, epoch, index);
    return;
  }
  remember(turn, { index, entry });
  if (epoch === undefined) return;
  enter(epoch, 'departed');
  turn.state.private.epochs.delete(epoch.bundle);
  for (const jobId of epoch.waiting) placeAfterDeparture(turn, jobId);
  epoch.waiting.clear();
}

function becomeCurrent(turn: Turn, epoch: Epoch, index: number): void {
  const { bundle, connectionId, notAfterMs, offer } = epoch;
  const connection = turn.state.private.connections.get(connectionId);
  if (connection === undefined) throw new Error(`epoch ${bundle} has outlived its connection`);
  for (const other of connection.epochs) if (other.phase === 'current') enter(other, 'overlapping');
  enter(epoch, 'current');
  epoch.index = index;
  tell(turn, connectionId, { type: 'attested', bundle, notAfterMs, index });
  note(turn, { kind: 'node-joined', identity: offer.identity, bundle, model: offer.model });
}

/** Takes a bundle out of the directory; jobs that it has opened go on. */
export function depart(turn: Turn, epoch: Epoch, reason: LeaveReason): void {
  const { bundle } = epoch;
  enter(epoch, 'leaving');
  turn.state.deadlines.forget('epoch', bundle);
  turn.state.private.connections.get(epoch.connectionId)?.epochs.delete(epoch);
  effect(turn, { type: 'append-entry', entry: { kind: 'left', atMs: turn.atMs, bundle, reason } });
  note(turn, { kind: 'node-left', bundle, reason });
}

/** A bundle has ended. */
export function onEpochDeadline(turn: Turn, bundle: string): void {
  const epoch = turn.state.private.epochs.get(bundle);
  if (epoch === undefined || epoch.phase === 'leaving') return;
  if (turn.atMs < epoch.notAfterMs) lookAgain(turn, 'epoch', bundle, epoch.notAfterMs);
  else depart(turn, epoch, epoch.phase === 'overlapping' ? 'replaced' : 'expired');
}

/** What was listed when the coordinator stopped is gone; what left shortly before may still be named by clients. */
export function recoverDirectory(turn: Turn, { listed, departed }: EventOf<'directory-recovered'>): void {
  for (const left of departed) remember(turn, left);
  for (const bundle of listed)
    effect(turn, {
      type: 'append-entry',
      entry: { kind: 'left', atMs: turn.atMs, bundle, reason: 'disconnected' },
    });
}

function remember(turn: Turn, left: Departed): void {
  const { departed } = turn.state.private;
  for (const [bundle, { entry }] of departed) {
    if (entry.atMs + DEPARTED_MS >= turn.atMs) break;
    departed.delete(bundle);
  }
  departed.set(left.entry.bundle, left);
}
