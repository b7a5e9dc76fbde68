/**
 * Watches every step: what the clients and the books are told must agree with what the contributors said. Checks of the whole
 * state are in `invariants.ts`; they run every `size / 8` steps, so that each step bears a constant part of them.
 */
import { hashOfIds } from '@tussah/protocol/bytes';
import { checkSums } from '@tussah/protocol/receipts';
import type { Answer, Effect, TimedEvent } from '../core/events.ts';
import { heldBy } from '../core/job-events.ts';
import { ledgerAccounts } from '../core/ledger.ts';
import { deliveredBy } from '../core/recovery.ts';
import type { JobCheckpoint, SettlementDraft, State } from '../core/state.ts';
import type { Coverage } from './coverage.ts';
import { checkState } from './invariants.ts';
import { answerOf, textOf } from './language.ts';
import type { Asking, Observer, Shadow, Surroundings } from './parts.ts';

export class Watch implements Observer {
  readonly world: Surroundings;
  readonly coverage: Coverage;
  readonly shadows = new Map<string, Shadow>();
  readonly outcomes = new Map<string, number>();
  steps = 0;
  #unchecked = 0;
  #delta: { readonly publicKey: string; readonly ids: readonly number[]; readonly text: string } | null =
    null;

  constructor(world: Surroundings, coverage: Coverage) {
    this.world = world;
    this.coverage = coverage;
  }

  asked(ask: Asking): void {
    this.shadows.set(ask.jobId, {
      ask,
      maxTokens: 0,
      ids: [],
      turns: [],
      forged: false,
      unprotected: false,
      endedIn: 0,
      settledIn: 0,
      byCheckpoint: false,
      boundMs: Infinity,
    });
  }

  unprotected(jobId: string): void {
    const shadow = this.shadows.get(jobId);
    if (shadow !== undefined) shadow.unprotected = true;
  }

  forged(jobId: string): void {
    const shadow = this.shadows.get(jobId);
    if (shadow !== undefined) shadow.forged = true;
  }

  before(state: State, event: TimedEvent): void {
    this.steps += 1;
    this.#delta = null;
    this.#cover(state, event);
    if (event.type === 'frame-received' && event.frame.type === 'text-delta') {
      const publicKey = state.connections.get(event.connectionId)?.publicKey ?? '';
      this.#delta = { publicKey, ids: event.frame.ids, text: event.frame.text };
    }
    // Nothing is left of its end, not even for a client that comes back for it.
    if (event.type === 'settlement-failed') this.unprotected(event.jobId);
    if (event.type === 'jobs-recovered') for (const each of event.checkpoints) this.#checkpoint(each);
  }

  after(state: State, event: TimedEvent, effects: readonly Effect[]): void {
    this.world.trace.push(this.steps, event, effects);
    if (event.type === 'job-submitted') this.#submitted(state, event.request.id, event.atMs);
    const offered = new Set<string>();
    for (const effect of effects) {
      this.#check(state, effect);
      if (effect.type === 'send' && effect.frame.type === 'job-offer') offered.add(effect.connectionId);
      else if (effect.type === 'close' && offered.has(effect.connectionId))
        this.world.complain(`${effect.connectionId} was offered a job and closed in the same step`);
    }
    this.#unchecked += 1;
    const size = state.jobs.size + state.contributors.size + state.connections.size;
    if (this.#unchecked * 8 >= size) this.checkAll(state, event.atMs);
  }

  checkAll(state: State, atMs: number): void {
    this.#unchecked = 0;
    checkState(this.world, state, atMs, this.shadows);
  }

  // What the tables are reached by.

  #cover(state: State, event: TimedEvent): void {
    const jobEvent = (name: string, jobId: string) =>
      this.coverage.record('job events', state.jobs.get(jobId)?.phase ?? 'ended', name);
    const leaving = (publicKey: string | null | undefined) => {
      const jobId = state.contributors.get(publicKey ?? '')?.jobId;
      this.#leaving =
        jobId == null ? null : { publicKey: publicKey ?? '', jobId, phase: state.jobs.get(jobId)?.phase };
    };
    this.#leaving = null;
    switch (event.type) {
      case 'frame-received': {
        const connection = state.connections.get(event.connectionId);
        if (connection === undefined) return;
        const { frame } = event;
        this.coverage.record('session frames', connection.phase, frame.type);
        leaving(connection.publicKey);
        const contributor = state.contributors.get(connection.publicKey ?? '');
        if (contributor !== undefined && connection.phase === 'open' && 'jobId' in frame)
          this.coverage.record('job frames', heldBy(state, contributor, frame.jobId).holding, frame.type);
        return;
      }
      case 'connection-breached':
        return leaving(state.connections.get(event.connectionId)?.publicKey);
      case 'hello-checked':
        return leaving(event.hello.publicKey);
      case 'job-submitted':
        return jobEvent(event.type, event.request.id);
      case 'job-resumed':
        return jobEvent(event.type, event.resumption.jobId);
      case 'job-abandoned':
      case 'segment-checked':
      case 'settled':
      case 'settlement-failed':
        return jobEvent(event.type, event.jobId);
      case 'tick':
        // Only of few jobs is it worth looking which are due.
        if (state.jobs.size < 100)
          for (const [id, job] of state.jobs) if (job.scheduledMs <= event.atMs) jobEvent('deadline', id);
        return;
      default:
    }
  }
  #leaving: { publicKey: string; jobId: string; phase: string | undefined } | null = null;

  // What the core says.

  #check(state: State, effect: Effect): void {
    switch (effect.type) {
      case 'deliver':
        return this.#delivered(state, effect);
      case 'settle':
        return this.#settle(state, effect.draft);
      case 'complete':
        return this.#ended(effect.jobId);
      case 'fail': {
        const { ids, maxTokens } = this.#of(effect.jobId);
        if (effect.failure.code === 'contributor_failed' && ids.length > 0 && ids.length === maxTokens)
          this.world.complain(`${effect.jobId} has all its tokens, and failed for want of more`);
        return this.#ended(effect.jobId);
      }
      case 'checkpoint':
        return this.#checkpoint(effect.checkpoint);
      case 'note': {
        const { note } = effect;
        if (note.kind === 'job-resumed') this.#resumed(note.jobId, note.tokens);
        else if (note.kind === 'contributor-left' && note.publicKey === this.#leaving?.publicKey)
          this.coverage.record('job events', this.#leaving.phase ?? 'ended', 'contributor-left');
        return;
      }
      default:
    }
  }

  #of(jobId: string): Shadow {
    return this.shadows.get(jobId) ?? this.world.complain(`${jobId} was never asked for`);
  }

  /** The longest that a job may take, each of its waits at its worst; see docs/architecture.md. */
  #submitted(state: State, jobId: string, atMs: number): void {
    const job = state.jobs.get(jobId);
    const shadow = this.#of(jobId);
    if (job === undefined) return;
    const { config } = state;
    shadow.maxTokens = job.maxTokens;
    const turn = config.acceptTimeoutMs + config.firstTokenSilenceMs + config.continuationWaitMs;
    shadow.boundMs =
      atMs + job.request.maxWaitMs + config.attempts * turn + job.maxTokens * config.tokenSilenceMs + 60_000;
  }

  #delivered(state: State, effect: Extract<Effect, { type: 'deliver' }>): void {
    const shadow = this.#of(effect.jobId);
    const said = this.#delta;
    if (said === null || said.text !== effect.text)
      this.world.complain('something was delivered that nobody said');
    if (effect.position !== shadow.ids.length || effect.ids.join() !== said.ids.join())
      this.world.complain(`${effect.jobId}: a gap or an overlap at ${effect.position}`);
    const lease = state.jobs.get(effect.jobId)?.lease;
    const turn = shadow.turns.at(-1);
    if (turn?.publicKey !== said.publicKey || turn.from !== lease?.firstPosition)
      shadow.turns.push({ publicKey: said.publicKey, from: effect.position });
    for (const id of effect.ids) shadow.ids.push(id);
  }

  #resumed(jobId: string, tokens: number): void {
    const { ids, turns } = this.#of(jobId);
    if (tokens > ids.length) this.world.complain(`${jobId} was resumed with more than was ever delivered`);
    ids.length = tokens;
    while ((turns.at(-1)?.from ?? -1) >= tokens) turns.pop();
  }

  #ended(jobId: string): void {
    const shadow = this.#of(jobId);
    if (shadow.endedIn === this.world.life) this.world.complain(`${jobId} has ended twice`);
    shadow.endedIn = this.world.life;
  }

  /** A checkpoint says no more than what was delivered, by whom it was. */
  #checkpoint(written: JobCheckpoint): void {
    const shadow = this.#of(written.request.id);
    const parts = [...written.segments, ...(written.open === null ? [] : [written.open])];
    for (const part of parts) this.#part(shadow, part, 'checkpoint');
    if (deliveredBy(written) > shadow.ids.length)
      this.world.complain(`a checkpoint of ${written.request.id} covers more than was delivered`);
  }

  #part(
    shadow: Shadow,
    part: { publicKey: string; firstPosition: number; tokens: number; billedTokens: number; idsHash: string },
    where: string,
  ): void {
    const { jobId } = shadow.ask;
    const { firstPosition, tokens } = part;
    const ids = shadow.ids.slice(firstPosition, firstPosition + tokens);
    if (ids.length !== tokens || hashOfIds(ids) !== part.idsHash || part.billedTokens > tokens)
      this.world.complain(`a ${where} of ${jobId} has a segment that is not what was delivered`);
    if (tokens === 0) return;
    const turn = shadow.turns.findLast(({ from }) => from <= firstPosition);
    // Without the checkpoint at its beginning nobody knows whose turn it was, or of which build.
    if (turn?.publicKey !== part.publicKey && !shadow.unprotected)
      this.world.complain(`a ${where} of ${jobId} pays the wrong contributor`);
  }

  #settle(state: State, { jobId, receipt: body, transaction }: SettlementDraft): void {
    const shadow = this.#of(jobId);
    if (body.usage.promptTokens > (state.jobs.get(jobId)?.promptTokens ?? 0))
      this.world.complain(`the prompt of ${jobId} is charged more than once`);
    shadow.byCheckpoint = state.jobs.get(jobId)?.failure === 'coordinator_restarted';
    if (shadow.settledIn === this.world.life) this.world.complain(`${jobId} is settled twice`);
    shadow.settledIn = this.world.life;
    for (const { ok, name, detail } of checkSums(body))
      if (!ok) this.world.complain(`the receipt of ${jobId} is wrong: ${name}, ${detail}`);
    for (const segment of body.segments)
      this.#part(shadow, { ...segment, publicKey: segment.contributor }, 'receipt');
    const tokens = body.segments.reduce((sum, segment) => sum + segment.tokens, 0);
    for (const { account, amountNano } of transaction?.entries ?? []) {
      const own = body.segments.filter(
        ({ contributor }) => account === ledgerAccounts.contributor(contributor),
      );
      const payNano = own.reduce((sum, segment) => sum + BigInt(segment.payNano), 0n);
      if (own.length > 0 && amountNano !== payNano)
        this.world.complain(`${account} gets ${amountNano} for ${jobId}, its receipt says ${payNano}`);
    }
    // After a crash that nobody came back from, less than what was delivered is known.
    const whole = body.outcome === 'complete' ? tokens === shadow.ids.length : tokens <= shadow.ids.length;
    if (!whole) this.world.complain(`the receipt of ${jobId} has ${tokens} tokens of ${shadow.ids.length}`);
  }

  // What the clients say.

  completed(ask: Asking, { finishReason, usage, receipt }: Answer): void {
    const { jobId } = ask;
    const shadow = this.#of(jobId);
    const complain = (what: string) => this.world.complain(`the answer of ${jobId} ${what}`);
    if (ask.endings !== 1) complain(`has ended ${ask.endings} times`);
    if (this.world.books.receipts.get(jobId)?.id !== receipt.id)
      complain('has a receipt that is not in the books');
    if (ask.ids.join() !== shadow.ids.join()) complain('is not what the contributors said');
    if (ask.question.stream && ask.text !== textOf(ask.ids)) complain('has text that is not that of its ids');
    if (usage.completionTokens > ask.ids.length) complain('is charged for more than it has');
    if (shadow.forged || shadow.unprotected) return;
    const right = answerOf(receipt.seedRoot, receipt.promptHash, receipt.segments[0]?.build ?? '');
    const length = Math.min(right.length, shadow.maxTokens);
    if (ask.ids.length !== length) complain(`has ${ask.ids.length} tokens instead of ${length}`);
    if (ask.ids.some((id, i) => id !== right.tokenAt(i))) complain('is not the uninterrupted one');
    if (finishReason !== (right.length < shadow.maxTokens ? 'stop' : 'length'))
      complain('ends for a wrong reason');
  }

  over(ask: Asking): void {
    const name = ask.code === '' ? ask.state : `${ask.state}: ${ask.code}`;
    this.outcomes.set(name, (this.outcomes.get(name) ?? 0) + 1);
    const { jobId, code } = ask;
    const shadow = this.shadows.get(jobId);
    if (ask.question.resumable === null || shadow === undefined || ask.impostor) return;
    const excused = ask.lostOnItsWay || shadow.unprotected || this.world.books.receipts.has(jobId);
    if (code === 'resume_mismatch' && !excused)
      this.world.complain(`${jobId}: its own client was not believed`);
    const stayed = ask.away === 'cut' && ask.ids.length > 0;
    if (code === 'job_unknown' && stayed && !excused) this.world.complain(`${jobId} is not known any more`);
  }

  /** All is over: what was charged by a checkpoint is what the client had. */
  checkEnd(): void {
    for (const [jobId, { ask, byCheckpoint }] of this.shadows) {
      const receipt = this.world.books.receipts.get(jobId);
      if (!ask.isOver) this.world.complain(`the client of ${jobId} still waits`);
      if (!byCheckpoint || receipt === undefined || ask.lostOnItsWay) continue;
      const charged = receipt.segments.reduce((sum, { tokens }) => sum + tokens, 0);
      if (charged > ask.ids.length)
        this.world.complain(`${jobId} was charged ${charged} tokens, its client has ${ask.ids.length}`);
    }
  }
}
