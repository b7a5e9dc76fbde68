/** One call of `step`: the state it may change, the time, the codecs, and the effects it collects. */
import type { DeadlineKind } from './deadlines.ts';
import type { State } from './state.ts';
import type { Effect, Note } from './events.ts';

/** A model's tokenizer as the core needs it: pure, the same answer for the same input. */
export interface Codec {
  /** Text of ids by UTF-8 with replacement; undefined when an id is unknown or a control token. */
  textOf(ids: readonly number[]): string | undefined;
  /** Tokens of our own encoding of a text. */
  count(text: string): number;
}

export interface Codecs {
  /** Undefined until the model's tokenizer is loaded. */
  codecOf(model: string): Codec | undefined;
}

export interface Turn {
  readonly state: State;
  readonly atMs: number;
  readonly codecs: Codecs;
  readonly effects: Effect[];
}

export const note = (turn: Turn, about: Note): void => {
  turn.effects.push({ type: 'note', note: about });
};

/** Makes `tick` look at something at a time, or a little later; looking early is harmless. */
export function lookAgain(turn: Turn, kind: DeadlineKind, id: string, atMs: number): void {
  turn.state.deadlines.set(kind, id, atMs);
}
