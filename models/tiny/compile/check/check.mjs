// Loads the library through the unmodified web-llm package in Chromium on the software WebGPU adapter, compares its
// logits with reference.py, tries everything the network relies on, and measures.
//
//   node check.mjs [<model.gguf> <folder of the files> <python with numpy>]
//
// Without arguments it takes the committed files and the Python of ../make.sh. Needs playwright-core, @mlc-ai/web-llm
// and a Chromium (CHROMIUM, or Debian's).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openPage } from './browser.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const [
  gguf = path.join(here, '../../tussah-tiny-f32.gguf'),
  mlc = path.join(here, '../../mlc'),
  python = path.join(here, '../build/venv/bin/python'),
] = process.argv.slice(2);

const LOAD_LIMIT_S = 60;
const SLOWEST_TOKENS_PER_S = 3;
const LOGIT_TOLERANCE = 5e-4; // the reference computes in double precision
const MOST_WRONG = 0.1; // of the questions

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));
const vocab = readJson(path.join(mlc, 'mlc-chat-config.json')).vocab_size;
const { questions } = readJson(path.join(here, '../../questions.json'));

/** @returns {number[][][]} for each list of ids the logits after every one of them */
function reference(lists) {
  const run = spawnSync(python, ['-B', path.join(here, '../reference.py'), gguf], {
    input: lists.map((ids) => JSON.stringify(ids)).join('\n'),
    maxBuffer: 2 ** 30,
  });
  assert.equal(run.status, 0, `${run.error ?? run.stderr}`);
  const lines = run.stdout.toString().trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

const argmax = (row) => row.reduce((best, value, i) => (value > row[best] ? i : best), 0);

function logSumExp(row) {
  const top = Math.max(...row);
  return top + Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0));
}

/** The same ids each time, of the whole vocabulary but the three special tokens. */
function someIds(count) {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 3 + ((state >>> 8) % (vocab - 3));
  });
}

const ask = (content, more) => ({
  messages: [{ role: 'user', content }],
  temperature: 0,
  max_tokens: 64,
  ...more,
});
const continueText = (prompt, more) => ({
  prompt,
  temperature: 0,
  max_tokens: 24,
  ignore_eos: true,
  ...more,
});

/** What penalties make of the logits when the tokens in `counts` appeared that often. */
function penalised(row, counts, { presence_penalty = 0, frequency_penalty = 0, repetition_penalty = 1 }) {
  return row.map((value, id) => {
    if (!counts.has(id)) return value;
    const lowered = value - presence_penalty - counts.get(id) * frequency_penalty;
    return lowered < 0 ? lowered * repetition_penalty : lowered / repetition_penalty;
  });
}

// Each takes `call`, which runs a function of page.js, and may add to `figures`, which are printed at the end.
const checks = {
  async 'the files are made from these weights'() {
    const [shard] = readJson(path.join(mlc, 'tensor-cache.json')).records;
    const table = shard.records.find(({ name }) => name === 'table.weight');
    const bytes = readFileSync(path.join(mlc, shard.dataPath));
    const rows = bytes.subarray(table.byteOffset, table.byteOffset + table.nbytes);
    assert.ok(readFileSync(gguf).includes(rows), 'the GGUF changed: run make.sh again');
  },

  async 'the library loads'(call, figures) {
    figures.adapter = await call('adapter');
    assert.ok(figures.adapter, 'no WebGPU adapter: were the flags of Chromium changed?');
    figures.loadSeconds = await call('load', false);
    assert.ok(figures.loadSeconds < LOAD_LIMIT_S);
  },

  async 'it answers, fast enough'(call, figures) {
    const { choices, usage } = await call('chat', ask('Who are you?', { ignore_eos: true }));
    figures.answer = choices[0].message.content;
    figures.short = usage;
    assert.ok(usage.extra.decode_tokens_per_s > SLOWEST_TOKENS_PER_S);
    figures.long = (await call('complete', continueText('one '.repeat(400)))).usage;
    assert.ok(figures.long.extra.decode_tokens_per_s > SLOWEST_TOKENS_PER_S);
  },

  async 'trained questions get their answers'(call, figures) {
    figures.wrong = [];
    for (const entry of questions) {
      const { choices } = await call('chat', ask(entry.ask[0], { max_tokens: 300 }));
      const got = choices[0].message.content;
      if (got !== entry.answer) figures.wrong.push({ asked: entry.ask[0], got });
    }
    figures.questions = questions.length;
    assert.ok(figures.wrong.length <= questions.length * MOST_WRONG);
  },

  async 'a seed reproduces a text, another seed gives another'(call) {
    const texts = [];
    for (const seed of [7, 7, 8]) {
      const { choices } = await call('complete', continueText('Hello', { temperature: 1.5, seed }));
      texts.push(choices[0].text);
    }
    assert.equal(texts[0], texts[1]);
    assert.notEqual(texts[0], texts[2]);
  },

  async 'an interrupted answer ends, and the next one is whole'(call, figures) {
    const cut = await call('interruptAfter', 3, ask('Hello', { max_tokens: 200, ignore_eos: true }));
    assert.equal(cut.finish, 'abort');
    assert.ok(cut.count < 10, `${cut.count} chunks came`);
    const { choices } = await call('chat', ask('Who are you?', { ignore_eos: true }));
    assert.equal(choices[0].message.content, figures.answer);
  },

  // From here on the model has a logit processor that copies every token's logits.
  async 'logits are those of the reference: one token, one chunk, several chunks, nearly the context'(
    call,
    figures,
  ) {
    await call('load', true);
    const prompts = [1, 5, 300, 960].map(someIds);
    const runs = [];
    for (const ids of prompts) runs.push(await call('greedy', ids, 24));
    const expected = reference(prompts.map((ids, i) => [...ids, ...runs[i].ids]));
    figures.largestLogitError = 0;
    for (const [i, { logits, ids }] of runs.entries()) {
      for (const [j, row] of logits.entries()) {
        const right = expected[i][prompts[i].length - 1 + j];
        const error = Math.max(...row.map((value, id) => Math.abs(value - right[id])));
        figures.largestLogitError = Math.max(figures.largestLogitError, error);
        assert.ok(error < LOGIT_TOLERANCE, `${prompts[i].length} tokens, step ${j}: off by ${error}`);
        assert.equal(ids[j], argmax(row));
        assert.ok(right[argmax(right)] - right[ids[j]] < 2 * LOGIT_TOLERANCE);
      }
    }
  },

  async 'a chat is rendered as ChatML'(call) {
    const turn = (role, content) => ({ role, content });
    const chats = [
      [turn('user', 'Hello')],
      [turn('system', 'Answer briefly.'), turn('user', 'Cost: $$5, $& and {user_message}')],
      [turn('user', 'Hi'), turn('assistant', 'Hello!'), turn('user', 'Привет 🧵')],
    ];
    for (const messages of chats) {
      const turns = messages.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`);
      const prompt = `${turns.join('')}<|im_start|>assistant\n`;
      const chat = await call('watch', 'chat', { messages, temperature: 0, max_tokens: 1 });
      const raw = await call('watch', 'complete', continueText(prompt, { max_tokens: 1 }));
      assert.equal(chat.reply.usage.prompt_tokens, raw.reply.usage.prompt_tokens);
      assert.deepEqual(chat.logits, raw.logits);
    }
  },

  async 'logprobs are those of the logits'(call) {
    const request = ask('Hello', {
      temperature: 1,
      seed: 3,
      max_tokens: 12,
      logprobs: true,
      top_logprobs: 3,
    });
    const { reply, logits, ids } = await call('watch', 'chat', request);
    const { content } = reply.choices[0].logprobs;
    assert.ok(content.length > 0);
    for (const [i, { logprob, top_logprobs }] of content.entries()) {
      const all = logits[i].map((value) => value - logSumExp(logits[i]));
      assert.ok(Math.abs(logprob - all[ids[i]]) < 1e-3);
      all.sort((a, b) => b - a);
      for (const [j, top] of top_logprobs.entries()) {
        // web-llm stops looking once the probabilities seen add up to 1, so it misses alternatives near rounding.
        if (Math.exp(all[j]) > 1e-6) assert.ok(Math.abs(top.logprob - all[j]) < 1e-3);
      }
    }
  },

  async 'sampling follows the probabilities'(call, figures) {
    const draws = 200;
    const temperature = 4; // at 1 a trained model leaves nothing to chance
    let hits = 0;
    let share = 0;
    for (let i = 1; i <= draws; i++) {
      // Far apart: web-llm's generator, 48271 * seed modulo 2 ** 31 - 1, draws a number near 0 first from a small seed.
      const seed = (i * 104729 * 7919) % (2 ** 31 - 1);
      const request = continueText('Hello', { temperature, seed, max_tokens: 1 });
      const { logits, ids } = await call('watch', 'complete', request);
      const scaled = logits[0].map((value) => value / temperature);
      share = Math.exp(Math.max(...scaled) - logSumExp(scaled));
      if (ids[0] === argmax(logits[0])) hits++;
    }
    figures.likeliestToken = { probability: share, observed: hits / draws };
    assert.ok(Math.abs(hits / draws - share) < 4 * Math.sqrt((share * (1 - share)) / draws) + 1 / draws);
  },

  async 'a tiny top_p leaves only the likeliest'(call) {
    for (let seed = 1e8; seed < 2e9; seed += 3e8) {
      const request = continueText('Hello', { temperature: 1.5, top_p: 1e-4, seed, max_tokens: 3 });
      const { logits, ids } = await call('watch', 'complete', request);
      assert.deepEqual(ids, logits.map(argmax));
    }
  },

  async 'logit_bias forces a token'(call) {
    const request = continueText('Hello', { max_tokens: 3, logit_bias: { 70: 100 } });
    assert.deepEqual((await call('watch', 'complete', request)).ids, [70, 70, 70]);
  },

  async 'penalties act as their formula says'(call) {
    const cases = [
      { presence_penalty: 1.5, frequency_penalty: 0.7 },
      { repetition_penalty: 1.8 },
      { presence_penalty: 0.4, frequency_penalty: -0.9, repetition_penalty: 1.3 },
    ];
    for (const penalties of cases) {
      const request = continueText('one one one', { max_tokens: 32, ...penalties });
      const { logits, ids } = await call('watch', 'complete', request);
      const counts = new Map();
      for (const [i, row] of logits.entries()) {
        assert.equal(ids[i], argmax(penalised(row, counts, penalties)), `token ${i}`);
        counts.set(ids[i], (counts.get(ids[i]) ?? 0) + 1);
      }
    }
  },

  async 'a grammar is obeyed'(call) {
    const response_format = { type: 'grammar', grammar: 'root ::= "yes" | "no"' };
    const { choices } = await call('chat', ask('Hello', { response_format }));
    assert.match(choices[0].message.content, /^(yes|no)$/);
  },
};

const page = await openPage(mlc);
const figures = {};
try {
  for (const [title, run] of Object.entries(checks)) {
    const start = performance.now();
    await run(page.call, figures);
    process.stdout.write(`ok  ${title} (${((performance.now() - start) / 1000).toFixed(1)} s)\n`);
  }
} finally {
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
  await page.close();
}
