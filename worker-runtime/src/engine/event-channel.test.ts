import { describe, expect, test } from 'vitest';
import { codeOf } from './contract-tools.ts';
import { engineError } from './engine-failures.ts';
import { readEvents, serveEvents } from './event-channel.ts';
import type { EngineError } from './port.ts';

const pause = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));

function connect(
  work: (signal: AbortSignal) => AsyncIterable<number>,
  signal = new AbortController().signal,
) {
  const { port1, port2 } = new MessageChannel();
  const dead = Promise.withResolvers<EngineError>();
  let batches = 0;
  let leaving = 0;
  const served = serveEvents(port1, work);
  const events = readEvents<number>(port2, {
    signal,
    onSound: () => (batches += 1),
    onLeaving: () => (leaving += 1),
    dead: dead.promise,
  });
  return { events, served, dead, batches: () => batches, leaving: () => leaving };
}

async function* count(to: number, signal?: AbortSignal): AsyncGenerator<number> {
  for (let i = 0; i < to; i++) {
    if (signal?.aborted === true) throw engineError('aborted');
    yield i;
  }
}
const all = async (events: AsyncIterable<number>) => {
  const seen: number[] = [];
  for await (const event of events) seen.push(event);
  return seen;
};

describe('events over a port', () => {
  test('arrive all, in order, in far fewer messages when the engine is fast', async () => {
    const { events, batches, served } = connect(() => count(2000));
    expect(await all(events)).toEqual(Array.from({ length: 2000 }, (_, i) => i));
    expect(batches()).toBeLessThan(100);
    await served;
  });

  test('a failure comes after what was made before it, as an EngineError', async () => {
    const seen: number[] = [];
    const { events } = connect(async function* () {
      yield 1;
      yield 2;
      throw engineError('device_lost', 'gone');
    });
    const reading = (async () => {
      for await (const event of events) seen.push(event);
    })();
    expect(await codeOf(reading)).toBe('device_lost');
    expect(seen).toEqual([1, 2]);
  });

  test('anything else thrown is engine_failed', async () => {
    const { events } = connect(async function* () {
      yield 1;
      throw new TypeError('oops');
    });
    expect(await codeOf(all(events))).toBe('engine_failed');
  });

  test('a reader that does not read stops the engine', async () => {
    let made = 0;
    const { events } = connect(async function* (signal) {
      for await (const event of count(100_000, signal)) {
        made = event;
        yield event;
      }
    });
    await events.next();
    await pause(30);
    expect(made).toBeLessThan(600);
    await events.return();
  });

  test('leaving waits until the engine is free', async () => {
    let free = false;
    const { events, leaving } = connect(async function* (signal) {
      try {
        for await (const event of count(1_000_000, signal)) yield event;
      } finally {
        await pause(20);
        free = true;
      }
    });
    await events.next();
    await events.return();
    expect(free).toBe(true);
    expect(leaving()).toBe(1);
  });

  test('an abort reaches the engine, and the reader gets `aborted`', async () => {
    const abort = new AbortController();
    const { events } = connect(async function* (signal) {
      for (let i = 0; ; i++) {
        if (signal.aborted) throw engineError('aborted');
        yield i;
        await pause(1);
      }
    }, abort.signal);
    const reading = (async () => {
      for await (const event of events) if (event === 3) abort.abort();
    })();
    expect(await codeOf(reading)).toBe('aborted');
  });

  test('an abort counts also when the engine was faster', async () => {
    const abort = new AbortController();
    const { events, served } = connect(() => count(10), abort.signal);
    const reading = (async () => {
      for await (const event of events) {
        if (event !== 2) continue;
        await served;
        abort.abort();
      }
    })();
    expect(await codeOf(reading)).toBe('aborted');
  });

  test('when the other side dies, reading ends with the reason', async () => {
    const { events, dead } = connect(async function* (signal) {
      yield 1;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
    const reading = codeOf(all(events));
    await pause(10);
    dead.resolve(engineError('engine_failed', 'It hung.'));
    expect(await reading).toBe('engine_failed');
  });
});
