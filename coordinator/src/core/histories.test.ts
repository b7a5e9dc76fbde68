/** Random histories of a small network: whatever contributors and clients do, the invariants hold after each step. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkSums } from '@tussah/protocol/receipts';
import { World, type Hand } from './test-world.ts';

const names = ['ann', 'bob', 'cyd', 'dan'];
const act = fc.record({
  kind: fc.constantFrom(
    'join',
    'join',
    'submit',
    'submit',
    'submit',
    'accept',
    'say',
    'say',
    'say',
    'done',
    'fail',
    'lie',
    'decline',
    'vanish',
    'return',
    'pause',
    'abandon',
    'wait',
    'wait-long',
    'settle',
    'break-store',
    'crash',
    'resume',
    'resume',
    'resume-wrongly',
  ),
  who: fc.nat({ max: 3 }),
  which: fc.nat({ max: 50 }),
});
type Act = typeof act extends fc.Arbitrary<infer Value> ? Value : never;

interface Network {
  readonly world: World;
  readonly hands: Map<string, Hand>;
  readonly jobs: string[];
  /** Jobs of which nothing was written down when a crash came. */
  readonly lost: Set<string>;
}

function crash(world: World, lost: Set<string>): void {
  for (const job of world.state.jobs.keys()) if (!world.journal.has(job)) lost.add(job);
  world.crash();
}

/** Nothing that its client does not say rightly moves a job. */
function resumeWrongly(world: World, job: string, which: number): void {
  const { text } = world.heard(job);
  const wrong = [{ flow: 'mallory' }, { requestHash: '' }, { promptHash: '' }, { ids: [0] }][which % 4];
  world.resume(job, text, wrong);
  expect(world.state.jobs.get(job)?.phase).toBe('interrupted');
}

function perform({ world, hands, jobs, lost }: Network, { kind, who, which }: Act): void {
  const name = names[who] ?? 'ann';
  const hand = hands.get(name);
  const live = hand !== undefined && !hand.closed;
  const held = live ? world.state.contributors.get(hand.publicKey)?.jobId : undefined;
  const drafts = world.effects.filter(
    (e) => e.type === 'settle' && world.state.jobs.get(e.draft.jobId)?.draft === e.draft,
  );
  const draft = drafts[which % Math.max(1, drafts.length)];
  const waiting = jobs.filter((job) => world.state.jobs.get(job)?.phase === 'interrupted');
  const interrupted = waiting[which % Math.max(1, waiting.length)];
  switch (kind) {
    case 'join':
      if (!live)
        hands.set(
          name,
          world.join(name, { build: which % 3 === 0 ? 'small-g' : 'small-w', wallet: 'W'.repeat(48) }),
        );
      return;
    case 'submit':
      jobs.push(
        world.submit({
          account: which % 2 === 0 ? 'alice' : 'bob',
          guest: which % 5 === 0,
          stream: which % 3 > 0,
          resumable: which % 3 === 2 ? { requestHash: 'ab'.repeat(32) } : null,
          maxTokens: 5 + which,
        }),
      );
      return;
    case 'abandon':
      world.post({
        type: 'job-abandoned',
        jobId: jobs[which % Math.max(1, jobs.length)] ?? '',
        code: 'client_gone',
      });
      return;
    case 'wait':
      return world.wait(which * 20);
    case 'wait-long':
      return world.wait(which * 1_000);
    case 'settle':
      if (draft?.type === 'settle') world.settle(draft);
      return;
    case 'break-store':
      if (draft?.type === 'settle') world.post({ type: 'settlement-failed', jobId: draft.draft.jobId });
      return;
    case 'crash':
      if (which % 4 === 0) crash(world, lost);
      return;
    case 'resume':
      if (interrupted !== undefined) world.resume(interrupted);
      return;
    case 'resume-wrongly':
      if (interrupted !== undefined) resumeWrongly(world, interrupted, which);
      return;
    default:
  }
  if (!live) return;
  if (kind === 'vanish') hand.vanish();
  else if (kind === 'return') {
    const sessionId = hand.last('welcome')?.sessionId ?? '';
    hand.vanish();
    hands.set(name, world.join(name, { resume: sessionId }));
  } else if (kind === 'pause') hand.send({ type: 'status', state: which % 2 === 0 ? 'paused' : 'ready' });
  if (held == null) return;
  const lease = world.state.jobs.get(held)?.lease;
  const said = lease?.text ?? '';
  if (kind === 'accept') hand.accept(held);
  else if (kind === 'say') hand.say(held, 'abcdefgh'.slice(0, 1 + (which % 8)));
  else if (kind === 'done') hand.done(held, said, which % 7 === 0 ? 'bad' : 'ok');
  else if (kind === 'lie') hand.send({ type: 'text-delta', jobId: held, position: 0, ids: [99], text: 'x' });
  else if (kind === 'fail')
    hand.send({ type: 'job-failed', jobId: held, code: 'engine_failed', message: 'no' });
  else if (kind === 'decline') hand.send({ type: 'job-decline', jobId: held, reason: 'no' });
}

function checkWorld(world: World): void {
  world.checkBooks();
  const { jobs, contributors, pools, flows } = world.state;
  for (const job of jobs.values()) {
    expect(job.phase).not.toBe('ended');
    expect(job.lease === null).toBe(['queued', 'settling', 'interrupted'].includes(job.phase));
    if (job.lease !== null) expect(contributors.get(job.lease.publicKey)?.jobId).toBe(job.request.id);
    expect(job.text.join('')).toBe(String.fromCodePoint(...job.ids));
  }
  for (const contributor of contributors.values())
    if (contributor.jobId !== null)
      expect(jobs.get(contributor.jobId)?.lease?.publicKey).toBe(contributor.publicKey);
  for (const pool of pools.values()) {
    const own = [...jobs.values()].filter((job) => job.request.model === pool.model.id);
    expect(pool.queue.size).toBe(own.filter((job) => job.phase === 'queued').length);
    expect(pool.running).toBe(own.filter((job) => job.lease !== null).length);
  }
  for (const [name, flow] of flows) {
    const own = [...jobs.values()].filter((job) => job.request.flow === name);
    expect(flow.active).toBe(own.length);
    expect(flow.queued).toBe(own.filter((job) => job.phase === 'queued').length);
  }
}

test('whatever happens, money is conserved, leases are unique, counters are true, and every job ends exactly once', () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 20, maxLength: 150 }), fc.boolean(), (acts, settles) => {
      const world = new World({ failuresBeforeRest: 2 });
      world.settles = settles;
      const network: Network = { world, hands: new Map(), jobs: [], lost: new Set() };
      for (const one of acts) {
        // What was not written down may be lost, and never more than that.
        world.writesDown = one.which % 7 > 0;
        perform(network, one);
        checkWorld(world);
      }
      world.writesDown = true;
      // Nobody does anything more: everything must come to its end.
      for (let i = 0; i < 60; i++) {
        for (const effect of world.effects.slice())
          if (effect.type === 'settle' && world.state.jobs.get(effect.draft.jobId)?.draft === effect.draft)
            world.settle(effect);
        world.wait(30_000);
      }
      expect(world.state.jobs.size).toBe(0);
      checkWorld(world);
      expect(world.journal.size).toBe(0);
      for (const job of network.jobs) {
        const ends = world.effects.filter(
          (e) => (e.type === 'complete' || e.type === 'fail') && e.jobId === job,
        );
        expect(ends).toHaveLength(network.lost.has(job) ? 0 : 1);
        const { text, receipt, done } = world.heard(job);
        if (receipt === null) continue;
        expect(checkSums(receipt).filter((check) => !check.ok)).toEqual([]);
        const tokens = receipt.segments.reduce((sum, segment) => sum + segment.tokens, 0);
        // Nobody pays for what it did not get, and a whole answer is paid for whole.
        if (done === undefined) expect(tokens).toBeLessThanOrEqual(text.length);
        else expect(tokens).toBe(text.length);
      }
    }),
    { numRuns: process.env['TUSSAH_DEEP'] === '1' ? 3_000 : 200 },
  );
}, 120_000);
