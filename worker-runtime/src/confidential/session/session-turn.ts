/** One step of the session's machine: the state so far, and the effects that it collects. */
import type { Effect, Moment, SessionState, Told } from './session-state.ts';

export interface Turn {
  state: SessionState;
  readonly effects: Effect[];
  readonly moment: Moment;
}

export const change = (turn: Turn, members: Partial<SessionState>): void => {
  turn.state = { ...turn.state, ...members };
};

export const tell = (turn: Turn, what: Told): void => void turn.effects.push({ do: 'tell', what });
