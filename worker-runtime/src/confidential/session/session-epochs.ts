/** The node's epochs as its session's machine sees them: asked for, made, attested, overlapping, ended. */
import type { CoordinatorNodeFrame } from '@tussah/protocol/private/node-frames';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { backOffMs } from '../../contributor/back-off.ts';
import { attestBackOff, timing, type SessionEvent } from './session-state.ts';
import { change, tell, type Turn } from './session-turn.ts';

export function requestEpoch(turn: Turn): void {
  turn.effects.push({ do: 'send', frame: { type: 'epoch-request' } });
  change(turn, { coming: { at: 'nonce-awaited', byMs: turn.moment.nowMs + timing.epochAnswerMs } });
}

export function endEpoch(turn: Turn, bundle: string): void {
  const { current, overlapping } = turn.state;
  turn.effects.push({ do: 'forget-epoch', bundle });
  change(turn, {
    current: current?.bundle === bundle ? null : current,
    overlapping: overlapping.filter((each) => each.bundle !== bundle),
  });
}

export function onBundleMade(turn: Turn, event: Extract<SessionEvent, { type: 'bundle-made' }>): void {
  const { coming } = turn.state;
  const { epochNonce, bundle, notAfterMs, attest } = event;
  // The connection was lost meanwhile: its nonce is worth nothing.
  if (coming.at !== 'attesting' || coming.epochNonce !== epochNonce)
    return void turn.effects.push({ do: 'forget-epoch', bundle });
  turn.effects.push({ do: 'send', frame: attest });
  const byMs = turn.moment.nowMs + timing.attestedMs;
  change(turn, { attestAttempt: 0, coming: { at: 'attested-awaited', bundle, notAfterMs, byMs } });
}

/** The machine gave no evidence. */
export function retryAttest(turn: Turn, attempt: number): void {
  const delayMs = backOffMs(attestBackOff, attempt, turn.moment.random);
  change(turn, {
    attestAttempt: attempt + 1,
    coming: { at: 'retrying', atMs: turn.moment.nowMs + delayMs },
  });
}

/** Returns what is wrong with the coordinator's word. */
export function onAttested(
  turn: Turn,
  frame: Extract<CoordinatorNodeFrame, { type: 'attested' }>,
): string | undefined {
  const { coming, current, overlapping } = turn.state;
  if (coming.at !== 'attested-awaited' || coming.bundle !== frame.bundle)
    return 'attested for another bundle';
  const { bundle, notAfterMs } = coming;
  change(turn, {
    coming: { at: 'none' },
    current: { bundle, notAfterMs, renewAtMs: renewAtMs(turn.moment.nowMs, notAfterMs) },
    overlapping: current === null ? overlapping : [...overlapping, current],
  });
  tell(turn, { event: 'attested', bundle, notAfterMs, index: frame.index });
  return undefined;
}

/** Ten minutes before its end, or after half of its life, if that is later. */
export const renewAtMs = (madeAtMs: number, notAfterMs: number): number =>
  Math.max(notAfterMs - privateLimits.overlapMs, madeAtMs + (notAfterMs - madeAtMs) / 2);
