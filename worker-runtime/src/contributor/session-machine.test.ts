import { type CoordinatorFrame, ContributorFrameSchema } from '@tussah/protocol/contributor-frames';
import { limits } from '@tussah/protocol/limits';
import * as fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { backOffMs } from './back-off.ts';
import { Driver, frames, hello, hex, jobId, offer, sessionId } from './session-fixtures.ts';
import { deadlineOf, legalFrames } from './session-machine.ts';
import { type Link, reconnectBackOff, timing } from './session-state.ts';

const end = (tokens: number) => ({ finishReason: 'stop' as const, tokens, idsHash: hex(64) });

/** A driver in each state of the connection. */
const reach: Record<Link['at'], () => Driver> = {
  idle: () => new Driver(),
  waiting: () => new Driver().start().drop(),
  connecting: () => new Driver().start(),
  'challenge-awaited': () => new Driver().start().step({ type: 'socket-open', connection: 1 }),
  'hello-signing': () => reach['challenge-awaited']().frame(frames.challenge),
  'welcome-awaited': () => reach['hello-signing']().step({ type: 'hello-signed', connection: 1, hello }),
  welcomed: () => new Driver().start().join(),
  draining: () => reach.welcomed().frame(offer(1)).frame(frames.drain),
  stopped: () => new Driver().start().step({ type: 'stop' }),
  failed: () =>
    new Driver().start().step({ type: 'fail', failure: { code: 'x', message: 'X.', remedy: 'Y.' } }),
};
const states = Object.keys(reach) as Link['at'][];
const types = Object.keys(frames) as CoordinatorFrame['type'][];

describe('every state and frame', () => {
  const pairs = states.flatMap((at) => types.map((type) => [type, at] as const));
  const isLegal = ([type, at]: readonly [string, Link['at']]) =>
    (legalFrames[at] as readonly string[]).includes(type);
  const hasSocket = (at: Link['at']) => !['idle', 'waiting', 'stopped', 'failed'].includes(at);
  const refusal = { do: 'close', code: 4409 };

  test.each(pairs.filter(isLegal))('%s while %s is answered', (type, at) => {
    const driver = reach[at]();
    expect(driver.state.link.at).toBe(at);
    driver.frame(frames[type]);
    expect(driver.effects).not.toContainEqual(expect.objectContaining(refusal));
  });

  test.each(pairs.filter((pair) => !isLegal(pair) && hasSocket(pair[1])))(
    '%s while %s ends the connection with a reason',
    (type, at) => {
      const driver = reach[at]().frame(frames[type]);
      const closing = { ...refusal, reason: `${type} while ${at}` };
      expect(driver.effects).toContainEqual(expect.objectContaining(closing));
      expect(driver.state.link.at).toBe('waiting');
    },
  );

  test.each(pairs.filter(([, at]) => !hasSocket(at)))('%s while %s comes from nowhere', (type, at) => {
    const driver = reach[at]();
    const before = driver.state;
    driver.frame(frames[type]);
    expect(driver.state).toEqual(before);
    expect(driver.effects).toEqual([]);
  });
});

describe('connecting', () => {
  test('says hello, announces its model, and is ready', () => {
    const driver = new Driver().start();
    expect(driver.effects).toEqual([{ do: 'connect', connection: 1 }]);
    driver.join();
    expect(driver.sent()).toEqual(['model-ready']);
    expect(driver.state.tally.earnedTotalNano).toBe('5');
  });

  test('what old connections say is ignored', () => {
    const driver = new Driver().start().join().drop().time(1_000);
    const before = driver.state;
    driver.step({ type: 'frame', connection: 1, frame: offer(1) });
    driver.step({ type: 'socket-closed', connection: 1, reason: 'again' });
    expect(driver.state).toEqual(before);
  });

  test('a handshake that hangs is given up', () => {
    const driver = new Driver().start().time(timing.handshakeMs);
    expect(driver.effects).toMatchObject([{ do: 'close' }]);
    expect(driver.state.link).toMatchObject({ at: 'waiting' });
  });

  test('refused for good fails with the code and the remedy', () => {
    const driver = new Driver().start().join();
    driver.frame({ ...frames.refused, code: 'replaced', retry: false });
    expect(driver.state.link).toEqual({
      at: 'failed',
      failure: { code: 'replaced', message: 'Too fast.', remedy: 'Slow down.' },
    });
    expect(deadlineOf(driver.state)).toBeNull();
  });

  test('the wait doubles while it fails and starts anew after a connection that held', () => {
    const driver = new Driver().start();
    driver.random = 0.999999;
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      driver.drop();
      waits.push((deadlineOf(driver.state) ?? 0) - driver.nowMs);
      driver.time(60_000);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    driver.join().drop();
    // A welcome alone is no success.
    expect((deadlineOf(driver.state) ?? 0) - driver.nowMs).toBe(60_000);
    driver.time(60_000).join(1).time(timing.stableMs).drop();
    expect((deadlineOf(driver.state) ?? 0) - driver.nowMs).toBe(500);
  });

  test('the back-off stays in its bounds', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (n, random) => {
        const whole = Math.min(60_000, 500 * 2 ** Math.min(n, 16));
        const delay = backOffMs(reconnectBackOff, n, random);
        return delay >= whole / 2 && delay <= whole;
      }),
    );
    // A short loss can be resumed.
    expect(backOffMs(reconnectBackOff, 0, 0.99)).toBeLessThan(limits.resumeGraceMs);
  });

  test('answers pings and reconnects after silence', () => {
    const driver = new Driver().start().join();
    driver.frame(frames.ping, timing.heartbeatTimeoutMs - 1);
    expect(driver.effects).toMatchObject([{ do: 'send', frame: { type: 'pong', n: 7 } }]);
    driver.time(timing.heartbeatTimeoutMs - 1);
    expect(driver.state.link.at).toBe('welcomed');
    driver.time(1);
    expect(driver.effects).toMatchObject([{ do: 'close', code: 4408 }]);
    expect(driver.state.link.at).toBe('waiting');
  });

  test('a welcome may not resume what was never asked for', () => {
    const driver = new Driver().start().join(1, [{ jobId: jobId(1), position: 0 }]);
    expect(driver.effects).toMatchObject([{ do: 'close', code: 4409 }]);
  });
});

describe('a job', () => {
  const running = () => new Driver().start().join().frame(offer(1));

  test('is accepted, streamed, signed and settled once', () => {
    const driver = running();
    expect(driver.effects).toMatchObject([
      { do: 'send', frame: { type: 'job-accept', jobId: jobId(1) } },
      { do: 'start-answer' },
    ]);
    driver.delta(1, 0);
    expect(driver.sent()).toEqual(['text-delta']);
    driver.delta(1, 1, 'y', 5);
    expect(driver.effects).toMatchObject([
      { do: 'send', frame: { type: 'text-delta', position: 1, ids: [1], text: 'y' } },
    ]);
    driver.delta(1, 2, 'z', 5);
    driver.step({ type: 'answer-finished', jobId: jobId(1), end: end(3) });
    expect(driver.effects).toMatchObject([{ do: 'sign-segment' }]);
    driver.step({ type: 'segment-signed', jobId: jobId(1), signature: hex(128) });
    expect(driver.effects).toMatchObject([{ do: 'send', frame: { type: 'job-done', tokens: 3 } }]);
    driver.frame(frames['job-settled']).frame(frames['job-settled']);
    expect(driver.state.tally).toMatchObject({
      jobsDone: 1,
      tokensDone: 3,
      earnedHereNano: '70',
      earnedTotalNano: '75',
    });
    expect(driver.state.job).toEqual({ at: 'none' });
  });

  test('a second one is declined with a reason; the same one again is illegal', () => {
    const driver = running().frame(offer(2));
    expect(driver.effects).toMatchObject([
      { do: 'send', frame: { type: 'job-decline', jobId: jobId(2), reason: 'Another job is running here.' } },
    ]);
    driver.frame(offer(1));
    expect(driver.effects).toMatchObject([{ do: 'close', code: 4409 }]);
    expect(driver.state.job.at).toBe('running');
  });

  test.each([
    ['another build', { build: 'other' }],
    ['a price below the ask', { price: { promptNanoPerMillion: '1', completionNanoPerMillion: '9' } }],
    ['a prompt beyond the context', { prompt: { text: '', ids: Array.from({ length: 512 }, () => 1) } }],
    ['nothing left to generate', { prefix: { text: 'a', ids: [1] }, maxTokens: 1 }],
  ])('declined: %s', (_, part) => {
    const driver = new Driver().start().join().frame(offer(1, part));
    expect(driver.sent()).toEqual(['job-decline']);
    expect(driver.state.job.at).toBe('none');
  });

  test('cancelled: the next offer waits for the engine, then runs', () => {
    const driver = running().delta(1, 0).frame(frames['job-cancel']);
    expect(driver.effects).toEqual([{ do: 'stop-answer', jobId: jobId(1) }]);
    driver.frame(offer(2));
    expect(driver.sent()).toEqual([]);
    driver.step({ type: 'answer-failed', jobId: jobId(1), code: 'aborted', message: '' });
    expect(driver.effects).toMatchObject([
      { do: 'send', frame: { type: 'job-accept' } },
      { do: 'start-answer' },
    ]);
  });

  test('cancelled: an engine that does not stop costs the offer, then the engine', () => {
    const driver = running().frame(frames['job-cancel']).frame(offer(2)).time(timing.offerWaitMs);
    expect(driver.sent()).toEqual(['job-decline']);
    driver.time(timing.stopEngineMs);
    expect(driver.sent()).toEqual(['status']);
    expect(driver.effects).toMatchObject([{ do: 'send' }, { do: 'restart-engine' }]);
    driver.step({ type: 'engine-back', tokensPerSecond: 5 });
    expect(driver.sent()).toEqual(['model-ready', 'status']);
  });

  test('cancelled: one offer waits, a second is declined', () => {
    const driver = running().frame(frames['job-cancel']).frame(offer(2)).frame(offer(3));
    expect(driver.effects).toMatchObject([{ frame: { type: 'job-decline', jobId: jobId(3) } }]);
    driver.frame({ ...frames['job-cancel'], jobId: jobId(2) });
    driver.step({ type: 'answer-failed', jobId: jobId(1), code: 'aborted', message: '' });
    expect(driver.effects).toEqual([]);
  });

  test('cancelled: an offer that waits dies with its connection', () => {
    const driver = running().frame(frames['job-cancel']).frame(offer(2)).drop().time(500).join(1);
    driver.step({ type: 'answer-failed', jobId: jobId(1), code: 'aborted', message: '' });
    expect(driver.effects).toEqual([]);
  });

  test('a lost engine fails the job and pauses', () => {
    const driver = running().step({ type: 'engine-gone', reason: 'The GPU was reset.' });
    expect(driver.effects).toMatchObject([
      { do: 'send', frame: { type: 'job-failed', code: 'engine_lost', message: 'The GPU was reset.' } },
      { do: 'send', frame: { type: 'status', state: 'paused' } },
    ]);
    driver.frame(offer(2));
    expect(driver.sent()).toEqual(['job-decline']);
  });

  test('pieces that leave a gap, or too many, fail it', () => {
    for (const position of [1, 100]) {
      const driver = running().delta(1, position);
      expect(driver.effects).toMatchObject([
        { do: 'send', frame: { type: 'job-failed', code: 'engine_failed' } },
        { do: 'stop-answer' },
      ]);
    }
    const short = running()
      .delta(1, 0)
      .step({ type: 'answer-finished', jobId: jobId(1), end: end(2) });
    expect(short.sent()).toEqual(['job-failed']);
  });
});

describe('resuming', () => {
  const lost = () => {
    const driver = new Driver().start().join().frame(offer(1)).delta(1, 0).delta(1, 1, 'b', 30).drop();
    return driver.delta(1, 2, 'c').time(500);
  };

  test('the job goes on meanwhile; what the coordinator lacks is sent again', () => {
    const driver = lost();
    expect(driver.state.job.at).toBe('running');
    driver.join(1, [{ jobId: jobId(1), position: 1 }]);
    expect(driver.sent()).toEqual(['model-ready', 'text-delta', 'status']);
    expect(driver.effects[1]).toMatchObject({ frame: { position: 1, ids: [1, 2], text: 'bc' } });
    driver.delta(1, 3, 'd', 100);
    expect(driver.effects).toMatchObject([{ do: 'send', frame: { position: 3 } }]);
  });

  test('hello names the session', () => {
    const driver = lost().step({ type: 'socket-open', connection: 2 }).frame(frames.challenge);
    driver.step({ type: 'hello-signed', connection: 2, hello });
    expect(driver.effects).toMatchObject([{ frame: { type: 'hello', resume: sessionId(1) } }]);
  });

  test('an answer that ended meanwhile is delivered whole, its last frame too', () => {
    const driver = lost().step({ type: 'answer-finished', jobId: jobId(1), end: end(3) });
    driver.step({ type: 'segment-signed', jobId: jobId(1), signature: hex(128) });
    expect(driver.effects).toEqual([]);
    driver.join(1, [{ jobId: jobId(1), position: 2 }]);
    expect(driver.sent()).toEqual(['model-ready', 'text-delta', 'job-done', 'status']);
    driver
      .drop()
      .time(500)
      .join(1, [{ jobId: jobId(1), position: 3 }]);
    // Delivered again while it is not settled.
    expect(driver.sent()).toEqual(['model-ready', 'job-done', 'status']);
  });

  test('a job that is not listed is stopped', () => {
    const driver = lost().join(2);
    expect(driver.effects).toContainEqual({ do: 'stop-answer', jobId: jobId(1) });
  });

  test('a job that is not held is said to have failed', () => {
    const driver = lost().join(1, [{ jobId: jobId(9), position: 0 }]);
    expect(driver.sent()).toEqual(['model-ready', 'job-failed', 'status']);
    expect(driver.effects).toContainEqual({ do: 'stop-answer', jobId: jobId(1) });
  });

  test('a job that is being stopped is not resumed', () => {
    const driver = new Driver().start().join().frame(offer(1)).delta(1, 0).frame(frames['job-cancel']);
    driver
      .drop()
      .time(500)
      .join(1, [{ jobId: jobId(1), position: 1 }]);
    expect(driver.sent()).toEqual(['model-ready', 'job-failed', 'status']);
  });

  test.each([9, 4])('position %i, where no piece begins, is illegal', (position) => {
    const driver = lost().join(1, [{ jobId: jobId(1), position }]);
    expect(driver.effects).toContainEqual(expect.objectContaining({ do: 'close', code: 4409 }));
  });

  test('without a connection for too long the job is dropped', () => {
    const driver = lost();
    for (let i = 0; i < 20; i++) driver.drop().time(timing.orphanMs / 10);
    expect(driver.state.job.at).toBe('none');
  });
});

describe('pausing and stopping', () => {
  test('paused: finishes the running job, declines, resumes', () => {
    const driver = new Driver().start().join().frame(offer(1)).step({ type: 'pause' });
    expect(driver.effects).toMatchObject([{ do: 'send', frame: { type: 'status', state: 'paused' } }]);
    driver.delta(1, 0).step({ type: 'answer-finished', jobId: jobId(1), end: end(1) });
    driver.step({ type: 'segment-signed', jobId: jobId(1), signature: hex(128) }).frame(offer(2));
    expect(driver.sent()).toEqual(['job-decline']);
    driver.step({ type: 'resume' });
    expect(driver.effects).toMatchObject([{ do: 'send', frame: { type: 'status', state: 'ready' } }]);
  });

  test('a pause survives a new connection', () => {
    const driver = new Driver().start().join().step({ type: 'pause' }).drop().time(500).join(2);
    expect(driver.effects.at(-1)).toMatchObject({ frame: { type: 'status', state: 'paused' } });
  });

  test('finish: with a job, waits for its receipt; without, stops at once', () => {
    const idle = new Driver().start().join().step({ type: 'finish' });
    expect(idle.state.link.at).toBe('stopped');
    const driver = new Driver().start().join().frame(offer(1)).step({ type: 'finish' });
    expect(driver.effects).toMatchObject([{ do: 'send', frame: { type: 'status', state: 'draining' } }]);
    driver.delta(1, 0).step({ type: 'answer-finished', jobId: jobId(1), end: end(1) });
    driver.step({ type: 'segment-signed', jobId: jobId(1), signature: hex(128) });
    expect(driver.state.link.at).toBe('welcomed');
    driver.frame(frames['job-settled']);
    expect(driver.state.link.at).toBe('stopped');
    expect(driver.effects).toMatchObject([{ do: 'close', code: 1000 }]);
  });

  test('finish: a receipt that never comes is not waited for long', () => {
    const driver = new Driver().start().join().frame(offer(1)).step({ type: 'finish' }).delta(1, 0);
    driver.step({ type: 'answer-finished', jobId: jobId(1), end: end(1) });
    driver.step({ type: 'segment-signed', jobId: jobId(1), signature: hex(128) });
    driver.time(timing.settleBeforeStopMs);
    expect(driver.state.link.at).toBe('stopped');
  });

  test('stop: the running job is given back', () => {
    const driver = new Driver().start().join().frame(offer(1)).step({ type: 'stop' });
    expect(driver.effects).toMatchObject([
      { do: 'send', frame: { type: 'job-failed', code: 'contributor_stopped' } },
      { do: 'stop-answer' },
      { do: 'close', code: 1000 },
    ]);
  });

  test('drained: finishes the job, leaves, comes back after the time named', () => {
    const driver = new Driver().start().join().frame(offer(1)).frame(frames.drain);
    driver.delta(1, 0).step({ type: 'answer-finished', jobId: jobId(1), end: end(1) });
    driver.step({ type: 'segment-signed', jobId: jobId(1), signature: hex(128) });
    driver.frame(frames['job-settled']);
    expect(driver.effects).toMatchObject([{ do: 'close', code: 1000 }]);
    expect((deadlineOf(driver.state) ?? 0) - driver.nowMs).toBe(2_000);
    expect(driver.time(2_000).effects).toMatchObject([{ do: 'connect' }]);
  });
});

test('what it sends has the shape of the protocol', () => {
  const driver = new Driver().start().join().frame(offer(1)).delta(1, 0);
  const all = [...driver.effects];
  for (const event of ['pause', 'stop'] as const) all.push(...driver.step({ type: event }).effects);
  const sent = all.flatMap((effect) => (effect.do === 'send' ? [effect.frame] : []));
  expect(sent.map(({ type }) => type)).toEqual(['text-delta', 'status', 'job-failed']);
  expect(sent.every((frame) => v.safeParse(ContributorFrameSchema, frame).success)).toBe(true);
});
