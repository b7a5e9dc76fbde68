/**
 * A whole chat through the network against the same engine asked directly in the same page: the same job, greedy, in turns.
 *
 * Directly: from the call of the engine client in the page to its token events there, so the way to the engine's worker
 * and back is included. Through the network: from just before the HTTP request is written, over a kept connection with an
 * API key, to the chunks as they arrive in this process; so HTTP, the coordinator in a process of its own, the socket to
 * the browser, batching and the contributor are included.
 *
 * The speed is (tokens - 1) / (last - first). Answers are cut before they end by themselves: the step that finds the end
 * makes no token, yet the network's last chunk may wait for it. Everything shares this machine's cores, so on a busy one
 * what the network costs the CPU slows the engine too; an engine of more than a thousand tokens a second shows it most.
 */
import {
  type BenchBrowser,
  type BenchSite,
  benchSite,
  browserFor,
  inWorkplace,
  nameOf,
  openPage,
  type Workplace,
} from '../engines/bench-site.ts';
import { type BenchEngine, benchEngines, MODEL, type Run } from '../engines/page-api.ts';
import { median, metric, type Bench, type Metric } from '../harness.ts';
import { hangUp, timedChat } from './timed-chat.ts';

/** Before anything counts: code gets compiled and connections opened. */
const WARM_UP_PAIRS = 4;
const BOUND_MS = 240_000;
/** Before each answer. The books of the last one are being written while its client has it already: that is not the next one's cost. */
const REST_MS = 50;
const SPEED_RATIO_MIN = 0.95;
const FIRST_TOKEN_ADDED_MS_MAX = 10;

interface Load {
  readonly pairs: number;
  /** Less than the 191 of the whole answer. */
  readonly maxTokens: number;
}

/** WebGPU in software is too slow for more; wllama is so fast that it needs more to tell anything from noise. */
const loads: Readonly<Record<BenchEngine, Load>> = {
  wllama: { pairs: 120, maxTokens: 160 },
  webllm: { pairs: 50, maxTokens: 48 },
};

const bodyFor = (engine: BenchEngine): string =>
  JSON.stringify({
    model: MODEL,
    messages: [{ role: 'user', content: 'Tell me a story.' }],
    temperature: 0,
    max_tokens: loads[engine].maxTokens,
    stream: true,
    stream_options: { include_usage: true },
  });

interface Pair {
  readonly direct: Run;
  readonly network: Run;
}

export const e2e: Bench = {
  summary: 'a whole chat through the network against the same engine asked directly',
  run: (say) =>
    inWorkplace(BOUND_MS, async (place) => {
      place.ending.defer(hangUp);
      say('building the page, starting a coordinator');
      const site = await benchSite(place);
      const key = await keyOf(site);
      const metrics: Record<string, Metric> = {};
      for (const engine of benchEngines) {
        const browser = await browserFor(engine, place);
        const { name, pairs } = await pairsOf(place, site, key, browser, engine, say);
        Object.assign(metrics, metricsOf(name, pairs));
      }
      return metrics;
    }),
};

async function keyOf({ url, adminToken }: BenchSite): Promise<string> {
  const response = await fetch(`${url}/v1/admin/accounts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'bench', creditNano: '1000000000000' }),
  });
  return ((await response.json()) as { key: string }).key;
}

async function pairsOf(
  place: Workplace,
  site: BenchSite,
  key: string,
  browser: BenchBrowser,
  engine: BenchEngine,
  say: (line: string) => void,
): Promise<{ readonly name: string; readonly pairs: readonly Pair[] }> {
  const { page, close } = await openPage(place, site, browser, engine);
  const name = await nameOf(engine, page);
  await page.evaluate((engine) => window.tussahBench?.contribute(engine), engine);
  const body = bodyFor(engine);
  const network = () => timedChat(site.url, key, body);
  const direct = async (): Promise<Run> => {
    const run = await page.evaluate(() => window.tussahBench?.generate());
    if (run === undefined) throw new Error('the page of the bench is gone');
    return run;
  };
  // The page learns the job from the network.
  await network();
  const pairs: Pair[] = [];
  const { pairs: wanted } = loads[engine];
  for (let i = -WARM_UP_PAIRS; i < wanted; i++) {
    await pause(REST_MS);
    const first = await (i % 2 === 0 ? direct : network)();
    await pause(REST_MS);
    const second = await (i % 2 === 0 ? network : direct)();
    const pair = i % 2 === 0 ? { direct: first, network: second } : { direct: second, network: first };
    if (pair.direct.text !== pair.network.text || pair.direct.tokens !== pair.network.tokens)
      throw new Error(`${engine} answered differently through the network: nothing can be compared`);
    if (i < 0) continue;
    pairs.push(pair);
    if (pairs.length % (wanted / 5) === 0)
      say(
        `${name}, pair ${pairs.length} of ${wanted}: direct ${speed(pair.direct).toFixed(1)} tokens/s, ` +
          `network ${speed(pair.network).toFixed(1)}; first token ${pair.direct.firstMs.toFixed(1)} ms, ` +
          `network ${pair.network.firstMs.toFixed(1)}`,
      );
  }
  await page.evaluate(() => window.tussahBench?.stop());
  await close();
  return { name, pairs };
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

const speed = ({ firstMs, lastMs, tokens }: Run): number => ((tokens - 1) * 1000) / (lastMs - firstMs);

function metricsOf(name: string, pairs: readonly Pair[]): Record<string, Metric> {
  const directSpeed = median(pairs.map(({ direct }) => speed(direct)));
  const networkSpeed = median(pairs.map(({ network }) => speed(network)));
  const directFirst = median(pairs.map(({ direct }) => direct.firstMs));
  const networkFirst = median(pairs.map(({ network }) => network.firstMs));
  const ratios = pairs.map(({ direct, network }) => speed(network) / speed(direct));
  const added = pairs.map(({ direct, network }) => network.firstMs - direct.firstMs);
  return {
    [`${name}: speed through the network`]: metric(networkSpeed, 'tokens/s', {
      floor: directSpeed,
      target: `at least ${SPEED_RATIO_MIN} of direct`,
      pass: networkSpeed >= SPEED_RATIO_MIN * directSpeed,
    }),
    [`${name}: first token through the network, p50`]: metric(networkFirst, 'ms', {
      floor: directFirst,
      target: `at most direct + ${FIRST_TOKEN_ADDED_MS_MAX} ms`,
      pass: networkFirst - directFirst <= FIRST_TOKEN_ADDED_MS_MAX,
    }),
    [`${name}: first token, added, p50`]: metric(networkFirst - directFirst, 'ms'),
    [`${name}: first token, added in a pair, p10`]: metric(quantile(added, 0.1), 'ms'),
    [`${name}: first token, added in a pair, p90`]: metric(quantile(added, 0.9), 'ms'),
    [`${name}: speed, of direct in a pair, p10`]: metric(quantile(ratios, 0.1), ''),
    [`${name}: speed, of direct in a pair, p90`]: metric(quantile(ratios, 0.9), ''),
    [`${name}: answer`]: metric(pairs[0]?.network.tokens ?? 0, 'tokens'),
    [`${name}: pairs`]: metric(pairs.length, ''),
  };
}

/** The nearest of the values. */
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round(q * (sorted.length - 1))] ?? Number.NaN;
}
