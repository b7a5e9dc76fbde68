/**
 * Runs the core: feeds it events in order, gives it the time, and hands its effects to who performs them. Effects that answer
 * at once post their event, which runs after the present one.
 */
import { ForwardClock } from '@tussah/protocol/forward-clock';
import type { Effect, Event } from '../core/events.ts';
import type { State } from '../core/state.ts';
import { step } from '../core/step.ts';
import type { Codecs } from '../core/turn.ts';

export type EffectHandlers = {
  readonly [Type in Effect['type']]: (effect: Extract<Effect, { type: Type }>) => void;
};

/** How often deadlines are looked at. */
const TICK_MS = 50;

export class Dispatcher {
  #state: State;
  readonly #codecs: Codecs;
  readonly #clock: ForwardClock;
  readonly #onBug: (error: unknown) => void;
  #handlers: EffectHandlers | undefined;
  readonly #pending: Event[] = [];
  #running = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(state: State, codecs: Codecs, now: () => number, onBug: (error: unknown) => void) {
    this.#state = state;
    this.#codecs = codecs;
    this.#clock = new ForwardClock(now, () => performance.now());
    this.#onBug = onBug;
  }

  /** To be read, never changed, and not kept over a turn of the event loop. */
  get state(): State {
    return this.#state;
  }

  start(handlers: EffectHandlers): void {
    this.#handlers = handlers;
    this.#timer = setInterval(() => this.post({ type: 'tick' }), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  post(event: Event): void {
    this.#pending.push(event);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift())
        this.#take(next);
    } catch (error) {
      // A broken invariant: the state can't be trusted any more, so the process must end and recover from the books.
      this.#onBug(error);
    } finally {
      this.#running = false;
    }
  }

  #take(event: Event): void {
    const { state, effects } = step(this.#state, { ...event, atMs: this.#clock.now() }, this.#codecs);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    const handler = this.#handlers?.[effect.type] as ((effect: Effect) => void) | undefined;
    handler?.(effect);
  }
}
