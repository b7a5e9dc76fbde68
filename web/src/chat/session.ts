/**
 * A chat without its page: asks, stops, asks again, and tells of every change at most once a frame. The newest turn is
 * the only one that can be running.
 */
import type { Tier } from '@tussah/protocol/sampling';
import { asked, isEnded, step, type Answer, type AnswerEvent } from './answer.ts';
import { ask, type AskOptions, type Question } from './ask.ts';
import { messagesOf, partsWith, type Turn } from './conversation.ts';

/** How a question is asked, and on whose account: null asks as a guest. */
export interface Asking {
  readonly model: string;
  readonly tier: Tier;
  readonly apiKey: string | null;
}

export type PrivateOptions = Pick<AskOptions, 'apiKey' | 'signal' | 'now'>;

export interface SessionOptions {
  readonly fetch: AskOptions['fetch'];
  /** Asks in the private tier; like `ask`, it ends with one event and does not throw. */
  readonly askPrivately: (question: Question, options: PrivateOptions) => AsyncIterable<AnswerEvent>;
  readonly now: () => number;
  /** Calls back once, when the next frame is drawn. */
  readonly nextFrame: (callback: () => void) => void;
  readonly onChange: (turns: readonly Turn[]) => void;
  readonly onEnd: (answer: Answer) => void;
  readonly reconnecting?: NonNullable<AskOptions['reconnecting']>;
}

export class ChatSession {
  readonly #options: SessionOptions;
  #turns: readonly Turn[];
  #running: AbortController | null = null;
  #nextId: number;

  constructor(options: SessionOptions, turns: readonly Turn[] = []) {
    this.#options = options;
    this.#turns = turns;
    this.#nextId = Math.max(0, ...turns.map((turn) => turn.id)) + 1;
  }

  /** Resolves when the answer ended, whichever way. Does nothing while another answer is running. */
  async ask(question: string, asking: Asking): Promise<void> {
    if (this.#running !== null) return;
    const fresh = partsWith(this.#turns, asking.tier);
    await this.#run([...this.#turns, this.#turn(question, asking, fresh)], asking);
  }

  /**
   * Replaces the last answer by a new one; `alone` leaves the earlier turns out from here on. What was asked in private is
   * asked again in private only: for anything else it does nothing.
   */
  async askAgain(asking: Asking, alone = false): Promise<void> {
    const last = this.#turns.at(-1);
    if (last === undefined || this.#running !== null) return;
    if (last.tier === 'private' && asking.tier !== 'private') return;
    const earlier = this.#turns.slice(0, -1);
    const fresh = last.fresh || alone || partsWith(earlier, asking.tier);
    await this.#run([...earlier, this.#turn(last.question, asking, fresh)], asking);
  }

  /** Ends the running answer here; the coordinator stops a little later, in case somebody comes back for it. */
  stop(): void {
    this.#running?.abort();
  }

  clear(): void {
    const running = this.#running;
    this.#running = null;
    running?.abort();
    this.#set([]);
  }

  #turn(question: string, { model, tier }: Asking, fresh: boolean): Turn {
    return { id: this.#nextId++, question, model, tier, fresh, answer: asked(this.#options.now()) };
  }

  #events(turns: readonly Turn[], asking: Asking, signal: AbortSignal): AsyncIterable<AnswerEvent> {
    const { fetch, now, reconnecting = {}, askPrivately } = this.#options;
    const { model, tier, apiKey } = asking;
    const question = { model, messages: messagesOf(turns) };
    return tier === 'private'
      ? askPrivately(question, { apiKey, signal, now })
      : ask(question, { fetch, now, apiKey, signal, reconnecting });
  }

  async #run(turns: readonly Turn[], asking: Asking): Promise<void> {
    const controller = new AbortController();
    const { nextFrame, onEnd } = this.#options;
    this.#running = controller;
    this.#set(turns);
    let pending: AnswerEvent[] = [];
    const current = () => this.#running === controller;
    const flush = () => {
      if (current() && pending.length > 0) this.#apply(pending);
      pending = [];
    };
    for await (const event of this.#events(turns, asking, controller.signal)) {
      const goesOn = event.type === 'text-delta' || event.type === 'assigned';
      if (pending.length === 0 && goesOn) nextFrame(flush);
      pending.push(event);
    }
    // A cleared conversation has forgotten this answer.
    if (!current()) return;
    flush();
    this.#running = null;
    const answer = this.#turns.at(-1)?.answer;
    if (answer !== undefined && isEnded(answer)) onEnd(answer);
  }

  #apply(events: readonly AnswerEvent[]): void {
    const last = this.#turns.at(-1);
    if (last === undefined) return;
    this.#set([...this.#turns.slice(0, -1), { ...last, answer: events.reduce(step, last.answer) }]);
  }

  #set(turns: readonly Turn[]): void {
    this.#turns = turns;
    this.#options.onChange(turns);
  }
}
