/**
 * The machine against a scripted coordinator over a wire that breaks at random: whatever the order of events, an engine never
 * runs two answers, the coordinator never sees a gap or a repetition, and every job comes to an end.
 */
import assert from 'node:assert/strict';
import type { ContributorFrame, CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import { limits } from '@tussah/protocol/limits';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { announcement, frames, hello, hex, jobId, offer, sessionId, welcome } from './session-fixtures.ts';
import { deadlineOf, step } from './session-machine.ts';
import { type Effect, initialState, type SessionEvent, type SessionState } from './session-state.ts';

type End = 'done' | 'failed' | 'declined' | 'cancelled' | 'elsewhere';

class World {
  state: SessionState = initialState;
  nowMs = 0;
  random = 0.5;
  // The wire: what has been sent and not yet delivered. `open` is the number of the connection that stands.
  open: number | null = null;
  down: CoordinatorFrame[] = [];
  up: ContributorFrame[] = [];
  engine: { job: string; made: number; total: number; stopping: boolean } | null = null;
  job: { id: string; n: number; position: number; accepted: boolean } | null = null;
  jobs = 0;
  session = 0;
  lostAtMs = 0;
  readonly ends = new Map<string, End>();
  readonly cancelledHere = new Set<string>();

  event(event: SessionEvent): void {
    const next = step(this.state, event, { nowMs: this.nowMs, random: this.random });
    this.state = next.state;
    for (const effect of next.effects) this.perform(effect);
  }

  perform(effect: Effect): void {
    switch (effect.do) {
      case 'connect':
        this.cut();
        this.open = effect.connection;
        this.down.push(frames.challenge);
        return this.event({ type: 'socket-open', connection: effect.connection });
      case 'close':
        if (this.open === effect.connection) this.cut();
        return;
      case 'send':
        if (this.open === effect.connection) this.up.push(effect.frame);
        return;
      case 'sign-hello':
        return this.event({ type: 'hello-signed', connection: effect.connection, hello });
      case 'start-answer':
        assert.equal(this.engine, null, 'one answer at a time');
        this.engine = {
          job: effect.offer.jobId,
          made: 0,
          total: 3 + (this.jobs % 5),
          stopping: false,
        };
        return;
      case 'stop-answer':
        if (this.engine?.job === effect.jobId) this.engine.stopping = true;
        return;
      case 'sign-segment':
        return this.event({ type: 'segment-signed', jobId: effect.jobId, signature: hex(128) });
      case 'restart-engine':
        this.engine = null;
        return this.event({ type: 'engine-back', tokensPerSecond: 1 });
      default:
        effect satisfies never;
    }
  }

  cut(): void {
    if (this.open === null) return;
    this.open = null;
    this.down = [];
    this.up = [];
    this.cancelledHere.clear();
    this.lostAtMs = this.nowMs;
    if (this.job !== null && !this.job.accepted) this.end('elsewhere');
  }

  end(how: End): void {
    if (this.job === null) return;
    assert(!this.ends.has(this.job.id), 'a job ends once');
    this.ends.set(this.job.id, how);
    this.job = null;
  }

  advance(ms: number): void {
    for (let until = this.nowMs + ms; ;) {
      const at = deadlineOf(this.state);
      this.nowMs = at === null ? until : Math.max(this.nowMs, Math.min(at, until));
      this.event({ type: 'time' });
      if (at === null || at > until) break;
    }
    if (this.open === null && this.nowMs - this.lostAtMs > limits.resumeGraceMs) this.end('elsewhere');
  }

  work(): void {
    const { engine } = this;
    if (engine === null) return;
    const { job: id } = engine;
    if (engine.stopping) {
      this.engine = null;
      return this.event({ type: 'answer-failed', jobId: id, code: 'aborted', message: 'Aborted.' });
    }
    if (engine.made < engine.total) {
      const position = engine.made++;
      const delta = { position, ids: [position], text: String(position % 10) };
      return this.event({ type: 'delta', jobId: id, delta });
    }
    this.engine = null;
    const end = { finishReason: 'stop' as const, tokens: engine.total, idsHash: hex(64) };
    this.event({ type: 'answer-finished', jobId: id, end });
  }

  offerOne(): void {
    if (this.open === null || this.job !== null || this.state.link.at !== 'welcomed') return;
    this.job = { id: jobId(++this.jobs), n: this.jobs, position: 0, accepted: false };
    this.down.push(offer(this.jobs));
  }

  cancelOne(): void {
    if (this.open === null || this.job === null) return;
    this.cancelledHere.add(this.job.id);
    this.down.push({ type: 'job-cancel', jobId: this.job.id, reason: 'the client left' });
    this.end('cancelled');
  }

  deliverDown(): void {
    const frame = this.down.shift();
    const { open } = this;
    if (frame !== undefined && open !== null) this.event({ type: 'frame', connection: open, frame });
  }

  deliverUp(): void {
    const frame = this.up.shift();
    if (frame === undefined) return;
    const { job } = this;
    const about = 'jobId' in frame ? frame.jobId : undefined;
    const ours = job !== null && about === job.id ? job : undefined;
    // After a cancel, what crosses it on the wire is ignored.
    if (about !== undefined && ours === undefined) {
      return assert(this.cancelledHere.has(about), `${frame.type} for a job that is not this connection’s`);
    }
    switch (frame.type) {
      case 'hello':
        return this.greet(frame.resume);
      case 'job-accept':
        if (ours) ours.accepted = true;
        return;
      case 'job-decline':
        return this.end('declined');
      case 'text-delta':
        assert.equal(frame.position, ours?.position, 'no gap, no repetition');
        if (ours) ours.position += frame.ids.length;
        return;
      case 'job-done':
        assert.equal(frame.tokens, ours?.position, 'everything was delivered');
        this.end('done');
        this.down.push({ ...frames['job-settled'], jobId: frame.jobId });
        return;
      case 'job-failed':
        return this.end('failed');
      case 'model-ready':
      case 'status':
      case 'pong':
        return;
      default:
        frame satisfies never;
    }
  }

  greet(resume: string | null): void {
    const back = resume !== null && resume === sessionId(this.session);
    if (!back) {
      this.end('elsewhere');
      this.session++;
    }
    const { job } = this;
    const resumed = job === null ? [] : [{ jobId: job.id, position: job.position }];
    this.down.push(welcome(this.session, resumed));
  }

  /** The wire holds and the engine works: everything must come to rest. */
  calm(): void {
    for (let i = 0; i < 60; i++) {
      while (this.down.length > 0 || this.up.length > 0) {
        this.deliverDown();
        this.deliverUp();
      }
      this.work();
      if (this.state.link.at === 'waiting') this.advance(60_000);
      else if (this.state.link.at === 'draining') this.advance(15_000);
      else if (i % 10 === 0 && this.open !== null) this.down.push(frames.ping);
    }
  }
}

type Command =
  | { type: 'down' | 'up' | 'work' | 'break' | 'offer' | 'cancel' | 'ping' | 'pause' | 'resume' | 'forget' }
  | { type: 'gone' | 'back' | 'drain' }
  | { type: 'time'; ms: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom<Command>({ type: 'down' }, { type: 'up' }) },
  { weight: 6, arbitrary: fc.constant<Command>({ type: 'work' }) },
  { weight: 4, arbitrary: fc.constant<Command>({ type: 'offer' }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('time' as const), ms: fc.constantFrom(10, 30, 400, 6_000) }),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom<Command['type']>('break', 'cancel', 'ping', 'pause', 'resume')
      .map((type) => ({ type }) as Command),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom<Command['type']>('gone', 'back', 'drain', 'forget')
      .map((type) => ({ type }) as Command),
  },
);

function apply(world: World, command: Command): void {
  switch (command.type) {
    case 'down':
      return world.deliverDown();
    case 'up':
      return world.deliverUp();
    case 'work':
      return world.work();
    case 'offer':
      return world.offerOne();
    case 'cancel':
      return world.cancelOne();
    case 'ping':
      if (world.open !== null && world.state.link.at === 'welcomed') world.down.push(frames.ping);
      return;
    case 'break': {
      const { open } = world;
      world.cut();
      if (open !== null) world.event({ type: 'socket-closed', connection: open, reason: 'Lost.' });
      return;
    }
    case 'pause':
    case 'resume':
      return world.event({ type: command.type });
    case 'gone':
      world.engine = null;
      return world.event({ type: 'engine-gone', reason: 'The GPU was reset.' });
    case 'back':
      return world.event({ type: 'engine-back', tokensPerSecond: 3 });
    case 'drain':
      // A draining coordinator offers nothing more; what it had offered stays on the wire before it.
      if (world.state.link.at === 'welcomed' && world.open !== null && world.down.length === 0)
        world.event({ type: 'frame', connection: world.open, frame: frames.drain });
      return;
    case 'forget':
      world.session++;
      return;
    case 'time':
      return world.advance(command.ms);
    default:
      command satisfies never;
  }
}

test('no job is lost or doubled, whatever breaks', () => {
  const seen = new Map<End, number>();
  fc.assert(
    fc.property(fc.array(command, { minLength: 20, maxLength: 150 }), (commands) => {
      const world = new World();
      world.event({ type: 'start', announcement });
      for (let i = 0; i < 6; i++) {
        world.deliverDown();
        world.deliverUp();
      }
      for (const command of commands) apply(world, command);
      world.event({ type: 'engine-back', tokensPerSecond: 3 });
      world.event({ type: 'resume' });
      world.calm();
      expect(world.job).toBeNull();
      expect(world.ends.size).toBe(world.jobs);
      expect(world.engine).toBeNull();
      expect(world.state.link.at).toBe('welcomed');
      world.offerOne();
      const last = jobId(world.jobs);
      world.calm();
      // And the next job is served.
      expect(world.ends.get(last)).toBe('done');
      for (const end of world.ends.values()) seen.set(end, (seen.get(end) ?? 0) + 1);
    }),
    { numRuns: 400 },
  );
  // Every kind of end occurred, so that the property is about something.
  for (const end of ['done', 'failed', 'declined', 'cancelled', 'elsewhere'] as const)
    expect([end, (seen.get(end) ?? 0) > 5]).toEqual([end, true]);
});
