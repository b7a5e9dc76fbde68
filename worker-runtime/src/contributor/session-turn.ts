/** One step of the session in progress: the state as it becomes, and the effects so far. Local to a call of `step`. */
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import { closeCodes } from '@tussah/protocol/contributor-frames';
import type { Failure } from '@tussah/protocol/errors';
import { backOffMs } from './back-off.ts';
import {
  type Effect,
  type Link,
  type Moment,
  reconnectBackOff,
  type SessionState,
  type Status,
  timing,
} from './session-state.ts';

export interface Turn {
  state: SessionState;
  readonly effects: Effect[];
  readonly moment: Moment;
}

/** Whether frames about jobs can be sent. */
export const isLive = ({ at }: Link): boolean => at === 'welcomed' || at === 'draining';

/** Whether there is a socket. */
export const isConnected = ({ at }: Link): boolean =>
  at !== 'idle' && at !== 'waiting' && at !== 'stopped' && at !== 'failed';

export function change(turn: Turn, part: Partial<SessionState>): void {
  turn.state = { ...turn.state, ...part };
}

export function send(turn: Turn, frame: ContributorFrame): void {
  turn.effects.push({ do: 'send', connection: turn.state.connection, frame });
}

export function sendIfLive(turn: Turn, frame: ContributorFrame): void {
  if (isLive(turn.state.link)) send(turn, frame);
}

export function connect(turn: Turn): void {
  const connection = turn.state.connection + 1;
  change(turn, { connection, link: { at: 'connecting', byMs: turn.moment.nowMs + timing.handshakeMs } });
  turn.effects.push({ do: 'connect', connection });
}

export function close(turn: Turn, code: number, reason: string): void {
  if (!isConnected(turn.state.link)) return;
  turn.effects.push({ do: 'close', connection: turn.state.connection, code, reason });
}

/** Gives the connection up and tries again after the back-off. The job goes on: it may be resumed. */
export function lose(turn: Turn, reason: string, closing?: { code: number; reason: string }): void {
  const { state, moment } = turn;
  const { link, job } = state;
  if (closing) close(turn, closing.code, closing.reason);
  const held = link.at === 'welcomed' && moment.nowMs - link.sinceMs >= timing.stableMs;
  const failed = held ? 0 : state.attempt;
  const drained = link.at === 'draining' ? link.reconnectAfterMs : 0;
  const delayMs = Math.max(drained, backOffMs(reconnectBackOff, failed, moment.random));
  change(turn, {
    link: { at: 'waiting', untilMs: moment.nowMs + delayMs, reason },
    attempt: failed + 1,
    downSinceMs: isLive(link) ? moment.nowMs : state.downSinceMs,
    // An offer that was not accepted died with the connection.
    job: job.at === 'stopping' ? { ...job, next: null } : job,
  });
}

/** A move that the protocol doesn't allow: says why, leaves, comes back later. */
export function illegal(turn: Turn, what: string): void {
  lose(turn, `The coordinator broke the protocol: ${what}.`, { code: closeCodes.illegalFrame, reason: what });
}

export function wantedStatus(state: SessionState): Status {
  if (state.intent === 'finish') return 'draining';
  return state.intent === 'pause' || state.engine === 'gone' ? 'paused' : 'ready';
}

/** Tells the coordinator whether offers are welcome, when it doesn't know yet. */
export function tellStatus(turn: Turn, always = false): void {
  const { link } = turn.state;
  if (link.at !== 'welcomed') return;
  const state = wantedStatus(turn.state);
  if (state === link.told && !always) return;
  send(turn, { type: 'status', state });
  change(turn, { link: { ...link, told: state } });
}

/** Ends the session for good, at once: a running answer is given back so that it continues elsewhere without delay. */
export function endSession(turn: Turn, link: { at: 'stopped' } | { at: 'failed'; failure: Failure }): void {
  const { job } = turn.state;
  if (job.at === 'running' || job.at === 'signing')
    sendIfLive(turn, {
      type: 'job-failed',
      jobId: job.jobId,
      code: 'contributor_stopped',
      message: 'The contributor was stopped.',
    });
  if (job.at === 'stopping' && job.next !== null)
    sendIfLive(turn, {
      type: 'job-decline',
      jobId: job.next.offer.jobId,
      reason: 'The contributor was stopped.',
    });
  if (job.at === 'running') turn.effects.push({ do: 'stop-answer', jobId: job.jobId });
  close(turn, 1000, link.at);
  change(turn, { link, job: { at: 'none' }, sessionId: null, downSinceMs: null });
}
