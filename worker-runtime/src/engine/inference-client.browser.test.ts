import { hashOfIds } from '@tussah/protocol/bytes';
import { afterEach, describe, expect, test } from 'vitest';
import { engineContract } from './contract.ts';
import { collect, codeOf, jobFor, never } from './contract-tools.ts';
import { fakeCodec } from './fake-codec.ts';
import type { FakeOptions } from './fake-engine.ts';
import { InferenceClient, type InferenceTimeouts } from './inference-client.ts';
import type { EngineBuild, EnginePort } from './port.ts';
import { tinyGguf, tinyMlc, tinySubject } from './tiny-subject.ts';

const fakeBuild: EngineBuild = { id: 'fake', files: [], contextTokens: 512, webllmId: null };
const close = (port: EnginePort) => {
  if (port instanceof InferenceClient) port.close();
};

engineContract('the fake, in a worker', () => ({
  create: () => new InferenceClient({ engine: 'fake' }),
  dispose: close,
  codec: fakeCodec,
  build: fakeBuild,
  prompts: { plain: 'tell me a story', wide: 'a wide story', open: 'a story' },
  cutTokens: 30,
}));

engineContract('wllama, in a worker', async () => ({
  ...(await tinySubject(await tinyGguf())),
  create: () => new InferenceClient({ engine: 'wllama' }),
  dispose: close,
  cutTokens: 16,
}));

engineContract('WebLLM, in a worker', async () => ({
  ...(await tinySubject(await tinyMlc())),
  create: () => new InferenceClient({ engine: 'webllm' }),
  dispose: close,
  cutTokens: 10,
}));

describe('whole answers from a worker', () => {
  test('come in deltas, with the count and the hash of their ids', async () => {
    const client = new InferenceClient({ engine: 'fake', fake: { reply: 'one two three END four' } });
    try {
      expect(await codeOf(client.promptOf('x'))).toBe('not_loaded');
      await client.load(fakeBuild, () => {}, never());
      const prompt = await client.promptOf('Say it.');
      expect(prompt.ids).toEqual(fakeCodec.encode(prompt.text));
      const job = { ...jobFor(fakeCodec, 'p', { maxTokens: 40 }), prompt, stop: ['END'] };
      const ids: number[] = [];
      let text = '';
      for await (const event of client.answer(job, never())) {
        if (event.type === 'delta') {
          ids.push(...event.ids);
          text += event.text;
        } else
          expect(event).toEqual({
            type: 'end',
            finishReason: 'stop',
            tokens: ids.length,
            idsHash: hashOfIds(ids),
          });
      }
      expect(text).toBe('one two three ');
    } finally {
      client.close();
    }
  });
});

describe('an engine in a worker that goes wrong', () => {
  const clients: InferenceClient[] = [];
  afterEach(() => clients.splice(0).forEach((client) => client.close()));
  const quick: InferenceTimeouts = { download: 2_000, start: 2_000, firstToken: 300, token: 300, leave: 300 };
  const job = jobFor(fakeCodec, 'prompt', { maxTokens: 40 });

  const clientWith = (fake: FakeOptions, spawn?: () => Worker) => {
    const client = new InferenceClient({
      engine: 'fake',
      fake,
      timeouts: quick,
      ...(spawn === undefined ? {} : { spawn }),
    });
    clients.push(client);
    return client;
  };
  const loaded = async (fake: FakeOptions) => {
    const client = clientWith(fake);
    await client.load(fakeBuild, () => {}, never());
    return client;
  };

  test('a hang ends the job and the worker; `lost` says so', async () => {
    const client = await loaded({ fault: { kind: 'hang', position: 5 } });
    expect(await codeOf(collect(client.generate(job, never())))).toBe('engine_failed');
    expect((await client.lost).reason).toMatch(/hung/);
    expect(await codeOf(collect(client.generate(job, never())))).toBe('engine_failed');
    await client.unload();
  });

  test('an engine whose load hangs is ended', async () => {
    const client = clientWith({ fault: { kind: 'load-hangs' } });
    expect(await codeOf(client.load(fakeBuild, () => {}, never()))).toBe('engine_failed');
    await expect(client.lost).resolves.toHaveProperty('reason');
  });

  test('a reader that takes its time is no hang', async () => {
    const client = await loaded({});
    let tokens = 0;
    for await (const event of client.generate(job, never())) {
      if (event.type === 'token') tokens += 1;
      if (tokens === 3) await new Promise((resolve) => setTimeout(resolve, 700));
    }
    expect(tokens).toBe(40);
  });

  test('a lost device is announced, and the job fails with it', async () => {
    const client = await loaded({ fault: { kind: 'lose-device', position: 2 } });
    expect(await codeOf(collect(client.generate(job, never())))).toBe('device_lost');
    await expect(client.lost).resolves.toHaveProperty('reason');
  });

  test('errors cross with code, sentence and remedy', async () => {
    const client = clientWith({ fault: { kind: 'load-fails' } });
    await expect(client.load(fakeBuild, () => {}, never())).rejects.toMatchObject({
      name: 'EngineError',
      failure: { code: 'download_failed', remedy: expect.stringMatching(/./) as unknown },
    });
  });

  test('a worker that fails to start, or never answers, is given up', async () => {
    const script = (code: string) => () =>
      new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
    for (const code of ['throw new Error("no")', 'for (;;);']) {
      const client = clientWith({}, script(code));
      expect(await codeOf(client.load(fakeBuild, () => {}, never()))).toBe('engine_failed');
      await expect(client.lost).resolves.toHaveProperty('reason');
    }
  });

  test('an answer held back for a stop string is no hang', async () => {
    const reply = 'abcdefghijklmnopqrst';
    const client = new InferenceClient({
      engine: 'fake',
      fake: { tokensPerSecond: 8, reply },
      timeouts: { ...quick, firstToken: 1_500, token: 1_500 },
    });
    clients.push(client);
    await client.load(fakeBuild, () => {}, never());
    const { prompt, ...rest } = job;
    const texts: string[] = [];
    for await (const event of client.answer({ prompt, ...rest, stop: [`${reply}!`] }, never()))
      if (event.type === 'delta') texts.push(event.text);
    expect(texts).toEqual([reply]);
  });

  test('closing ends a running job', async () => {
    const client = await loaded({ tokensPerSecond: 20 });
    const reading = codeOf(collect(client.generate(job, never())));
    client.close();
    expect(await reading).toBe('engine_failed');
  });
});
