/**
 * One WebSocket between a contributor and the coordinator, with what a network does to it: delay, loss (of a frame, and the
 * connection with it), and for some repetition and reordering, which TCP excludes but a broken middlebox or client does not.
 */
import type { ContributorFrame, CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import type { LiveProcess, Peer, Wire, Surroundings } from './parts.ts';

export class Link implements Wire {
  readonly id: string;
  readonly shaky: boolean;
  readonly #world: Surroundings;
  readonly #process: LiveProcess;
  readonly #contributor: Peer;
  /** Each end's own view. */
  #openHere = true;
  #openThere = true;
  #broken = false;
  #upMs = 0;
  #downMs = 0;

  constructor(world: Surroundings, process: LiveProcess, contributor: Peer, shaky: boolean) {
    this.#world = world;
    this.#process = process;
    this.#contributor = contributor;
    this.shaky = shaky;
    this.id = `c${world.serial()}`;
    process.links.set(this.id, this);
    process.post({ type: 'connection-opened', connectionId: this.id, nonce: world.random.hex(16) });
  }

  /** From the contributor. */
  up(frame: ContributorFrame): void {
    this.#carry('up', () => this.#process.receive(this.id, frame));
  }

  /** What the shell refuses before the core sees it. */
  upMalformed(): void {
    this.#carry('up', () => {
      if (!this.#process.links.has(this.id)) return;
      this.#process.post({
        type: 'connection-breached',
        connectionId: this.id,
        refusal: { closeCode: 4400, code: 'malformed_frame', message: 'm', remedy: 'r', retry: true },
      });
    });
  }

  /** From the coordinator. */
  down(frame: CoordinatorFrame): void {
    this.#carry('down', () => this.#contributor.hear(this, frame));
  }

  closeByContributor(): void {
    if (!this.#openThere) return;
    this.#carry('up', () => this.#closedHere());
    this.#openThere = false;
  }

  closeByCoordinator(): void {
    this.#carry('down', () => this.#closedThere());
    this.#openHere = false;
  }

  /** The process is gone; the contributor sees a reset, before some of the last frames or after them. */
  cutByCoordinator(): void {
    this.#openHere = false;
    this.#world.agenda.after(this.#delayMs(), () => this.#closedThere());
  }

  /** The network breaks: each end notices in its own time, the coordinator perhaps by silence only. */
  break(): void {
    if (this.#broken) return;
    const { agenda, random, weather } = this.#world;
    this.#broken = true;
    agenda.after(random.around(300), () => this.#closedThere());
    if (!random.chance(weather.halfOpenRate)) agenda.after(random.around(300), () => this.#closedHere());
  }

  #carry(way: 'up' | 'down', arrive: () => void): void {
    const { agenda, random, weather } = this.#world;
    if (this.#broken || !(way === 'up' ? this.#openThere : this.#openHere)) return;
    if (random.chance(weather.lossRate)) return this.break();
    let atMs = agenda.nowMs + this.#delayMs();
    // TCP keeps the order.
    if (!this.shaky) atMs = Math.max(atMs, way === 'up' ? this.#upMs : this.#downMs);
    if (way === 'up') this.#upMs = atMs;
    else this.#downMs = atMs;
    const once = () => {
      if (!this.#broken) arrive();
    };
    agenda.at(atMs, once);
    if (this.shaky && random.chance(0.03)) agenda.after(random.around(200), once);
  }

  #closedHere(): void {
    if (!this.#openHere) return;
    this.#openHere = false;
    if (this.#process.links.delete(this.id))
      this.#process.post({ type: 'connection-closed', connectionId: this.id });
  }

  #closedThere(): void {
    if (!this.#openThere) return;
    this.#openThere = false;
    this.#contributor.lost(this);
  }

  #delayMs(): number {
    const { random, weather } = this.#world;
    const base = random.around(weather.linkDelayMs);
    return this.shaky && random.chance(0.05) ? base + random.around(400) : base;
  }
}
