/** The conversation of this tab: it goes on while another page is shown, and is kept in the tab's own storage. */
import { announcer } from '../app/announcer.svelte.ts';
import { readStored, writeStored } from '../app/storage.ts';
import { networkState } from '../network/network.svelte.ts';
import { preferredModel } from '../network/model-state.ts';
import { isEnded, type Answer } from './answer.ts';
import { restored, saved, type Turn } from './conversation.ts';
import { remedyOf } from './remedy.ts';
import { ChatSession } from './session.ts';

const keys = { turns: 'tussah.chat.1', model: 'tussah.model', apiKey: 'tussah.api-key' } as const;

class Chat {
  turns: readonly Turn[] = $state.raw(restored(readStored(keys.turns)));
  /** What is being written; it survives a look at another page. */
  draft: string = $state('');
  #wanted: string | null = $state(readStored(keys.model));
  #apiKey: string | null = $state(readStored(keys.apiKey));
  readonly #session = new ChatSession(
    {
      fetch: (url, init) => fetch(url, init),
      now: () => performance.now(),
      nextFrame,
      onChange: (turns) => (this.turns = turns),
      onEnd: (answer) => this.#ended(answer),
    },
    this.turns,
  );
  readonly running: boolean = $derived(this.turns.some((turn) => !isEnded(turn.answer)));
  /** The model asked next; undefined until the coordinator said which there are. */
  readonly model: string | undefined = $derived(preferredModel(networkState.models ?? [], this.#wanted));

  constructor() {
    addEventListener('pagehide', () => this.#save());
  }

  /** Null asks as a guest. */
  get apiKey(): string | null {
    return this.#apiKey;
  }

  set apiKey(key: string | null) {
    this.#apiKey = key;
    writeStored(keys.apiKey, key);
  }

  choose(model: string): void {
    this.#wanted = model;
    writeStored(keys.model, model);
  }

  ask(text: string): void {
    const question = text.trim();
    if (question === '' || this.model === undefined || this.running) return;
    this.draft = '';
    announcer.say('Asking.');
    void this.#session.ask(question, this.model, this.apiKey);
  }

  /** A new answer to the last question, by the model chosen now; `alone` leaves the earlier turns out. */
  askAgain(alone = false): void {
    if (this.model === undefined || this.running) return;
    announcer.say('Asking again.');
    void this.#session.askAgain(this.model, this.apiKey, alone);
  }

  stop(): void {
    this.#session.stop();
  }

  clear(): void {
    this.#session.clear();
    this.#save();
    announcer.say('New chat.');
  }

  #ended(answer: Answer): void {
    this.#save();
    if (answer.phase === 'failed')
      announcer.alert(`No whole answer. ${answer.failure.message} ${remedyOf(answer.failure)}`);
    else announcer.say(answer.phase === 'stopped' ? 'Stopped.' : 'The answer is complete.');
    // What an answer changed: who is free, and what guests have left.
    void networkState.read();
  }

  #save(): void {
    writeStored(keys.turns, this.turns.length === 0 ? null : saved(this.turns));
  }
}

/** With the next frame, or a little later where the page is hidden and draws none. */
function nextFrame(callback: () => void): void {
  let called = false;
  const once = () => {
    if (called) return;
    called = true;
    callback();
  };
  requestAnimationFrame(once);
  setTimeout(once, 250);
}

export const chat = new Chat();
