/** Asks in the private tier, through the desk. Expected failures are events; it does not throw. */
import type { AnswerEvent } from '../chat/answer.ts';
import type { Question } from '../chat/ask.ts';
import type { PrivateOptions } from '../chat/session.ts';
import type { Desk, DeskEvent } from './desk-api.ts';
import { deskBroken } from './desk-broken.ts';
import type { OpenDesk } from './open-desk.ts';

/** What of an open desk an answer needs. */
export type AskingDesk = Pick<OpenDesk, 'broken' | 'listener'> & {
  readonly desk: Pick<Desk, 'ask' | 'stop'>;
};

const ends: ReadonlySet<AnswerEvent['type']> = new Set(['finished', 'failed', 'stopped']);

/** Yields what comes, then exactly one of `finished`, `failed` and `stopped`. */
export async function* askPrivately(
  open: () => Promise<AskingDesk>,
  question: Question,
  { apiKey, signal, now }: PrivateOptions,
): AsyncGenerator<AnswerEvent, void, void> {
  const queue = new EventQueue();
  const id = crypto.randomUUID();
  const broken = () => queue.push({ type: 'failed', failure: deskBroken });
  const stopped = () => queue.push({ type: 'stopped' });
  const run = async () => {
    const { desk, broken: breaking, listener } = await open();
    if (signal.aborted) return stopped();
    void breaking.then(broken);
    const onAbort = () => {
      // Shown as stopped at once; the desk tells the coordinator.
      stopped();
      void desk.stop(id).catch(() => undefined);
    };
    signal.addEventListener('abort', onAbort);
    const onEvent = (event: DeskEvent) =>
      queue.push(event.type === 'text-delta' ? { ...event, atMs: now() } : event);
    await desk.ask(id, question, apiKey, listener(onEvent)).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  };
  // After the last event; without one, whoever should have said it has failed.
  void run().then(broken, broken);
  for (;;) {
    const event = await queue.next();
    yield event;
    if (ends.has(event.type)) return;
  }
}

/** Events that came, for one reader. */
class EventQueue {
  readonly #events: AnswerEvent[] = [];
  #wake: (() => void) | undefined;

  push(event: AnswerEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  async next(): Promise<AnswerEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
