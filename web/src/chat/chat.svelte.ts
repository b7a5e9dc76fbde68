/** The conversation of this tab: it goes on while another page is shown, and is kept in the tab's own storage. */
import { announcer } from '../app/announcer.svelte.ts';
import { readStored, writeStored } from '../app/storage.ts';
import { askPrivately } from '../private/ask-privately.ts';
import { privateTier } from '../private/private-tier.svelte.ts';
import { networkState } from '../network/network.svelte.ts';
import { preferredModel } from '../network/model-state.ts';
import { isEnded, type Answer } from './answer.ts';
import { partsWith, restored, saved, type Turn } from './conversation.ts';
import { remedyOf } from './remedy.ts';
import { ChatSession, type Asking } from './session.ts';

const keys = { turns: 'tussah.chat.2', model: 'tussah.model', apiKey: 'tussah.api-key' } as const;

class Chat {
  turns: readonly Turn[] = $state.raw(restored(readStored(keys.turns)));
  /** What is being written; it survives a look at another page. */
  draft: string = $state('');
  #wanted: string | null = $state(readStored(keys.model));
  #apiKey: string | null = $state(readStored(keys.apiKey));
  readonly #session = new ChatSession(
    {
      fetch: (url, init) => fetch(url, init),
      askPrivately: (question, options) => askPrivately(privateTier.open, question, options),
      now: () => performance.now(),
      nextFrame,
      onChange: (turns) => (this.turns = turns),
      onEnd: (answer) => this.#ended(answer),
    },
    this.turns,
  );
  readonly running: boolean = $derived(this.turns.some((turn) => !isEnded(turn.answer)));
  /** The model asked next; undefined until the coordinator said which there are. */
  readonly model: string | undefined = $derived(
    preferredModel(networkState.models ?? [], this.#wanted, this.privateModels),
  );
  /** Whether the next question would leave all turns behind, because they are private and it is not. */
  readonly parts: boolean = $derived(partsWith(this.turns, privateTier.tier));

  /** In private only what the policy names can be asked; undefined in public. */
  get privateModels(): readonly string[] | undefined {
    return privateTier.tier === 'private' ? privateTier.policy?.models : undefined;
  }

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
    const asking = this.#asking(privateTier.tier);
    if (question === '' || asking === undefined || this.running) return;
    this.draft = '';
    announcer.say(asking.tier === 'private' ? 'Asking in private.' : 'Asking.');
    void this.#session.ask(question, asking);
  }

  /**
   * A new answer to the last question, by the model chosen now; `alone` leaves the earlier turns out. A private question stays
   * private, whatever the next one will be.
   */
  askAgain(alone = false): void {
    const last = this.turns.at(-1);
    const asking = this.#asking(last?.tier === 'private' ? 'private' : privateTier.tier);
    if (asking === undefined || last === undefined || this.running) return;
    announcer.say(asking.tier === 'private' ? 'Asking again in private.' : 'Asking again.');
    const model = asking.tier === privateTier.tier ? asking.model : last.model;
    void this.#session.askAgain({ ...asking, model }, alone);
  }

  stop(): void {
    this.#session.stop();
  }

  clear(): void {
    this.#session.clear();
    this.#save();
    announcer.say('New chat.');
  }

  #asking(tier: Asking['tier']): Asking | undefined {
    return this.model === undefined ? undefined : { model: this.model, tier, apiKey: this.apiKey };
  }

  #ended(answer: Answer): void {
    this.#save();
    if (answer.phase === 'failed')
      announcer.alert(`No whole answer. ${answer.failure.message} ${remedyOf(answer.failure)}`);
    else if (answer.phase === 'done' && answer.proof?.failure)
      announcer.alert(`The answer is complete. ${answer.proof.failure.message}`);
    else announcer.say(answer.phase === 'stopped' ? 'Stopped.' : 'The answer is complete.');
    const asked = this.turns.at(-1);
    if (asked?.tier === 'private' && answer.phase === 'failed')
      void privateTier.verify(asked.model, this.apiKey);
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
