/**
 * A simulated network, everything in it drawn from one seed: contributors and clients of all kinds around one coordinator that
 * crashes, restarts and recovers. The model is TigerBeetle's VOPR.
 */
import type { Effect } from '../core/events.ts';
import { ledgerAccounts } from '../core/ledger.ts';
import { Agenda } from './agenda.ts';
import { Books } from './books.ts';
import { Client } from './client.ts';
import { Contributor } from './contributor.ts';
import { Coverage } from './coverage.ts';
import { temperFor } from './lies.ts';
import type { Surroundings } from './parts.ts';
import { probe } from './probe.ts';
import { Process } from './process.ts';
import { Random } from './random.ts';
import { Trace } from './trace.ts';
import { Watch } from './watch.ts';
import { weatherOf, type Weather } from './weather.ts';

export interface Plan {
  readonly seed: number;
  /** Events given to the core before the troubles end and everything must come to its end. */
  readonly steps: number;
  readonly contributors: number;
  readonly clients: number;
}

/** What a run found to be wrong; the same plan finds it again. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
}

export const effectTypes: readonly Effect['type'][] = [
  'send',
  'close',
  'check-hello',
  'check-segment',
  'deliver',
  'checkpoint',
  'forget-checkpoint',
  'settle',
  'complete',
  'fail',
  'resume-refused',
  'note',
];

/** An armed crash happens at the next effect of its type; if none comes, at any time after this. */
const CRASH_WITHIN_MS = 20_000;
/** Everybody's jobs must have ended within this after the troubles; the longest wait is five minutes. */
const QUIET_MS = 3_600_000;

export class World implements Surroundings {
  readonly plan: Plan;
  readonly random: Random;
  readonly agenda = new Agenda();
  readonly weather: Weather;
  readonly books: Books;
  readonly watch: Watch;
  readonly trace = new Trace();
  readonly coordinatorKey: string;
  readonly wallets: readonly string[];
  /** Networks that guests come from. */
  readonly networks: number;
  process: Process | null = null;
  /** Lives of the coordinator so far. */
  life = 0;
  /** The troubles have ended: nobody asks any more, and everything must come to its end. */
  over = false;
  /** How far the clock has jumped, and how long it was down: what was to end by now may be late by that. */
  lateMs = 0;
  /** How far the clock has jumped. */
  jumpedMs = 0;
  readonly crashedAt = new Map<string, number>();
  /** Jobs that wait though somebody could serve them, with when that was seen first. */
  readonly #vain = new Map<string, number>();
  #clockOffsetMs = 1_700_000_000_000;
  #armed: { readonly effect: Effect['type']; readonly when: 'before' | 'after' } | null = null;
  #serial = 0;

  constructor(plan: Plan, coverage: Coverage = new Coverage()) {
    this.plan = plan;
    this.random = new Random(plan.seed);
    const { random } = this;
    this.weather = weatherOf(random);
    this.coordinatorKey = random.hex(64);
    this.wallets = Array.from({ length: 5 }, () => random.hex(48));
    this.networks = Math.max(2, plan.clients);
    this.books = new Books(this.agenda, random, this.weather, (fault) => this.complain(fault));
    this.watch = new Watch(this, coverage);
    this.books.fund(ledgerAccounts.guests, random.pick([5_000n, 1_000_000_000n]));
    for (let i = 0; i < plan.contributors; i++) this.#addContributor();
    for (let i = 0; i < plan.clients; i++) this.#addClient(i);
  }

  #addContributor(): void {
    const contributor = new Contributor(this, temperFor(this.random, this.weather.malice));
    this.agenda.after(this.random.around(2_000), () => contributor.connect());
  }

  #addClient(i: number): void {
    const { random } = this;
    const guest = random.chance(0.3);
    const account = guest ? null : `acct_${i}`;
    if (account !== null)
      this.books.fund(
        ledgerAccounts.client(account),
        random.pick([0n, 2_000n, 10_000_000n, 10_000_000n, 10_000_000n]),
      );
    new Client(this, account, random.pick([1, 1, 1, 4])).live();
  }

  /** What the host's clock shows. */
  get clockMs(): number {
    return this.agenda.nowMs + this.#clockOffsetMs;
  }

  serial(): number {
    return this.#serial++;
  }

  complain(fault: string): never {
    const { seed, steps, contributors, clients } = this.plan;
    throw new SimulationFailure(
      `seed ${seed}, step ${this.watch.steps}: ${fault}\n` +
        `  again: npm run sim -- --seed ${seed} --steps ${steps} --contributors ${contributors} --clients ${clients}\n` +
        `the last steps:\n${this.trace.text()}`,
    );
  }

  /** A job waits in vain: allowed until the next chance to look, not longer. */
  vain(jobId: string, publicKey: string): void {
    const { nowMs } = this.agenda;
    const since = this.#vain.get(jobId);
    if (since === undefined || nowMs - since > 60_000) this.#vain.set(jobId, nowMs);
    else if (nowMs - since > 1_000)
      this.complain(`${jobId} waits, though ${publicKey.slice(0, 8)} is idle and could serve it`);
  }

  /** Runs the plan; `progress` is told now and then how many steps were made. */
  run(progress: (steps: number) => void = () => undefined): void {
    this.#restart();
    this.#armCrash();
    this.#jumpClock();
    this.#probe();
    this.#topUp();
    const act = () => {
      try {
        if (!this.agenda.advance()) this.complain('nothing is planned any more');
      } catch (error) {
        if (error instanceof SimulationFailure) throw error;
        this.complain(`a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
    };
    for (let acts = 0; this.watch.steps < this.plan.steps; acts++) {
      act();
      if (acts % 10_000 === 0) progress(this.watch.steps);
    }
    this.#endTroubles();
    const untilMs = this.agenda.nowMs + QUIET_MS;
    while (!this.#isQuiet() && this.agenda.nowMs < untilMs) act();
    this.#checkEnd();
    progress(this.watch.steps);
  }

  #isQuiet(): boolean {
    if (this.process === null || this.process.state.jobs.size > 0 || !this.books.idle) return false;
    for (const { ask } of this.watch.shadows.values()) if (!ask.isOver) return false;
    return true;
  }

  #endTroubles(): void {
    this.over = true;
    this.#armed = null;
    Object.assign(this.weather, { lossRate: 0, settlementFailRate: 0, checkpointLossRate: 0, misfortune: 0 });
  }

  #checkEnd(): void {
    const state = this.process?.state;
    if (state === undefined) this.complain('the coordinator did not come back');
    this.watch.checkAll(state, this.process?.atMs ?? 0);
    for (const [id, { phase }] of state.jobs) this.complain(`${id} never ended; it is ${phase}`);
    if (state.reserved.size + state.flows.size > 0) this.complain('something is still reserved');
    if (this.books.checkpoints.size > 0) this.complain('a checkpoint was left behind');
    this.watch.checkEnd();
  }

  // Troubles.

  crashes(effect: Effect, when: 'before' | 'after'): boolean {
    const armed = this.#armed;
    if (armed?.effect !== effect.type || armed.when !== when) return false;
    this.#crash(`${when} ${effect.type}`);
    return true;
  }

  #armCrash(): void {
    const { random, agenda, weather } = this;
    if (weather.crashEveryMs === 0) return;
    agenda.after(random.around(weather.crashEveryMs), () => {
      if (this.over) return;
      if (random.chance(weather.drainShare)) this.#drain();
      else {
        const armed = { effect: random.pick(effectTypes), when: random.pick(['before', 'after'] as const) };
        this.#armed = armed;
        agenda.after(CRASH_WITHIN_MS, () => {
          if (this.#armed === armed) this.#crash('at rest');
        });
      }
      this.#armCrash();
    });
  }

  #crash(where: string): void {
    const { process, random } = this;
    if (process === null) return;
    this.#armed = null;
    this.watch.checkAll(process.state, process.atMs);
    this.crashedAt.set(where, (this.crashedAt.get(where) ?? 0) + 1);
    this.process = null;
    process.die();
    this.books.crash();
    this.#restartAfter(random.pick([100, 3_000, 30_000]));
  }

  #drain(): void {
    const { process } = this;
    if (process === null || process.state.draining) return;
    process.drain(() => {
      if (this.process !== process) return;
      this.crashedAt.set('drained', (this.crashedAt.get('drained') ?? 0) + 1);
      this.watch.checkAll(process.state, process.atMs);
      // The store is closed last: what was written before is written.
      const close = () => {
        if (this.process !== process) return;
        if (!this.books.idle) {
          this.agenda.after(10, close);
          return;
        }
        this.process = null;
        process.die();
        this.#restartAfter(2_000);
      };
      close();
    });
  }

  #restartAfter(meanMs: number): void {
    const downMs = this.random.around(meanMs);
    this.lateMs += downMs;
    this.agenda.after(downMs, () => this.#restart());
  }

  #restart(): void {
    this.life += 1;
    this.lateMs += this.weather.config.resumeWindowMs;
    const process = new Process(this);
    this.process = process;
    process.start();
  }

  /** Forwards by up to hours; or back, which the shell does not let the core see. */
  #jumpClock(): void {
    const { random, agenda, weather } = this;
    if (weather.clockJumpEveryMs === 0) return;
    agenda.after(random.around(weather.clockJumpEveryMs), () => {
      if (this.over) return;
      const jumpMs = random.pick([-60_000, -1_000, 500, 20_000, 600_000, 14_400_000, 86_400_000]);
      this.#clockOffsetMs += jumpMs;
      this.jumpedMs += Math.abs(jumpMs);
      this.lateMs += Math.abs(jumpMs);
      this.#jumpClock();
    });
  }

  /** Credit that an operator gives to somebody. */
  #topUp(): void {
    const { random, agenda } = this;
    agenda.after(random.around(20_000), () => {
      const { process } = this;
      if (this.over) return;
      this.#topUp();
      if (process === null) return;
      const account = ledgerAccounts.client(`acct_${random.below(this.plan.clients)}`);
      const amountNano = 1n + BigInt(random.below(100_000));
      const transaction = {
        key: `credit:${this.serial()}`,
        kind: 'credit' as const,
        atMs: this.clockMs,
        receiptId: null,
        entries: [
          { account, amountNano },
          { account: ledgerAccounts.development, amountNano: -amountNano },
        ],
      };
      this.books.write({ kind: 'credit', transaction }, () =>
        process.post({ type: 'credited', transaction }),
      );
    });
  }

  #probe(): void {
    this.agenda.after(this.random.around(1_000), () => {
      if (this.over) return;
      this.#probe();
      probe(this);
    });
  }
}
