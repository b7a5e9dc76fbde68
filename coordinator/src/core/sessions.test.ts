import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import { describe, expect, test } from 'vitest';
import { networkOf } from './views.ts';
import { World } from './test-world.ts';

describe('a session', () => {
  test('begins with a challenge and needs a proven key', () => {
    const world = new World();
    world.post({ type: 'connection-opened', connectionId: 'c', nonce: 'n' });
    expect(world.effects.at(-1)).toMatchObject({ type: 'send', frame: { type: 'challenge', nonce: 'n' } });
    const hand = world.join('ann');
    expect(hand.last('welcome')).toMatchObject({ earnedNano: '0', resumed: [] });
  });

  test('is refused when the signature is false', () => {
    const world = new World();
    world.post({ type: 'connection-opened', connectionId: 'c', nonce: 'n' });
    const hello = {
      type: 'hello',
      protocol: 'tussah.v1',
      publicKey: 'a'.repeat(64),
      signature: 'bad',
      wallet: null,
      agent: 't',
      resume: null,
    } as const;
    world.post({ type: 'frame-received', connectionId: 'c', frame: hello });
    expect(world.effects.find((e) => e.type === 'close')).toMatchObject({
      refusal: { code: 'key_not_proven', retry: false },
    });
    expect(world.state.contributors.size).toBe(0);
  });

  test('that says nothing ends', () => {
    const world = new World();
    world.post({ type: 'connection-opened', connectionId: 'c', nonce: 'n' });
    world.wait(10_000);
    expect(world.state.connections.size).toBe(0);
  });

  test('is pinged, and ends when it does not answer', () => {
    const world = new World();
    const hand = world.join('ann');
    world.wait(15_000);
    expect(hand.last('ping')).toEqual({ type: 'ping', n: 1 });
    hand.send({ type: 'pong', n: 1 });
    for (let i = 0; i < 3; i++) world.wait(15_000);
    expect(hand.closed).toBe(true);
    expect(world.state.contributors.size).toBe(0);
  });

  test('replaces an older one of the same key, which is told', () => {
    const world = new World();
    const old = world.join('ann');
    const job = world.submit();
    old.accept(job);
    old.say(job, 'abc');
    const fresh = world.join('ann');
    expect(old.last('refused')?.code).toBe('session_replaced');
    expect(world.state.contributors.size).toBe(1);
    expect(fresh.closed).toBe(false);
    // The new session never had the job: it is offered again with what was delivered.
    expect(fresh.last('job-offer')).toMatchObject({ jobId: job, prefix: { text: 'abc' } });
  });

  test.each([
    [
      'a second hello',
      {
        type: 'hello',
        protocol: 'tussah.v1',
        publicKey: 'a'.repeat(64),
        signature: 'ok',
        wallet: null,
        agent: 't',
        resume: null,
      },
    ],
    ['accepting what was not offered', { type: 'job-accept', jobId: 'job_x' }],
    ['text of no job', { type: 'text-delta', jobId: 'job_x', position: 0, ids: [97], text: 'a' }],
    ['a pong to no ping', { type: 'pong', n: 7 }],
  ] satisfies [string, ContributorFrame][])(
    'ends on a frame that is illegal then: %s',
    (_, frame: ContributorFrame) => {
      const world = new World();
      const hand = world.join('ann');
      hand.send(frame);
      expect(hand.last('refused')).toMatchObject({ code: 'illegal_frame' });
      expect(world.state.contributors.size).toBe(0);
    },
  );

  test('can not ask more than the list price, nor announce what is not listed', () => {
    const world = new World();
    const dear = world.join('ann', {
      ask: { promptNanoPerMillion: '1000001', completionNanoPerMillion: '0' },
    });
    expect(dear.last('refused')?.code).toBe('ask_too_high');
    const odd = world.join('bob', { build: 'small-x' });
    expect(odd.last('refused')?.code).toBe('unknown_build');
  });

  test('gets no offer while paused, and one when it is ready again', () => {
    const world = new World();
    const hand = world.join('ann');
    hand.send({ type: 'status', state: 'paused' });
    const job = world.submit();
    expect(hand.last('job-offer')).toBeUndefined();
    hand.send({ type: 'status', state: 'ready' });
    expect(hand.last('job-offer')?.jobId).toBe(job);
  });

  test('of a contributor that is lost for good leaves no trace in the pools', () => {
    const world = new World();
    const hand = world.join('ann');
    hand.vanish();
    expect(networkOf(world.state, world.atMs).models[0]).toMatchObject({ contributors: 1, idle: 0 });
    world.wait(5_000);
    expect(networkOf(world.state, world.atMs).models[0]).toMatchObject({ contributors: 0, idle: 0 });
    expect(world.state.contributors.size).toBe(0);
  });
});

describe('draining', () => {
  test('refuses new jobs, lets running ones end and tells contributors', () => {
    const world = new World();
    const hand = world.join('ann');
    const job = world.submit();
    hand.accept(job);
    world.post({ type: 'drain' });
    expect(hand.last('drain')).toBeDefined();
    expect(world.heard(world.submit()).code).toBe('shutting_down');
    hand.say(job, 'abc');
    hand.done(job, 'abc');
    expect(world.heard(job).text).toBe('abc');
  });
});
