/** What the simulator has found, each as the shortest history that shows it. */
import { describe, expect, test } from 'vitest';
import { World } from '../core/test-world.ts';

describe('found by the simulator', () => {
  test('a coordinator that drains makes no offers: contributors were told to expect none', () => {
    const world = new World();
    const busy = world.join('ann');
    const job = world.submit();
    busy.accept(job);
    busy.say(job, 'abc');
    const idle = world.join('bob');
    world.post({ type: 'drain' });
    // The running job is cut, and neither the idle one nor the next to come may have it.
    busy.send({ type: 'job-failed', jobId: job, code: 'engine_failed', message: 'no' });
    const late = world.join('cyd');
    expect([idle.last('job-offer'), late.last('job-offer')]).toEqual([undefined, undefined]);
    expect(world.state.jobs.get(job)?.phase).toBe('queued');
  });

  test('whoever is caught lying is not given the next job before it is sent away', () => {
    const world = new World();
    const liar = world.join('ann');
    const first = world.submit();
    const second = world.submit();
    liar.accept(first);
    liar.send({ type: 'text-delta', jobId: first, position: 9, ids: [97], text: 'a' });
    expect(liar.last('refused')?.code).toBe('illegal_frame');
    expect(liar.frames().filter(({ type }) => type === 'job-offer')).toHaveLength(1);
    expect(world.state.jobs.get(second)?.attempts).toBe(0);
  });

  test('after a leap of the clock no job is offered to others who are found to be silent as well', () => {
    const world = new World();
    const busy = world.join('ann');
    const job = world.submit();
    busy.accept(job);
    busy.say(job, 'abc');
    const others = ['bob', 'cyd', 'dan', 'eve'].map((name) => world.join(name));
    world.wait(3_600_000);
    for (const other of others) expect(other.last('job-offer')).toBeUndefined();
    // So it has attempts left for when they come back.
    expect(world.state.jobs.get(job)).toMatchObject({ phase: 'queued', attempts: 1 });
    world.join('bob').serve(job, 'def');
    expect(world.heard(job).text).toBe('abcdef');
  });

  test('an answer is whole with its last token, though its contributor is lost before it says so', () => {
    const world = new World({ attempts: 1 });
    const hand = world.join('ann');
    const job = world.submit({ maxTokens: 3 });
    hand.accept(job);
    hand.say(job, 'abc');
    hand.send({ type: 'job-failed', jobId: job, code: 'engine_failed', message: 'no' });
    const { done, receipt } = world.heard(job);
    expect(done?.answer.finishReason).toBe('length');
    expect(receipt).toMatchObject({ outcome: 'complete', usage: { promptTokens: 5, completionTokens: 3 } });
    world.checkBooks();
  });

  test('and so it is when its client brings the last token after a restart', () => {
    const world = new World();
    const hand = world.join('ann');
    const job = world.submit({ maxTokens: 3, resumable: { requestHash: 'ab'.repeat(32) } });
    hand.accept(job);
    hand.say(job, 'abc');
    world.crash();
    world.resume(job);
    const { done, receipt } = world.heard(job);
    expect(done?.answer.finishReason).toBe('length');
    expect(receipt?.segments).toMatchObject([{ contributor: hand.publicKey, tokens: 3, end: 'lost' }]);
    world.checkBooks();
  });
});
