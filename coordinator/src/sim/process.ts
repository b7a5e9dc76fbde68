/**
 * One life of the coordinator: the production `step` inside a model of its shell. Effects are performed late, some never; a
 * crash ends it at any of them, and what it held in memory is gone.
 */
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import { canonicalText } from '@tussah/protocol/canonical';
import { segmentStatement } from '@tussah/protocol/receipts';
import type { Effect, Event } from '../core/events.ts';
import { initialState, type JobRequest, type State } from '../core/state.ts';
import { step } from '../core/step.ts';
import { codecs, models, signatureOf } from './language.ts';
import type { Asking, LiveProcess, Surroundings, Wire } from './parts.ts';
import { Streams } from './streams.ts';

/** How often the shell lets the core look at deadlines. */
const TICK_MS = 50;
/** As in the shell: how long running answers may go on after a signal to stop, and then their settlements. */
const DRAIN_MS = 8_000;
const SETTLE_MS = 3_000;

export class Process implements LiveProcess {
  readonly world: Surroundings;
  state: State;
  alive = true;
  readonly links = new Map<string, Wire>();
  readonly streams: Streams;
  readonly #pending: Event[] = [];
  #running = false;
  #lastMs = 0;

  constructor(world: Surroundings) {
    this.world = world;
    this.streams = new Streams(this);
    const { books } = world;
    this.state = initialState({
      config: world.weather.config,
      coordinator: world.coordinatorKey,
      models,
      balances: new Map(books.balances),
      totals: { answered: 0, completionTokens: 0 },
    });
    this.#lastMs = world.clockMs;
  }

  start(): void {
    this.post({ type: 'jobs-recovered', checkpoints: [...this.world.books.checkpoints.values()] });
    this.#tickSoon();
  }

  /** The time that the core is told: the clock's, but never backwards. */
  get atMs(): number {
    return this.#lastMs;
  }

  /** Runs an event and what it brings about; events posted meanwhile run after it. */
  post(event: Event): void {
    if (!this.alive) return;
    this.#pending.push(event);
    if (this.#running) return;
    this.#running = true;
    for (let next = this.#pending.shift(); next !== undefined && this.alive; next = this.#pending.shift())
      this.#take(next);
    this.#running = false;
  }

  /** Posts later, if this life lasts that long. */
  later(delayMs: number, event: () => Event): void {
    this.world.agenda.after(delayMs, () => {
      if (this.alive) this.post(event());
    });
  }

  ask(ask: Asking, request: JobRequest): void {
    this.streams.open(request, ask);
    this.post({ type: 'job-submitted', request });
  }

  /** All that is in memory is gone, and all connections are cut. */
  die(): void {
    this.alive = false;
    for (const link of this.links.values()) link.cutByCoordinator();
    this.streams.die();
  }

  /** As on SIGTERM: running answers may end, the rest is cut off; then it ends in order. */
  drain(then: () => void): void {
    this.post({ type: 'drain' });
    const { agenda } = this.world;
    const whenEnded = (byMs: number, next: () => void): void => {
      if (!this.alive) return;
      if (this.state.jobs.size === 0 || agenda.nowMs >= byMs) next();
      else agenda.after(20, () => whenEnded(byMs, next));
    };
    whenEnded(agenda.nowMs + DRAIN_MS, () => {
      for (const jobId of this.state.jobs.keys())
        this.post({ type: 'job-abandoned', jobId, code: 'shutting_down' });
      whenEnded(agenda.nowMs + SETTLE_MS, then);
    });
  }

  #tickSoon(): void {
    this.world.agenda.after(TICK_MS, () => {
      if (!this.alive) return;
      this.post({ type: 'tick' });
      this.#tickSoon();
    });
  }

  #take(event: Event): void {
    const { world } = this;
    this.#lastMs = Math.max(this.#lastMs, world.clockMs);
    const timed = { ...event, atMs: this.#lastMs };
    world.watch.before(this.state, timed);
    const { state, effects } = step(this.state, timed, codecs);
    this.state = state;
    world.watch.after(state, timed, effects);
    for (const effect of effects) {
      if (world.crashes(effect, 'before')) return;
      this.#perform(effect);
      if (world.crashes(effect, 'after')) return;
    }
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        return this.links.get(effect.connectionId)?.down(effect.frame);
      case 'close':
        this.links.get(effect.connectionId)?.closeByCoordinator();
        this.links.delete(effect.connectionId);
        return;
      case 'check-hello':
        return this.#checkHello(effect);
      case 'check-segment':
        return this.#checkSegment(effect);
      case 'deliver':
        return this.streams.deliver(effect);
      case 'checkpoint':
        return this.streams.checkpoint(effect.checkpoint, effect.awaited);
      case 'forget-checkpoint':
        return this.world.books.write({ kind: 'forget-checkpoint', jobId: effect.jobId }, () => undefined);
      case 'settle':
        return this.#settle(effect);
      case 'complete':
        return this.streams.end(effect.jobId, { kind: 'complete', answer: effect.answer });
      case 'fail':
      case 'resume-refused': {
        const receipt = effect.type === 'fail' ? effect.receipt : null;
        return this.streams.end(effect.jobId, { kind: 'failed', code: effect.failure.code, receipt });
      }
      // No nodes are simulated.
      case 'private':
      case 'note':
        return undefined;
      default:
        return effect satisfies never;
    }
  }

  #checkHello({ connectionId, nonce, hello }: Extract<Effect, { type: 'check-hello' }>): void {
    const { books, random } = this.world;
    const valid = hello.signature === signatureOf(hello.publicKey, `hello|${nonce}`);
    const record = books.records.get(hello.publicKey);
    this.later(this.#checkDelayMs(), () => ({
      type: 'hello-checked',
      connectionId,
      hello,
      valid,
      record: { ...(record ?? { jobsDone: 0, jobsFailed: 0, tokens: 0, tokensPerSecond: null }) },
      sessionId: `sess_${random.hex(12)}`,
    }));
  }

  #checkSegment({ jobId, publicKey, facts, signature }: Extract<Effect, { type: 'check-segment' }>): void {
    const valid = signature === signatureOf(publicKey, canonicalText(segmentStatement(facts)));
    this.later(this.#checkDelayMs(), () => ({ type: 'segment-checked', jobId, publicKey, valid }));
  }

  #checkDelayMs(): number {
    return this.world.random.around(this.world.weather.checkDelayMs);
  }

  #settle({ draft }: Extract<Effect, { type: 'settle' }>): void {
    const receipt = { ...draft.receipt, signature: 'signed' };
    const { jobId } = draft;
    this.world.books.write({ kind: 'settlement', draft, receipt }, (durable) =>
      this.post(durable ? { type: 'settled', jobId, receipt } : { type: 'settlement-failed', jobId }),
    );
  }

  receive(connectionId: string, frame: ContributorFrame): void {
    if (this.links.has(connectionId)) this.post({ type: 'frame-received', connectionId, frame });
  }
}
