/**
 * Each engine alone, in the browser, with the bundled model: how long it takes to load, to read a prompt and to answer.
 *
 * A first load has a new profile, a later one the same profile in a new browser: model files, compiled code and pipelines
 * are kept there. A load is measured in the page, from the making of the engine's worker until the engine says that it is
 * loaded, with files from this machine; the first answer after it is measured too, since engines compile late. Reading is
 * the prompt's tokens by the time to the first token, each prompt being new to the engine; answering is the speed of the
 * tokens after the first. Both are asked at the engine client, through its worker.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promptRenderer } from '@tussah/models/prompt';
import { loadTokenizer } from '@tussah/models/tokenizer';
import type { GenerateJob } from '@tussah/worker-runtime/engine/port';
import type { Page } from 'playwright';
import { median, metric, type Bench, type Metric } from '../harness.ts';
import {
  type BenchBrowser,
  type BenchSite,
  benchSite,
  browserFor,
  inWorkplace,
  nameOf,
  openPage,
  type Workplace,
} from './bench-site.ts';
import { type BenchEngine, benchEngines, type Run } from './page-api.ts';

const ROUNDS = 5;
const BOUND_MS = 420_000;
const PROMPT_TOKENS = 400;
const ANSWER_TOKENS = 48;
/** Of each visit; of the second half the middle one counts, since code is still being compiled during the first. */
const ANSWERS = 6;
const FIRST_LOAD_MS_MAX = 60_000;
const DECODE_MIN = 3;

interface Visit {
  readonly loadMs: number;
  /** From the start of the load to the first token. */
  readonly toFirstTokenMs: number;
  /** Tokens a second. */
  readonly prefill: number;
  readonly decode: number;
}

interface Measured {
  readonly name: string;
  readonly first: readonly Visit[];
  readonly later: readonly Visit[];
}

export const engines: Bench = {
  summary: 'each engine alone: first and later loads, reading a prompt, making an answer',
  run: (say) =>
    inWorkplace(BOUND_MS, async (place) => {
      say('building the page, starting a coordinator that serves it');
      const site = await benchSite(place);
      const metrics: Record<string, Metric> = {};
      for (const engine of benchEngines) {
        const browser = await browserFor(engine, place);
        const measured = await measure(place, site, browser, engine, say);
        Object.assign(metrics, metricsOf(engine, measured));
      }
      return metrics;
    }),
};

async function measure(
  place: Workplace,
  site: BenchSite,
  browser: BenchBrowser,
  engine: BenchEngine,
  say: (line: string) => void,
): Promise<Measured> {
  const first: Visit[] = [];
  const later: Visit[] = [];
  let name = '';
  for (let round = 0; round < ROUNDS; round++) {
    for (const visits of [first, later]) {
      const { page, close } = await openPage(place, site, browser, `${engine}-${round}`);
      name = await nameOf(engine, page);
      visits.push(await visit(page, engine, round));
      await page.evaluate(() => window.tussahBench?.stop());
      await close();
    }
    const [cold, warm] = [first.at(-1), later.at(-1)];
    say(
      `${name}, round ${round + 1} of ${ROUNDS}: ` +
        `first load ${cold?.loadMs.toFixed(0)} ms, later load ${warm?.loadMs.toFixed(0)} ms, ` +
        `reads ${warm?.prefill.toFixed(0)} tokens/s, answers ${warm?.decode.toFixed(1)} tokens/s`,
    );
  }
  return { name, first, later };
}

async function visit(page: Page, engine: BenchEngine, round: number): Promise<Visit> {
  const loadMs = await page.evaluate((name) => window.tussahBench?.load(name), engine);
  if (loadMs === undefined) throw new Error('the page of the bench is gone');
  const ask = async (job: GenerateJob): Promise<Run> => {
    const run = await page.evaluate((job) => window.tussahBench?.generate(job), job);
    if (run === undefined) throw new Error('the page of the bench is gone');
    return run;
  };
  const { firstMs } = await ask(jobOf('Tell me a story.', 1));
  // Once before it counts: kernels for long prompts are compiled then.
  await ask(jobOf(longText(2 * round), 1));
  const prompt = jobOf(longText(2 * round + 1), 1);
  const read = await ask(prompt);
  const speeds: number[] = [];
  for (let i = 0; i < ANSWERS; i++) {
    const { tokens, firstMs, lastMs } = await ask(jobOf('Tell me a story.', ANSWER_TOKENS));
    speeds.push(((tokens - 1) * 1000) / (lastMs - firstMs));
  }
  return {
    loadMs,
    toFirstTokenMs: loadMs + firstMs,
    prefill: (prompt.prompt.ids.length * 1000) / read.firstMs,
    decode: median(speeds.slice(ANSWERS / 2)),
  };
}

function metricsOf(engine: BenchEngine, { name, first, later }: Measured): Record<string, Metric> {
  const of = (visits: readonly Visit[], key: keyof Visit) => median(visits.map((visit) => visit[key]));
  const both = [...first, ...later];
  const firstMs = of(first, 'toFirstTokenMs');
  const decode = of(both, 'decode');
  const bounded = engine === 'webllm';
  return {
    [`${name}: first load`]: metric(of(first, 'loadMs'), 'ms'),
    [`${name}: first load and first token`]: metric(
      firstMs,
      'ms',
      bounded ? { target: `less than ${FIRST_LOAD_MS_MAX / 1000} s`, pass: firstMs < FIRST_LOAD_MS_MAX } : {},
    ),
    [`${name}: later load`]: metric(of(later, 'loadMs'), 'ms'),
    [`${name}: later load and first token`]: metric(of(later, 'toFirstTokenMs'), 'ms'),
    [`${name}: reading ${PROMPT_TOKENS} tokens`]: metric(of(both, 'prefill'), 'tokens/s'),
    [`${name}: answering`]: metric(
      decode,
      'tokens/s',
      bounded ? { target: `at least ${DECODE_MIN}`, pass: decode >= DECODE_MIN } : {},
    ),
  };
}

const tiny = resolve(import.meta.dirname, '../../../models/tiny');
const readJson = (name: string): unknown => JSON.parse(readFileSync(join(tiny, name), 'utf8'));
const tokenizer = loadTokenizer(readJson('tokenizer.json'), readJson('tokenizer_config.json'));
if (!tokenizer.ok) throw new Error(tokenizer.failure.message);
const { value: codec } = tokenizer;
const renderer = promptRenderer(codec);
if (!renderer.ok) throw new Error(renderer.failure.message);
const { value: prompts } = renderer;

/** About `PROMPT_TOKENS` tokens that differ from the first word on, so that no cache of an earlier prompt helps. */
function longText(number: number): string {
  const words = 'red blue green river stone cloud apple tiger house window garden paper'.split(' ');
  const turned = [...words.slice(number % words.length), ...words.slice(0, number % words.length)];
  const text = `${turned.join(' ')} `.repeat(PROMPT_TOKENS / 10);
  return codec.decode(codec.encode(text).slice(0, PROMPT_TOKENS));
}

function jobOf(question: string, maxTokens: number): GenerateJob {
  const prompt = prompts.render([{ role: 'user', content: question }]);
  if (!prompt.ok) throw new Error(prompt.failure.message);
  return {
    prompt: prompt.value,
    prefix: { text: '', ids: [] },
    sampling: { temperature: 0, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
    maxTokens,
    seedRoot: 'bench',
    topLogprobs: null,
  };
}
