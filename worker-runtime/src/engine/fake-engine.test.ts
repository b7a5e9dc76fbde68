import { expect, test } from 'vitest';
import { engineContract } from './contract.ts';
import { collect, codeOf, jobFor, never } from './contract-tools.ts';
import { engineError } from './engine-failures.ts';
import { fakeCodec } from './fake-codec.ts';
import { FakeEngine } from './fake-engine.ts';
import { FakeTimers } from './fake-timers.ts';
import type { EngineBuild } from './port.ts';

const build: EngineBuild = { id: 'fake', files: [], contextTokens: 512, webllmId: null };
const file = { role: 'weights', url: 'https://models.invalid/w', bytes: null, sha256: null } as const;

engineContract('the fake', () => ({
  create: () =>
    new FakeEngine(
      {},
      {
        readFiles: async ({ id }) => {
          if (id === 'corrupt') throw engineError('file_corrupt');
          if (id === 'missing') throw engineError('download_failed');
        },
      },
    ),
  dispose: () => {},
  codec: fakeCodec,
  build,
  otherBuild: { ...build, id: 'other' },
  corruptBuild: { ...build, id: 'corrupt', files: [file] },
  missingBuild: { ...build, id: 'missing', files: [file] },
  prompts: { plain: 'tell me a story', wide: 'a wide story', open: 'a story' },
  cutTokens: 60,
}));

const loaded = async (...args: ConstructorParameters<typeof FakeEngine>) => {
  const engine = new FakeEngine(...args);
  await engine.load(build, () => {}, never());
  return engine;
};
const job = jobFor(fakeCodec, 'prompt', { maxTokens: 20 });

test('a reply is given word for word', async () => {
  const engine = await loaded({ reply: 'Ja, мир 🙂.' });
  expect(await collect(engine.generate(job, never()))).toMatchObject({ text: 'Ja, мир 🙂.', end: 'eog' });
});

test('it fails at the token it was told to fail at', async () => {
  const engine = await loaded({ fault: { kind: 'fail', position: 3 } });
  const seen: number[] = [];
  const reading = (async () => {
    for await (const event of engine.generate(job, never()))
      if (event.type === 'token') seen.push(event.position);
  })();
  expect(await codeOf(reading)).toBe('engine_failed');
  expect(seen).toEqual([0, 1, 2]);
});

test('a lost device ends the job and is announced', async () => {
  const engine = await loaded({ fault: { kind: 'lose-device', position: 1 } });
  expect(await codeOf(collect(engine.generate(job, never())))).toBe('device_lost');
  await expect(engine.lost).resolves.toHaveProperty('reason');
});

test('a hang lasts until it is aborted', async () => {
  const engine = await loaded({ fault: { kind: 'hang', position: 2 } });
  const abort = new AbortController();
  const reading = codeOf(collect(engine.generate(job, abort.signal)));
  abort.abort();
  expect(await reading).toBe('aborted');
});

test('its speed is the one set', async () => {
  const timers = new FakeTimers();
  const engine = await loaded({ tokensPerSecond: 10 }, { timers });
  const stream = engine.generate(job, never());
  let seen = 0;
  const reading = (async () => {
    for await (const event of stream) if (event.type === 'token') seen += 1;
  })();
  for (let i = 0; i < 50; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    timers.advance(20);
  }
  expect(seen).toBeGreaterThanOrEqual(9);
  expect(seen).toBeLessThanOrEqual(11);
  for (let i = 0; i < 30; i++) {
    timers.advance(100);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await reading;
});
