/**
 * A chat without its page: asks, stops, asks again, and tells of every change at most once a frame. The newest turn is
 * the only one that can be running.
 */
import { asked, isEnded, step, type Answer, type AnswerEvent } from './answer.ts';
import { ask, type AskOptions } from './ask.ts';
import { messagesOf, type Turn } from './conversation.ts';

export interface SessionOptions {
  readonly fetch: AskOptions['fetch'];
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
  async ask(question: string, model: string, apiKey: string | null): Promise<void> {
    if (this.#running !== null) return;
    await this.#run([...this.#turns, this.#turn(question, model, false)], apiKey);
  }

  /** Replaces the last answer by a new one; `alone` leaves the earlier turns out from here on. */
  async askAgain(model: string, apiKey: string | null, alone = false): Promise<void> {
    const last = this.#turns.at(-1);
    if (last === undefined || this.#running !== null) return;
    const again = this.#turn(last.question, model, last.fresh || alone);
    await this.#run([...this.#turns.slice(0, -1), again], apiKey);
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

  #turn(question: string, model: string, fresh: boolean): Turn {
    return { id: this.#nextId++, question, model, fresh, answer: asked(this.#options.now()) };
  }

  async #run(turns: readonly Turn[], apiKey: string | null): Promise<void> {
    const controller = new AbortController();
    const { fetch, now, nextFrame, onEnd, reconnecting = {} } = this.#options;
    this.#running = controller;
    this.#set(turns);
    const model = turns.at(-1)?.model ?? '';
    let pending: AnswerEvent[] = [];
    const current = () => this.#running === controller;
    const flush = () => {
      if (current() && pending.length > 0) this.#apply(pending);
      pending = [];
    };
    const options = { fetch, now, apiKey, signal: controller.signal, reconnecting };
    for await (const event of ask({ model, messages: messagesOf(turns) }, options)) {
      if (pending.length === 0 && event.type === 'text-delta') nextFrame(flush);
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
