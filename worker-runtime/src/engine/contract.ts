/**
 * What every `EnginePort` must do. One suite, run against each adapter, against the fake, and against each of them again
 * behind the worker. It is given the engine, a tokenizer and prompts; it knows no engine by name.
 */
import { defaultSampling, type Sampling } from '@tussah/protocol/sampling';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf, collect, cutsOf, greedy, jobFor, never } from './contract-tools.ts';
import type { EngineBuild, EngineErrorCode, EnginePort, GenerateJob, LoadProgress } from './port.ts';
import { bytesOfIds, type TokenCodec } from './token-codec.ts';

export interface EngineSubject {
  /** A new engine with nothing loaded; `dispose` ends it. */
  readonly create: () => EnginePort;
  readonly dispose: (port: EnginePort) => Promise<void> | void;
  readonly codec: TokenCodec;
  readonly build: EngineBuild;
  /** A second build to load in turn with the first, where there is one. */
  readonly otherBuild?: EngineBuild;
  /** The build with one file that does not have the promised hash. */
  readonly corruptBuild?: EngineBuild;
  /** The build with one file that is not there. */
  readonly missingBuild?: EngineBuild;
  /**
   * The greedy answer to `wide` has characters of several tokens in it. What follows `open` is uncertain, so that sampled
   * answers differ; a model sure of its answer would let every test of seeds pass.
   */
  readonly prompts: { readonly plain: string; readonly wide: string; readonly open: string };
  /** Bound of the answers that are cut everywhere; slow engines take less. */
  readonly cutTokens: number;
}

const sampled: Sampling = { ...defaultSampling, temperature: 1.2, topP: 0.95 };
const penalised: Sampling = { temperature: 0.8, topP: 1, presencePenalty: 0.7, frequencyPenalty: 0.4 };

export function engineContract(name: string, subjectOf: () => Promise<EngineSubject> | EngineSubject): void {
  describe(`the engine contract: ${name}`, () => {
    let subject: EngineSubject;
    let port: EnginePort;
    const progress: LoadProgress[] = [];
    const job = (change: Partial<GenerateJob> = {}, prompt: keyof EngineSubject['prompts'] = 'plain') =>
      jobFor(subject.codec, subject.prompts[prompt], change);
    const run = (change: Partial<GenerateJob> = {}, prompt: keyof EngineSubject['prompts'] = 'plain') =>
      collect(port.generate(job(change, prompt), never()));
    const long = (): Partial<GenerateJob> => ({ sampling: sampled, maxTokens: subject.build.contextTokens });

    beforeAll(async () => {
      subject = await subjectOf();
      port = subject.create();
      await port.load(subject.build, (step) => progress.push(step), never());
    });
    afterAll(async () => {
      if (port !== undefined) await subject.dispose(port);
    });

    describe('loading', () => {
      test('progress never goes back and ends complete', () => {
        const steps = progress.map(({ step }) => step);
        expect(steps.at(-1)).toBe('start');
        expect(steps).toEqual(steps.toSorted());
        for (const { loadedBytes, totalBytes } of progress)
          expect(loadedBytes).toBeLessThanOrEqual(totalBytes ?? Infinity);
      });

      test('nothing can be generated before, and after unloading; loading again works', async () => {
        const other = subject.create();
        try {
          expect(await codeOf(collect(other.generate(job(), never())))).toBe('not_loaded');
          await other.load(subject.build, () => {}, never());
          const first = await collect(other.generate(job(), never()));
          await other.unload();
          expect(await codeOf(collect(other.generate(job(), never())))).toBe('not_loaded');
          await other.load(subject.build, () => {}, never());
          expect((await collect(other.generate(job(), never()))).ids).toEqual(first.ids);
        } finally {
          await subject.dispose(other);
        }
      });

      test('two builds can be loaded in turn without unloading', async () => {
        const other = subject.create();
        try {
          for (const build of [subject.build, subject.otherBuild ?? subject.build, subject.build]) {
            await other.load(build, () => {}, never());
            expect(
              (await collect(other.generate(job({ maxTokens: 4 }), never()))).ids.length,
            ).toBeGreaterThan(0);
          }
        } finally {
          await subject.dispose(other);
        }
      });

      test.for<[keyof EngineSubject & ('corruptBuild' | 'missingBuild'), EngineErrorCode]>([
        ['corruptBuild', 'file_corrupt'],
        ['missingBuild', 'download_failed'],
      ])('%s is refused with %s, and the engine can load a sound one afterwards', async ([which, code]) => {
        const bad = subject[which];
        if (bad === undefined) return;
        const other = subject.create();
        try {
          expect(await codeOf(other.load(bad, () => {}, never()))).toBe(code);
          expect(await codeOf(collect(other.generate(job(), never())))).toBe('not_loaded');
          await other.load(subject.build, () => {}, never());
          expect((await collect(other.generate(job({ maxTokens: 3 }), never()))).end).toBe('length');
        } finally {
          await subject.dispose(other);
        }
      });

      test('an abort during load ends it, and a later load succeeds', async () => {
        const other = subject.create();
        try {
          const abort = new AbortController();
          const loading = codeOf(other.load(subject.build, () => abort.abort(), abort.signal));
          expect(await loading).toBe('aborted');
          expect(await codeOf(other.load(subject.build, () => {}, AbortSignal.abort()))).toBe('aborted');
          await other.load(subject.build, () => {}, never());
        } finally {
          await subject.dispose(other);
        }
      });
    });

    describe('generating', () => {
      test('tokens come one after the other, with their bytes, and an end comes last', async () => {
        const { events, ids, end } = await run({}, 'wide');
        let position = 0;
        for (const event of events.slice(0, -1)) {
          if (event.type !== 'token') throw new Error('an end before the end');
          expect(event.position).toBe(position);
          expect([...event.bytes]).toEqual([...bytesOfIds(subject.codec, event.ids)]);
          expect(event.bytes.length).toBeGreaterThan(0);
          expect(event.logprob).toBeNull();
          position += event.ids.length;
        }
        expect(end).toMatch(/^(eog|length)$/);
        expect(ids.length).toBe(position);
      });

      test('greedy answers are the same each time, whatever the seed', async () => {
        const first = await run();
        expect(await run({ seedRoot: 'another' })).toEqual(first);
        expect(first.ids.length).toBeGreaterThan(3);
      });

      test('a sampled answer follows its seed', async () => {
        const settings = { sampling: sampled, maxTokens: 16 };
        const first = await run({ ...settings, seedRoot: 'a' }, 'open');
        expect(await run({ ...settings, seedRoot: 'a' }, 'open')).toEqual(first);
        const texts = new Set([first.text]);
        for (const seedRoot of ['b', 'c', 'd'])
          texts.add((await run({ ...settings, seedRoot }, 'open')).text);
        expect(texts.size).toBeGreaterThan(2);
      });

      test.for([1, 2, 7, 16, 17])('at most %i tokens', async (maxTokens) => {
        const { ids, end } = await run({ maxTokens });
        expect(ids.length).toBe(maxTokens);
        expect(end).toBe('length');
      });

      test('a prefix that fills the bound ends at once', async () => {
        const { ids, text } = await run({ maxTokens: 4 });
        expect(await run({ maxTokens: 4, prefix: { ids, text } })).toMatchObject({ ids: [], end: 'length' });
      });

      test('a prompt that fills the context is refused', async () => {
        const prompt = subject.prompts.plain.repeat(
          1 + Math.ceil(subject.build.contextTokens / subject.codec.encode(subject.prompts.plain).length),
        );
        expect(await codeOf(collect(port.generate(jobFor(subject.codec, prompt), never())))).toBe(
          'prompt_too_long',
        );
        expect((await run({ maxTokens: 2 })).ids.length).toBe(2);
      });

      test('an answer that fills the context ends with it', async () => {
        const filler = subject.prompts.plain;
        const size = subject.codec.encode(filler).length;
        const room = subject.build.contextTokens - 3;
        const prompt = filler.repeat(Math.floor(room / size));
        const left = subject.build.contextTokens - subject.codec.encode(prompt).length;
        const { ids, end } = await collect(
          port.generate(jobFor(subject.codec, prompt, { maxTokens: left + 50 }), never()),
        );
        expect(ids.length).toBeLessThanOrEqual(left);
        if (ids.length === left) expect(end).toBe('context');
      });

      test('log probabilities come when asked for, with alternatives', async () => {
        const { events } = await run({ topLogprobs: 3, maxTokens: 6 });
        const tokens = events.filter((event) => event.type === 'token');
        for (const { logprob, top } of tokens) {
          expect(logprob).toBeLessThanOrEqual(0);
          expect(top.length).toBeLessThanOrEqual(3);
          for (const [i, { logprob }] of top.entries())
            expect(logprob).toBeLessThanOrEqual(top[i - 1]?.logprob ?? 0.000_001);
        }
        expect(tokens.some(({ top }) => top.length > 0)).toBe(true);
        expect((await run({ topLogprobs: 0, maxTokens: 3 })).events[0]).toMatchObject({ top: [] });
      });
    });

    describe('stopping', () => {
      test('an abort ends the stream, and the engine works again', async () => {
        const before = await run();
        const abort = new AbortController();
        const reading = (async () => {
          let tokens = 0;
          for await (const event of port.generate(job(long()), abort.signal))
            if (event.type === 'token' && ++tokens === 3) abort.abort();
        })();
        expect(await codeOf(reading)).toBe('aborted');
        expect(await run()).toEqual(before);
      });

      test('an abort before the first token ends it too', async () => {
        expect(await codeOf(collect(port.generate(job(), AbortSignal.abort())))).toBe('aborted');
        const abort = new AbortController();
        const reading = codeOf(collect(port.generate(job(long()), abort.signal)));
        abort.abort();
        expect(await reading).toBe('aborted');
        expect((await run({ maxTokens: 2 })).ids.length).toBe(2);
      });

      test('leaving the loop early frees the engine', async () => {
        const before = await run();
        for (let i = 0; i < 3; i++) {
          // oxlint-disable-next-line no-unreachable-loop -- leaving at the first token is the point
          for await (const event of port.generate(job(long()), never())) {
            expect(event.type).toBe('token');
            break;
          }
        }
        expect(await run()).toEqual(before);
      });

      test('a second job while one runs is refused and harms nothing', async () => {
        const before = await run({ maxTokens: 20 });
        const first = port.generate(job({ maxTokens: 20 }), never())[Symbol.asyncIterator]();
        await first.next();
        expect(await codeOf(collect(port.generate(job(), never())))).toBe('engine_busy');
        let ids = 1;
        for (let step = await first.next(); step.done !== true; step = await first.next())
          if (step.value.type === 'token') ids += step.value.ids.length;
        expect(ids).toBeGreaterThanOrEqual(before.ids.length);
        expect(await run({ maxTokens: 20 })).toEqual(before);
      });
    });

    describe('going on after a prefix', () => {
      test.for<[string, Sampling, keyof EngineSubject['prompts']]>([
        ['greedy', greedy, 'plain'],
        ['greedy, with characters of several tokens', greedy, 'wide'],
        ['sampled', sampled, 'open'],
        ['sampled hot', { ...sampled, temperature: 1.8, topP: 1 }, 'open'],
        ['with penalties', penalised, 'open'],
        ['greedy with penalties', { ...penalised, temperature: 0 }, 'wide'],
      ])(
        'at every cut the rest equals the uninterrupted answer: %s',
        { timeout: 240_000 },
        async ([, sampling, prompt]) => {
          const settings = { sampling, maxTokens: subject.cutTokens, seedRoot: 'cut' };
          const whole = await run(settings, prompt);
          expect(whole.ids.length).toBeGreaterThan(1);
          for (const cut of cutsOf(whole, subject.codec)) {
            const rest = await run({ ...settings, prefix: cut }, prompt);
            expect({ at: cut.ids.length, ids: [...cut.ids, ...rest.ids], end: rest.end }).toEqual({
              at: cut.ids.length,
              ids: whole.ids,
              end: whole.end,
            });
            const first = rest.events[0];
            if (first?.type === 'token') expect(first.position).toBe(cut.ids.length);
          }
        },
      );

      test('on another engine of the same kind', { timeout: 120_000 }, async () => {
        const settings = { sampling: sampled, maxTokens: subject.cutTokens, seedRoot: 'moved' };
        const whole = await run(settings, 'open');
        const cuts = cutsOf(whole, subject.codec);
        const other = subject.create();
        try {
          await other.load(subject.build, () => {}, never());
          for (const cut of [cuts[1], cuts[Math.floor(cuts.length / 2)], cuts.at(-1)]) {
            if (cut === undefined) continue;
            const rest = await collect(other.generate(job({ ...settings, prefix: cut }, 'open'), never()));
            expect([...cut.ids, ...rest.ids]).toEqual(whole.ids);
          }
        } finally {
          await subject.dispose(other);
        }
      });
    });
  });
}
