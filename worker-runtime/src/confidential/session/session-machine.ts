/**
 * The node's side of the protocol `tussah-node.v1` as a pure machine: `step(state, event, moment)` gives the next state and
 * the effects to perform. What the coordinator may say depends on the state of the connection (`legalFrames`); anything else
 * ends the connection with a reason. With the connection go all epochs: the coordinator lists their bundles no more.
 */
import { closeCodes } from '@tussah/protocol/contributor-frames';
import type { CoordinatorNodeFrame } from '@tussah/protocol/private/node-frames';
import { backOffMs } from '../../contributor/back-off.ts';
import { endEpoch, onAttested, onBundleMade, requestEpoch, retryAttest } from './session-epochs.ts';
import {
  reconnectBackOff,
  timing,
  type Coming,
  type Effect,
  type Link,
  type Moment,
  type SessionEvent,
  type SessionState,
} from './session-state.ts';
import { change, tell, type Turn } from './session-turn.ts';

/** The transition table of the connection: the frames that may come in each state. */
export const legalFrames = {
  idle: [],
  waiting: [],
  connecting: [],
  'challenge-awaited': ['challenge', 'ping', 'refused'],
  'hello-signing': ['ping', 'refused'],
  'welcome-awaited': ['welcome', 'ping', 'refused'],
  welcomed: ['epoch', 'attested', 'sealed-offer', 'job-cancel', 'job-settled', 'ping', 'drain', 'refused'],
  draining: ['epoch', 'attested', 'job-cancel', 'job-settled', 'ping', 'refused'],
  stopped: [],
  failed: [],
} as const satisfies Record<Link['at'], readonly CoordinatorNodeFrame['type'][]>;

/** Which epoch there has to be for a frame that speaks of one. */
const legalComing: Readonly<Record<'epoch' | 'attested', Coming['at']>> = {
  epoch: 'nonce-awaited',
  attested: 'attested-awaited',
};

export interface Step {
  readonly state: SessionState;
  readonly effects: readonly Effect[];
}

/** Throws only when the shell breaks its side: a second `start`. */
export function step(state: SessionState, event: SessionEvent, moment: Moment): Step {
  const turn: Turn = { state, effects: [], moment };
  elapse(turn);
  apply(turn, event);
  rest(turn);
  return { state: turn.state, effects: turn.effects };
}

const isLive = ({ at }: Link): boolean => at === 'welcomed' || at === 'draining';
const isConnected = ({ at }: Link): boolean => legalFrames[at].length > 0 || at === 'connecting';

function apply(turn: Turn, event: SessionEvent): void {
  switch (event.type) {
    case 'start':
      if (turn.state.link.at !== 'idle') throw new Error(`started while ${turn.state.link.at}`);
      return connect(turn);
    case 'finish':
      return finish(turn);
    case 'stop':
      return end(turn, { at: 'stopped' });
    case 'time':
      return;
    case 'jobs':
      return change(turn, { jobs: event.running });
    case 'bundle-made':
      return onBundleMade(turn, event);
    case 'bundle-failed': {
      const { coming, attestAttempt } = turn.state;
      if (coming.at !== 'attesting' || coming.epochNonce !== event.epochNonce) return;
      return retryAttest(turn, attestAttempt);
    }
    case 'socket-open':
    case 'socket-closed':
    case 'malformed':
    case 'hello-signed':
    case 'frame':
      return fromConnection(turn, event);
    default:
      event satisfies never;
  }
}

function connect(turn: Turn): void {
  const connection = turn.state.connection + 1;
  change(turn, { connection, link: { at: 'connecting', byMs: turn.moment.nowMs + timing.handshakeMs } });
  turn.effects.push({ do: 'open-socket', connection });
  tell(turn, { event: 'connecting' });
}

function finish(turn: Turn): void {
  const { intent, link, jobs } = turn.state;
  if (intent === 'finish') return;
  change(turn, { intent: 'finish' });
  if (link.at === 'welcomed') turn.effects.push({ do: 'send', frame: { type: 'status', state: 'draining' } });
  tell(turn, { event: 'draining', jobs });
}

function end(turn: Turn, link: Extract<Link, { at: 'stopped' | 'failed' }>): void {
  const before = turn.state.link;
  if (before.at === 'stopped' || before.at === 'failed') return;
  forgetAll(turn, 'The node stops.');
  if (isConnected(before)) turn.effects.push({ do: 'close-socket', code: 1000, reason: 'stopped' });
  change(turn, { link });
  tell(turn, link.at === 'stopped' ? { event: 'stopped' } : { event: 'failed', failure: link.failure });
}

function forgetAll(turn: Turn, reason: string): void {
  change(turn, { coming: { at: 'none' }, current: null, overlapping: [], attestAttempt: 0 });
  turn.effects.push({ do: 'forget-all', reason });
}

/** The connection is lost; it is made again after a while. */
function lose(turn: Turn, reason: string, close?: { readonly code: number; readonly reason: string }): void {
  const { link, attempt, current } = turn.state;
  const { nowMs, random } = turn.moment;
  if (close !== undefined) turn.effects.push({ do: 'close-socket', ...close });
  forgetAll(turn, reason);
  // Evidence that is refused takes its time, too, and the machine's and the vendors' services.
  const stable = link.at === 'welcomed' && current !== null && nowMs - link.sinceMs >= timing.stableMs;
  const count = stable ? 0 : attempt;
  const retryMs = link.at === 'draining' ? link.reconnectAfterMs : backOffMs(reconnectBackOff, count, random);
  change(turn, { link: { at: 'waiting', untilMs: nowMs + retryMs, reason }, attempt: count + 1 });
  tell(turn, { event: 'connection-lost', reason, retryMs });
}

const illegal = (turn: Turn, what: string): void =>
  lose(turn, `The coordinator broke the protocol: ${what}.`, {
    code: closeCodes.illegalFrame,
    reason: 'illegal frame',
  });

function fromConnection(turn: Turn, event: Extract<SessionEvent, { connection: number }>): void {
  const { link, connection } = turn.state;
  if (event.connection !== connection || !isConnected(link)) return;
  switch (event.type) {
    case 'socket-open':
      if (link.at === 'connecting') change(turn, { link: { ...link, at: 'challenge-awaited' } });
      return;
    case 'socket-closed':
      return lose(turn, event.reason);
    case 'malformed':
      return lose(turn, event.failure.message, {
        code: closeCodes.malformedFrame,
        reason: event.failure.code,
      });
    case 'hello-signed':
      if (link.at !== 'hello-signing') return;
      turn.effects.push({ do: 'send', frame: event.hello });
      return change(turn, { link: { ...link, at: 'welcome-awaited' } });
    case 'frame':
      return onFrame(turn, event.frame);
    default:
      event satisfies never;
  }
}

function onFrame(turn: Turn, frame: CoordinatorNodeFrame): void {
  const { link, coming } = turn.state;
  const legal: readonly CoordinatorNodeFrame['type'][] = legalFrames[link.at];
  if (!legal.includes(frame.type)) return illegal(turn, `${frame.type} while ${link.at}`);
  if ((frame.type === 'epoch' || frame.type === 'attested') && legalComing[frame.type] !== coming.at)
    return illegal(turn, `${frame.type} while the epoch is ${coming.at}`);
  if ('heardMs' in link) change(turn, { link: { ...link, heardMs: turn.moment.nowMs } });
  switch (frame.type) {
    case 'challenge': {
      const { coordinator, nonce } = frame;
      if (link.at !== 'challenge-awaited') return;
      change(turn, { coordinator, link: { ...link, at: 'hello-signing' } });
      turn.effects.push({ do: 'sign-hello', connection: turn.state.connection, coordinator, nonce });
      return;
    }
    case 'welcome':
      return onWelcome(turn);
    case 'epoch': {
      const { coordinator } = turn.state;
      if (coordinator === null) return illegal(turn, 'epoch without a challenge');
      change(turn, { coming: { at: 'attesting', epochNonce: frame.epochNonce } });
      turn.effects.push({ do: 'make-bundle', coordinator, epochNonce: frame.epochNonce });
      return;
    }
    case 'attested': {
      const wrong = onAttested(turn, frame);
      return wrong === undefined ? undefined : illegal(turn, wrong);
    }
    case 'sealed-offer':
      turn.effects.push({ do: 'offer', offer: frame });
      return;
    case 'job-cancel':
      turn.effects.push({ do: 'cancel', jobId: frame.jobId });
      return;
    case 'job-settled': {
      const { jobId, receiptId, payNano } = frame;
      return tell(turn, { event: 'settled', jobId, receiptId, payNano });
    }
    case 'ping':
      turn.effects.push({ do: 'send', frame: { type: 'pong', n: frame.n } });
      return;
    case 'drain': {
      const { nowMs, random } = turn.moment;
      const spread = Math.min(frame.reconnectAfterMs, timing.drainMaxMs) * (1 + random / 4);
      return change(turn, {
        link: { at: 'draining', heardMs: nowMs, reconnectAfterMs: Math.round(spread) },
      });
    }
    case 'refused': {
      const { code, message, remedy, retry } = frame;
      if (retry) return lose(turn, message, { code: 1000, reason: 'refused' });
      return end(turn, { at: 'failed', failure: { code, message, remedy } });
    }
    default:
      frame satisfies never;
  }
}

function onWelcome(turn: Turn): void {
  const { nowMs } = turn.moment;
  change(turn, {
    link: { at: 'welcomed', sinceMs: nowMs, heardMs: nowMs },
    everWelcomed: true,
    coming: { at: 'nonce-awaited', byMs: nowMs + timing.epochAnswerMs },
  });
  tell(turn, { event: 'welcomed', coordinator: turn.state.coordinator ?? '' });
}

/** What follows from nothing being left to do: a finishing node stops, a draining connection closes. */
function rest(turn: Turn): void {
  const { link, jobs, intent } = turn.state;
  if (jobs > 0 || link.at === 'stopped' || link.at === 'failed') return;
  if (intent === 'finish') end(turn, { at: 'stopped' });
  else if (link.at === 'draining')
    lose(turn, 'The coordinator is restarting.', { code: 1000, reason: 'drained' });
}

interface Deadline {
  readonly atMs: number;
  readonly act: (turn: Turn) => void;
}

/** When the machine must be stepped next even if nothing happens; null when it needs no time. */
export function deadlineOf(state: SessionState): number | null {
  const all = deadlines(state);
  return all.length === 0 ? null : Math.min(...all.map(({ atMs }) => atMs));
}

const ACTS_PER_STEP_MAX = 16;

function elapse(turn: Turn): void {
  for (let i = 0; i < ACTS_PER_STEP_MAX; i++) {
    const due = deadlines(turn.state).find(({ atMs }) => atMs <= turn.moment.nowMs);
    if (due === undefined) return;
    due.act(turn);
  }
  throw new Error('a deadline did not move when it was due');
}

function deadlines({ link, coming, current, overlapping, intent }: SessionState): Deadline[] {
  const all: Deadline[] = [];
  if (link.at === 'waiting') all.push({ atMs: link.untilMs, act: connect });
  if ('byMs' in link)
    all.push({ atMs: link.byMs, act: (turn) => tooSlow(turn, 'The coordinator does not answer.') });
  if ('heardMs' in link)
    all.push({
      atMs: link.heardMs + timing.heartbeatTimeoutMs,
      act: (turn) => tooSlow(turn, 'The coordinator fell silent.'),
    });
  if (!isLive(link)) return all;
  if ('byMs' in coming)
    all.push({ atMs: coming.byMs, act: (turn) => tooSlow(turn, 'The coordinator gives no epoch.') });
  // Who takes no more jobs needs no new epoch.
  const renews = link.at === 'welcomed' && intent === 'serve';
  if (coming.at === 'retrying' && renews) all.push({ atMs: coming.atMs, act: requestEpoch });
  for (const { bundle, notAfterMs } of overlapping)
    all.push({ atMs: notAfterMs, act: (turn) => endEpoch(turn, bundle) });
  if (current === null) return all;
  if (coming.at === 'none' && renews) all.push({ atMs: current.renewAtMs, act: requestEpoch });
  all.push({ atMs: current.notAfterMs, act: (turn) => endEpoch(turn, current.bundle) });
  return all;
}

const tooSlow = (turn: Turn, reason: string): void =>
  lose(turn, reason, { code: closeCodes.timeout, reason: 'too slow' });
