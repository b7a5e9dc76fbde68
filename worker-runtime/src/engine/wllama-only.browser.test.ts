/** What only this engine can get wrong: blocks of tokens that end inside characters, and the penalties' view of the prompt. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runAnswer } from './answer.ts';
import { collect, codeOf, greedy, jobFor, never } from './contract-tools.ts';
import { EngineError } from './port.ts';
import { blockAfter } from './seed-blocks.ts';
import { chat, tinyCodec, tinyGguf } from './tiny-subject.ts';
import { bytesOfIds, type TokenCodec } from './token-codec.ts';
import { utf8Text } from './utf8-assembler.ts';
import { WllamaEngine } from './wllama-adapter.ts';

const engine = new WllamaEngine();
let codec: TokenCodec;

beforeAll(async () => {
  codec = await tinyCodec();
  const build = await tinyGguf();
  await engine.load(build, () => {}, never());
});
afterAll(() => engine.unload());

test(
  'hot answers full of broken characters go on exactly from every block and from between',
  { timeout: 120_000 },
  async () => {
    const answers = new Set<string>();
    let refused = 0;
    let lateBorders = 0;
    for (let seed = 0; seed < 24; seed++) {
      const settings = { sampling: { ...greedy, temperature: 2 }, maxTokens: 60, seedRoot: `hot-${seed}` };
      const job = jobFor(codec, seed % 2 === 0 ? 'a 🙂 日本 or' : 'Привет', settings);
      let whole;
      try {
        whole = await collect(engine.generate(job, never()));
      } catch (error) {
        // Bytes beyond U+10FFFF can't be kept out of an answer this hot; it fails for everybody alike.
        if (!(error instanceof EngineError)) throw error;
        refused += 1;
        continue;
      }
      answers.add(whole.text);
      let taken = 0;
      for (const event of whole.events) {
        if (event.type !== 'token') continue;
        taken += event.ids.length;
        const ids = whole.ids.slice(0, taken);
        const { position } = blockAfter(ids, codec, 16);
        // A block that ran over its 16 tokens to end with a whole character.
        if (position === taken && event.ids.length > 1) lateBorders += 1;
        if (taken - position > 2 && taken % 5 !== 0) continue;
        const prefix = { ids, text: utf8Text(bytesOfIds(codec, ids)) };
        const rest = await collect(engine.generate({ ...job, prefix }, never()));
        expect([...ids, ...rest.ids]).toEqual(whole.ids);
        expect(rest.end).toBe(whole.end);
      }
    }
    expect(answers.size).toBeGreaterThan(12);
    expect(lateBorders).toBeGreaterThan(0);
    expect(refused).toBeLessThan(8);
  },
);

test('deltas of a real tokenizer keep the wire’s rule, with stop strings that cut tokens', async () => {
  for (const [seed, stop] of ['la', 'ин', ' t', '😀', 'zz', 'o a'].entries()) {
    const settings = { sampling: { ...greedy, temperature: 1.3 }, maxTokens: 48, seedRoot: `stop-${seed}` };
    const job = jobFor(codec, seed % 2 === 0 ? chat('Hello!') : 'Привет', settings);
    const whole = await collect(engine.generate(job, never()));
    let text = '';
    let position = 0;
    for await (const event of runAnswer({
      port: engine,
      job,
      codec,
      stop: [stop],
      signal: never(),
      batchMs: 2,
    })) {
      if (event.type === 'end') expect(event.tokens).toBe(position);
      if (event.type !== 'delta') continue;
      expect(event.position).toBe(position);
      expect(utf8Text(bytesOfIds(codec, event.ids))).toBe(event.text);
      position += event.ids.length;
      text += event.text;
    }
    const stopAt = whole.text.indexOf(stop);
    expect(text).toBe(stopAt < 0 ? whole.text : whole.text.slice(0, stopAt));
  }
});

test('a prefix that this engine would not have written is refused, once there is something to compare', async () => {
  const sampling = { ...greedy, temperature: 1 };
  const ids = codec.encode('zebra zebra');
  const job = jobFor(codec, chat('Who are you?'), { sampling, prefix: { ids, text: 'zebra zebra' } });
  expect(await codeOf(collect(engine.generate(job, never())))).toBe('prefix_diverged');
});

test('how much was read at once leaves no trace in the probabilities', async () => {
  const fresh = new WllamaEngine();
  const short = jobFor(codec, chat('Tell a story'), { topLogprobs: 5, maxTokens: 4 });
  const long = jobFor(codec, chat(`Tell a story${' and another'.repeat(40)}`), { maxTokens: 1 });
  expect(long.prompt.ids.length).toBeGreaterThan(100);
  try {
    await fresh.load(await tinyGguf(), () => {}, never());
    const alone = await collect(fresh.generate(short, never()));
    await fresh.load(await tinyGguf(), () => {}, never());
    await collect(fresh.generate(long, never()));
    expect(await collect(fresh.generate(short, never()))).toEqual(alone);
  } finally {
    await fresh.unload();
  }
});

test('the words of the prompt are not penalised', async () => {
  const prompt = chat('Repeat: red wolf river');
  const plain = await collect(engine.generate(jobFor(codec, prompt), never()));
  const sampling = { ...greedy, frequencyPenalty: 2 };
  const penalised = await collect(engine.generate(jobFor(codec, prompt, { sampling }), never()));
  expect(plain.text).toContain('red wolf');
  expect(penalised.text.slice(0, 8)).toBe(plain.text.slice(0, 8));
});

test('penalties act on what was generated', async () => {
  const prompt = chat('Repeat: red red red red red red');
  const presence = { ...greedy, presencePenalty: 2, frequencyPenalty: 2 };
  const plain = await collect(engine.generate(jobFor(codec, prompt), never()));
  const penalised = await collect(engine.generate(jobFor(codec, prompt, { sampling: presence }), never()));
  expect(penalised.ids).not.toEqual(plain.ids);
});

test('log probabilities survive characters of several tokens', async () => {
  const job = jobFor(codec, chat('Hello!'), { topLogprobs: 2 });
  const { events, text } = await collect(engine.generate(job, never()));
  const plain = await collect(engine.generate({ ...job, topLogprobs: null }, never()));
  expect(text).toBe(plain.text);
  expect(text).toMatch(/\p{Emoji_Presentation}/u);
  const known = events.filter((event) => event.type === 'token' && event.logprob !== null);
  expect(known.length).toBeGreaterThan(2);
});

test('weights that are no model are refused', async () => {
  const blob = new Blob(['GGUF nothing else '.repeat(100)]);
  const url = URL.createObjectURL(blob);
  const build = await tinyGguf();
  const files = build.files.map((file) =>
    file.role === 'weights' ? { ...file, url, bytes: blob.size, sha256: null } : file,
  );
  expect(await codeOf(new WllamaEngine().load({ ...build, files }, () => {}, never()))).toBe('engine_failed');
});
