import { expect, test } from 'vitest';
import type { AnswerPort } from '../engine/answer-port.ts';
import { EngineError, type EngineEvent } from '../engine/port.ts';
import { measureSpeed, warmUp } from './measure-speed.ts';
import type { Clock } from './ports.ts';
import { ScriptedEngine } from './scripted.ts';

/** A clock that the engine itself moves: each token takes the next of `stepsMs`. */
function setUp(stepsMs: readonly number[]) {
  let nowMs = 0;
  const timers: { atMs: number; fn: () => void }[] = [];
  const clock: Clock = {
    nowMs: () => nowMs,
    after(delayMs, fn) {
      const timer = { atMs: nowMs + delayMs, fn };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
    random: () => 0,
  };
  const port: AnswerPort = Object.assign(new ScriptedEngine(), {
    async *generate(_: unknown, signal: AbortSignal): AsyncGenerator<EngineEvent> {
      for (const [position, ms] of stepsMs.entries()) {
        nowMs += ms;
        for (const timer of timers.filter(({ atMs }) => atMs <= nowMs)) timer.fn();
        if (signal.aborted) throw new EngineError({ code: 'aborted', message: 'Aborted.', remedy: 'None.' });
        yield { type: 'token', position, ids: [1], bytes: new Uint8Array(), logprob: null, top: [] };
      }
      yield { type: 'end', reason: 'eog' };
    },
  });
  const measure = (signal = new AbortController().signal) => measureSpeed(port, clock, signal);
  return { measure, timers };
}

test.each([
  ['the first token is the prompt’s', [1_000, 100, 100, 100, 100], 10],
  ['a slow engine is measured by what it made in time', [2_000, 4_000, 4_000], 0.25],
  ['one token alone counts from the start', [4_000], 0.25],
])('%s', async (_, steps, speed) => {
  const { measure, timers } = setUp(steps);
  expect(await measure()).toBeCloseTo(speed);
  expect(timers).toEqual([]);
});

test('an engine that makes nothing is no engine', async () => {
  await expect(setUp([]).measure()).rejects.toMatchObject({ failure: { code: 'engine_failed' } });
  await expect(setUp([warmUp.giveUpMs]).measure()).rejects.toMatchObject({
    failure: { code: 'engine_failed' },
  });
});

test('stopping ends it', async () => {
  await expect(setUp([1]).measure(AbortSignal.abort())).rejects.toThrow(DOMException);
});
