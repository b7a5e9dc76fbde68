/** The contributors of one build. One of them is killed at a chosen token of an answer, and another takes its place. */
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import type { EngineChoice } from '@tussah/worker-runtime/contributor/host-bridge';
import type { Browser } from 'playwright';
import { MODEL, type NetworkUnderTest } from '../network-under-test.ts';
import { KillableContributor } from './contributor.ts';
import type { Kill } from './kills.ts';

/** A kill, and where: the last token that may still be delivered before it. */
export interface Cut {
  readonly kill: Kill;
  readonly position: number;
}

export interface Watched {
  /** Token ids of the answer as they were sent to the coordinator, whoever made them. */
  readonly ids: readonly number[];
}

/** One that is killed, one that goes on, and one that starts meanwhile. */
const SIZE = 3;

export class Crew {
  readonly #network: NetworkUnderTest;
  readonly #engine: EngineChoice;
  readonly #ready = new Set<KillableContributor>();
  readonly #opening = new Set<Promise<void>>();
  readonly #struck = new Map<KillableContributor, Kill>();
  readonly #strikes: Promise<unknown>[] = [];
  /** Of the current answer: cuts to come, ids so far, and who made some of them. */
  #due: Cut[] = [];
  #ids: number[] = [];
  #begun = new Set<KillableContributor>();
  /** Characters on their way to the client. */
  #unheard = 0;
  #onHeard: (() => void) | undefined;

  constructor(network: NetworkUnderTest, engine: EngineChoice) {
    this.#network = network;
    this.#engine = engine;
    for (let i = 0; i < SIZE; i++) this.#open();
  }

  /** Waits until so many are ready for jobs. */
  async muster(count: number): Promise<void> {
    while (this.#ready.size < count) await Promise.race(this.#opening);
  }

  /** Runs `ask`, one answer that says what it hears, and strikes whoever is answering at each cut. */
  async watch<T>(
    cuts: readonly Cut[],
    ask: (onText: (text: string) => void) => Promise<T>,
  ): Promise<T & Watched> {
    this.#due = [...cuts];
    this.#ids = [];
    this.#begun = new Set();
    this.#unheard = 0;
    const said = await ask((text) => {
      this.#unheard -= text.length;
      if (this.#unheard > 0) return;
      this.#onHeard?.();
      this.#onHeard = undefined;
    });
    await Promise.all(this.#strikes.splice(0));
    await Promise.all([...this.#struck].map(([victim, kill]) => bury(victim, kill)));
    this.#struck.clear();
    return { ...said, ids: this.#ids };
  }

  #open(browser?: Browser): void {
    const opening = this.#start(browser);
    this.#opening.add(opening);
    // Whoever musters is told of a failure.
    opening.then(
      () => this.#opening.delete(opening),
      () => undefined,
    );
  }

  async #start(browser: Browser | undefined): Promise<void> {
    const contributor = await KillableContributor.open({
      browser: browser ?? (await this.#network.browser()),
      url: this.#network.url,
      model: MODEL,
      engine: this.#engine,
      passes: (frame, from) => this.#passes(frame, from),
    });
    this.#ready.add(contributor);
  }

  #passes(frame: ContributorFrame, from: KillableContributor): boolean {
    const held = this.#isHeld(frame, from);
    if (!held && frame.type === 'text-delta') {
      this.#begun.add(from);
      this.#ids.push(...frame.ids);
      this.#unheard += frame.text.length;
    }
    return !held;
  }

  #isHeld(frame: ContributorFrame, from: KillableContributor): boolean {
    const answers = frame.type === 'text-delta' || frame.type === 'job-done';
    const struck = this.#struck.get(from);
    if (struck !== undefined) return answers || struck.speaks !== true;
    const cut = this.#due[0];
    // Everybody delivers something first, so that each cut shows in the receipt.
    if (!answers || cut === undefined || !this.#begun.has(from)) return false;
    const reached = frame.type === 'job-done' || frame.position + frame.ids.length > cut.position;
    if (reached) this.#strike(from, cut.kill);
    return reached;
  }

  #strike(victim: KillableContributor, kill: Kill): void {
    this.#due.shift();
    this.#ready.delete(victim);
    this.#struck.set(victim, kill);
    const strike = () => {
      const striking = kill.strike(victim);
      this.#strikes.push(striking);
      // Its failure is told when the answer is over.
      striking.catch(() => undefined);
    };
    // What was let through is to arrive, so that the cut falls where it was drawn.
    if (this.#unheard === 0) strike();
    else this.#onHeard = strike;
    this.#open(kill.spoilsBrowser === true ? undefined : victim.browser);
  }
}

const bury = (victim: KillableContributor, kill: Kill): Promise<void> =>
  kill.spoilsBrowser === true ? victim.browser.close() : victim.page.context().close();
