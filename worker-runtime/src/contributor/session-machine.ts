/**
 * The contributor's side of the protocol as a pure machine: `step(state, event, moment)` gives the next state and the
 * effects to perform. A connection comes and goes beside one job that outlives it. What the coordinator may say depends on
 * the state of the connection (`legalFrames`); anything else ends the connection with a reason.
 */
import { closeCodes, type CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import {
  decline,
  dropJob,
  onAnswerFailed,
  onAnswerFinished,
  onDelta,
  onEngineGone,
  onJobCancel,
  onJobSettled,
  onOffer,
  onSegmentSigned,
  resumeJob,
} from './session-job.ts';
import {
  type Announcement,
  type Effect,
  type Link,
  type Moment,
  type SessionEvent,
  type SessionState,
  timing,
} from './session-state.ts';
import {
  change,
  connect,
  endSession,
  illegal,
  isConnected,
  isLive,
  lose,
  send,
  tellStatus,
  type Turn,
} from './session-turn.ts';

/** The transition table of the connection: the frames that may come in each state. */
export const legalFrames = {
  idle: [],
  waiting: [],
  connecting: [],
  'challenge-awaited': ['challenge', 'ping', 'refused'],
  'hello-signing': ['ping', 'refused'],
  'welcome-awaited': ['welcome', 'ping', 'refused'],
  welcomed: ['job-offer', 'job-cancel', 'job-settled', 'ping', 'drain', 'refused'],
  draining: ['job-cancel', 'job-settled', 'ping', 'refused'],
  stopped: [],
  failed: [],
} as const satisfies Record<Link['at'], readonly CoordinatorFrame['type'][]>;

export interface Step {
  readonly state: SessionState;
  readonly effects: readonly Effect[];
}

/** Throws only when the shell breaks its side: a second `start` while the session runs. */
export function step(state: SessionState, event: SessionEvent, moment: Moment): Step {
  const turn: Turn = { state, effects: [], moment };
  elapse(turn);
  apply(turn, event);
  rest(turn);
  return { state: turn.state, effects: turn.effects };
}

function apply(turn: Turn, event: SessionEvent): void {
  switch (event.type) {
    case 'start':
      return start(turn, event.announcement);
    case 'pause':
      return setIntent(turn, 'pause');
    case 'resume':
      return setIntent(turn, 'serve');
    case 'finish':
      return setIntent(turn, 'finish');
    case 'stop':
      return endSession(turn, { at: 'stopped' });
    case 'fail':
      if (turn.state.link.at === 'stopped') return;
      return endSession(turn, { at: 'failed', failure: event.failure });
    case 'time':
      return;
    case 'socket-open':
    case 'socket-closed':
    case 'frame':
    case 'malformed':
    case 'hello-signed':
      return fromConnection(turn, event);
    case 'delta':
      return onDelta(turn, event.jobId, event.delta);
    case 'answer-finished':
      return onAnswerFinished(turn, event.jobId, event.end);
    case 'answer-failed':
      return onAnswerFailed(turn, event.jobId, event.code, event.message);
    case 'segment-signed':
      return onSegmentSigned(turn, event.jobId, event.signature);
    case 'engine-gone':
      change(turn, { engine: 'gone' });
      onEngineGone(turn, event.reason);
      return tellStatus(turn);
    case 'engine-back':
      return engineBack(turn, event.tokensPerSecond);
    default:
      event satisfies never;
  }
}

function start(turn: Turn, announcement: Announcement): void {
  const { at } = turn.state.link;
  if (at !== 'idle' && at !== 'stopped' && at !== 'failed') throw new Error(`started while ${at}`);
  change(turn, {
    announcement,
    engine: 'ready',
    intent: turn.state.intent === 'pause' ? 'pause' : 'serve',
    attempt: 0,
    everWelcomed: false,
    sessionId: null,
    job: { at: 'none' },
  });
  connect(turn);
}

function setIntent(turn: Turn, intent: SessionState['intent']): void {
  // Finishing is final: only a new start serves again.
  if (turn.state.intent === 'finish') return;
  change(turn, { intent });
  tellStatus(turn);
}

function engineBack(turn: Turn, tokensPerSecond: number): void {
  const { announcement, link } = turn.state;
  if (announcement === null) return;
  change(turn, { engine: 'ready', announcement: { ...announcement, tokensPerSecond } });
  if (link.at === 'welcomed') announce(turn);
  tellStatus(turn);
}

function announce(turn: Turn): void {
  const { announcement } = turn.state;
  if (announcement === null) return;
  const { contextTokens: _, ...facts } = announcement;
  send(turn, { type: 'model-ready', ...facts });
}

type ConnectionEvent = Extract<SessionEvent, { connection: number }>;

function fromConnection(turn: Turn, event: ConnectionEvent): void {
  const { link, connection } = turn.state;
  if (event.connection !== connection || !isConnected(link)) return;
  switch (event.type) {
    case 'socket-open':
      if (link.at !== 'connecting') return;
      return change(turn, { link: { ...link, at: 'challenge-awaited' } });
    case 'socket-closed':
      return lose(turn, event.reason);
    case 'malformed':
      return lose(turn, event.failure.message, {
        code: closeCodes.malformedFrame,
        reason: event.failure.code,
      });
    case 'hello-signed': {
      if (link.at !== 'hello-signing') return;
      send(turn, { ...event.hello, resume: turn.state.sessionId });
      return change(turn, { link: { ...link, at: 'welcome-awaited' } });
    }
    case 'frame':
      return onFrame(turn, event.frame);
    default:
      event satisfies never;
  }
}

function onFrame(turn: Turn, frame: CoordinatorFrame): void {
  const { link, connection } = turn.state;
  const legal: readonly CoordinatorFrame['type'][] = legalFrames[link.at];
  if (!legal.includes(frame.type)) return illegal(turn, `${frame.type} while ${link.at}`);
  if (link.at === 'welcomed' || link.at === 'draining')
    change(turn, { link: { ...link, heardMs: turn.moment.nowMs } });
  switch (frame.type) {
    case 'challenge': {
      const { coordinator, nonce } = frame;
      turn.effects.push({ do: 'sign-hello', connection, coordinator, nonce });
      if (link.at === 'challenge-awaited') change(turn, { link: { ...link, at: 'hello-signing' } });
      return;
    }
    case 'welcome':
      return onWelcome(turn, frame);
    case 'job-offer':
      return onOffer(turn, frame);
    case 'job-cancel':
      return onJobCancel(turn, frame.jobId);
    case 'job-settled':
      return onJobSettled(turn, frame);
    case 'ping':
      return send(turn, { type: 'pong', n: frame.n });
    case 'drain':
      return onDrain(turn, frame.reconnectAfterMs);
    case 'refused': {
      const { code, message, remedy, retry } = frame;
      if (retry) return lose(turn, message, { code: 1000, reason: 'refused' });
      return endSession(turn, { at: 'failed', failure: { code, message, remedy } });
    }
    default:
      frame satisfies never;
  }
}

function onWelcome(turn: Turn, frame: Extract<CoordinatorFrame, { type: 'welcome' }>): void {
  const { sessionId: asked, tally } = turn.state;
  const { nowMs } = turn.moment;
  const resumed = asked !== null && asked === frame.sessionId;
  // One job at a time is all that this contributor ever accepts.
  if (frame.resumed.length > (resumed ? 1 : 0))
    return illegal(turn, 'welcome resumes jobs of another session');
  change(turn, {
    link: { at: 'welcomed', sinceMs: nowMs, heardMs: nowMs, told: 'ready' },
    sessionId: frame.sessionId,
    everWelcomed: true,
    downSinceMs: null,
    tally: { ...tally, earnedTotalNano: frame.earnedNano },
  });
  announce(turn);
  resumeJob(turn, frame.resumed[0]);
  tellStatus(turn, resumed);
}

function onDrain(turn: Turn, reconnectAfterMs: number): void {
  const { job } = turn.state;
  const { nowMs, random } = turn.moment;
  if (job.at === 'stopping' && job.next !== null) {
    decline(turn, job.next.offer.jobId, 'The coordinator is about to stop.');
    change(turn, { job: { ...job, next: null } });
  }
  const spread = Math.min(reconnectAfterMs, timing.drainMaxMs) * (1 + random / 4);
  change(turn, { link: { at: 'draining', heardMs: nowMs, reconnectAfterMs: Math.round(spread) } });
}

/** What follows from nothing being left to do: a stopping contributor stops, a draining connection closes. */
function rest(turn: Turn): void {
  const { link, job, intent } = turn.state;
  if (job.at !== 'none' || link.at === 'stopped' || link.at === 'failed') return;
  if (intent === 'finish') endSession(turn, { at: 'stopped' });
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

const ACTS_PER_STEP_MAX = 8;

function elapse(turn: Turn): void {
  for (let i = 0; i < ACTS_PER_STEP_MAX; i++) {
    const due = deadlines(turn.state).find(({ atMs }) => atMs <= turn.moment.nowMs);
    if (due === undefined) return;
    due.act(turn);
  }
  throw new Error('a deadline did not move when it was due');
}

function deadlines(state: SessionState): Deadline[] {
  const { link, job, intent, downSinceMs } = state;
  const all: Deadline[] = [];
  if (link.at === 'waiting') all.push({ atMs: link.untilMs, act: connect });
  if ('byMs' in link)
    all.push({
      atMs: link.byMs,
      act: (turn) =>
        lose(turn, 'The coordinator does not answer.', { code: 1000, reason: 'handshake too slow' }),
    });
  if ('heardMs' in link)
    all.push({
      atMs: link.heardMs + timing.heartbeatTimeoutMs,
      act: (turn) =>
        lose(turn, 'The coordinator fell silent.', { code: closeCodes.timeout, reason: 'silent' }),
    });
  if (downSinceMs !== null && job.at !== 'none' && job.at !== 'stopping')
    all.push({ atMs: downSinceMs + timing.orphanMs, act: dropJob });
  if (job.at === 'ended' && isLive(link)) {
    const hurry = intent === 'finish' || link.at === 'draining';
    all.push({ atMs: job.endedMs + (hurry ? timing.settleBeforeStopMs : timing.settleMs), act: dropJob });
  }
  if (job.at === 'stopping') {
    const { next, byMs } = job;
    if (next !== null)
      all.push({
        atMs: next.byMs,
        act: (turn) => {
          decline(turn, next.offer.jobId, 'The engine is still busy.');
          change(turn, { job: { ...job, next: null } });
        },
      });
    all.push({ atMs: byMs, act: (turn) => replaceEngine(turn) });
  }
  return all;
}

function replaceEngine(turn: Turn): void {
  const reason = 'The engine did not stop when asked to.';
  change(turn, { engine: 'gone' });
  onEngineGone(turn, reason);
  tellStatus(turn);
  turn.effects.push({ do: 'restart-engine', reason });
}
