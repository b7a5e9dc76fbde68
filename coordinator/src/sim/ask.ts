/** One question of a client: its connection, what has arrived, and how it ended. */
import type { Receipt } from '@tussah/protocol/receipts';
import type { Asking, AskState, Chunk, Ending, LiveProcess, Question, Surroundings } from './parts.ts';

interface Connection {
  readonly process: LiveProcess;
  readonly left: () => void;
  open: boolean;
  /** When what was sent last arrives. */
  lastMs: number;
}

/** How long, and how often, a resumable client tries to come back. */
const RETURN_WITHIN_MS = 90_000;
const RETRY_MS = 700;

export class Ask implements Asking {
  readonly world: Surroundings;
  readonly question: Question;
  readonly readsSlowly: boolean;
  jobId = '';
  state: AskState = 'open';
  /** Token ids that have arrived; of answers that are not streamed, at their end. */
  ids: number[] = [];
  text = '';
  receipt: Receipt | null = null;
  code = '';
  endings = 0;
  /** What was under way when the client itself left is lost, and it may be charged for it. */
  lostOnItsWay = false;
  /** It is somebody else who pretends; it must get nothing. */
  impostor = false;
  readonly #unseen: number[] = [];
  #connection: Connection | null = null;
  /** Why it is, or was last, away; and whether the clock of the coordinator, too, said it was not for long. */
  away: 'never' | 'cut' | 'left' | 'long' = 'never';
  #awaySinceMs = 0;
  #awayLateMs = 0;

  constructor(world: Surroundings, question: Question, readsSlowly: boolean) {
    this.world = world;
    this.question = question;
    this.readsSlowly = readsSlowly;
  }

  get isOver(): boolean {
    return this.state !== 'open' && this.state !== 'away';
  }

  /** Sends the request to whatever process serves now. */
  begin(): void {
    const { process, random } = this.world;
    if (process === null) return this.#finish('failed', 'unreachable');
    const id = `job_${random.hex(12)}`;
    const seedRoot = this.question.seedRoot === '' ? id : this.question.seedRoot;
    this.jobId = id;
    this.world.watch.asked(this);
    process.ask(this, { ...this.question, id, seedRoot, receiptId: `rcp_${id}` });
  }

  connect(process: LiveProcess, left: () => void): void {
    if (this.state !== 'open') throw new Error('an ask that is over has connected');
    this.#connection = { process, left, open: true, lastMs: this.world.agenda.nowMs };
  }

  arrive(chunk: Chunk): void {
    if (this.impostor) this.world.complain(`somebody else got an answer of ${this.jobId}`);
    // The process does not know yet that it speaks to nobody.
    if (this.#connection === null) this.lostOnItsWay = true;
    this.#arriveInOrder(() => {
      if (!this.question.stream) {
        this.#unseen.push(...chunk.ids);
        return;
      }
      if (chunk.position !== this.ids.length)
        this.world.complain(`the client of ${this.jobId} got ${chunk.position}, expected ${this.ids.length}`);
      for (const id of chunk.ids) this.ids.push(id);
      this.text += chunk.text;
    });
  }

  arriveEnd(ending: Ending): void {
    this.#arriveInOrder(() => {
      this.#connection = null;
      this.endings += 1;
      if (ending.kind === 'complete') {
        if (!this.question.stream) this.ids = this.#unseen;
        this.receipt = ending.answer.receipt;
        this.#finish('complete', '');
        this.world.watch.completed(this, ending.answer);
        return;
      }
      this.receipt = ending.receipt;
      this.#failed(ending.code);
    });
  }

  /** The request was answered with an error, without a stream. */
  refused(code: string): void {
    this.world.agenda.after(this.#delayMs(), () => this.#failed(code));
  }

  /** The process has died under it. */
  cut(): void {
    // From now on, and not from when it is noticed, the clock may leap over the time in which it may come back.
    const { jumpedMs } = this.world;
    this.#arriveInOrder(() => {
      this.#connection = null;
      this.#away('cut', jumpedMs);
    });
  }

  /** Another connection of the same client took over. */
  replaced(): void {
    if (this.#connection !== null) this.#connection.open = false;
  }

  /** The client leaves; a resumable one may come back. */
  leave(forMs: number | null): void {
    const connection = this.#connection;
    if (connection === null || !connection.open || this.state !== 'open') return;
    connection.open = false;
    this.#connection = null;
    if (connection.lastMs >= this.world.agenda.nowMs) this.lostOnItsWay = true;
    this.world.agenda.after(this.#delayMs(), connection.left);
    if (forMs === null || this.question.resumable === null) return this.#finish('gone', '');
    this.#goAway('left', forMs);
  }

  #failed(code: string): void {
    const restarted = code === 'coordinator_restarted' || code === 'shutting_down';
    if (restarted && this.receipt === null && this.question.resumable !== null) return this.#away(code);
    // Nothing has arrived of it: it is simply asked for again.
    if (code === 'job_unknown' && this.ids.length === 0 && !this.impostor && !this.world.over)
      new Ask(this.world, this.question, this.readsSlowly).begin();
    this.#finish('failed', code);
  }

  #away(code: string, jumpedMs = this.world.jumpedMs): void {
    if (this.question.resumable === null) {
      this.#finish(code === 'cut' ? 'cut' : 'failed', code);
      return;
    }
    this.#goAway('cut', this.world.random.around(RETRY_MS), jumpedMs);
  }

  #goAway(why: 'cut' | 'left', forMs: number, jumpedMs = this.world.jumpedMs): void {
    const { agenda } = this.world;
    this.state = 'away';
    // Whoever left by itself once has had its grace run since.
    this.away = this.away === 'never' || this.away === 'cut' ? why : 'long';
    this.#awaySinceMs = agenda.nowMs;
    this.#awayLateMs = jumpedMs;
    agenda.after(forMs, () => this.#return());
  }

  #return(): void {
    if (this.state !== 'away') return;
    const { process, agenda, random } = this.world;
    if (this.world.jumpedMs !== this.#awayLateMs) this.away = 'long';
    if (agenda.nowMs - this.#awaySinceMs > RETURN_WITHIN_MS) return this.#finish('cut', 'gave up');
    if (process === null || process.state.draining) {
      agenda.after(RETRY_MS + random.around(RETRY_MS), () => this.#return());
      return;
    }
    this.state = 'open';
    this.endings = 0;
    const { flow, prompt, promptHash, stop, resumable } = this.question;
    const { jobId, ids } = this;
    const requestHash = resumable?.requestHash ?? '';
    process.streams.resume(this, { jobId, requestHash, flow, prompt, promptHash, stop, ids: [...ids] });
  }

  #finish(state: AskState, code: string): void {
    this.state = state;
    this.code = this.impostor ? `impostor: ${code}` : code;
    this.world.watch.over(this);
  }

  #delayMs(): number {
    return this.world.random.around(this.world.weather.linkDelayMs);
  }

  #arriveInOrder(then: () => void): void {
    const connection = this.#connection;
    if (connection === null) return;
    const { agenda } = this.world;
    connection.lastMs = Math.max(connection.lastMs, agenda.nowMs + this.#delayMs());
    agenda.at(connection.lastMs, () => {
      if (connection.open) then();
    });
  }
}
