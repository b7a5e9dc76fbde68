/**
 * Our coordinator beside other gateways, in one run, with the same clients, the same answer and the same batches. nginx is
 * the floor: it passes bytes on. Portkey and LiteLLM read requests and chunks as we do; none of them matches, meters,
 * bills or signs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, metric, type Bench, type Metric, type Note } from '../harness.ts';
import { pacingSettings } from './pacing.ts';
import { measure, method, STREAMS, type Figures } from './rounds.ts';
import { OURS, setUp, UPSTREAM, type Stage } from './stage.ts';

const NGINX_RATIO_MAX = 6;
const GATEWAY_RATIO_MIN = 5;
const FLOOR = 'nginx';
const gateways = ['Portkey', 'LiteLLM'];

export const peers: Bench = {
  summary: 'the coordinator beside nginx, a Node pipe, Portkey and LiteLLM',
  async run(say, note) {
    const folder = mkdtempSync(join(tmpdir(), 'tussah-bench-'));
    const cleanUp = [() => rmSync(folder, { recursive: true, force: true })];
    try {
      const stage = await setUp(folder, say, cleanUp);
      noteSettings(stage, note);
      const figures = await measure(stage, say);
      return {
        ...judged(figures, stage.missing),
        ...Object.fromEntries([...figures].flatMap(([name, figure]) => reported(name, figure, figures))),
      };
    } finally {
      for (const end of cleanUp.toReversed()) end();
    }
  },
};

function noteSettings({ systems, missing }: Stage, note: Note): void {
  for (const { name, version, settings } of systems) note(name, `${version}; ${settings}`);
  for (const [name, why] of missing) note(name, `missing: ${why}`);
  note('answers', pacingSettings);
  note('place', 'all on this machine over the loopback address, the load and the upstream included');
  for (const [what, how] of Object.entries(method)) note(what, how);
}

/** CPU a request, with the targets. A system that is missing has no figure, and its target is missed. */
function judged(
  figures: ReadonlyMap<string, Figures>,
  missing: ReadonlyMap<string, string>,
): Record<string, Metric> {
  const cpu = (name: string): number => median(figures.get(name)?.cpuUs ?? []);
  const [floor, ours] = [cpu(FLOOR), cpu(OURS)];
  const unit = 'us a request';
  return {
    [`${OURS}: CPU`]: metric(ours, unit, {
      floor,
      target: `at most ${NGINX_RATIO_MAX} x ${FLOOR}`,
      pass: ours <= NGINX_RATIO_MAX * floor,
    }),
    ...Object.fromEntries(
      gateways.map((name) => [
        `${name}: CPU`,
        metric(cpu(name), unit, {
          floor,
          target: missing.has(name) ? 'to be installed' : `at least ${GATEWAY_RATIO_MIN} x ours`,
          pass: cpu(name) >= GATEWAY_RATIO_MIN * ours,
        }),
      ]),
    ),
    'Node pipe: CPU': metric(cpu('Node pipe'), unit, { floor }),
    [`${FLOOR}: CPU`]: metric(floor, unit),
  };
}

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? Number.NaN;

/** The other figures of one subject. Latencies of a system are what it adds to those of the upstream. */
function reported(name: string, figure: Figures, figures: ReadonlyMap<string, Figures>): [string, Metric][] {
  const of = (subject: string) => figures.get(subject) ?? figure;
  const latency = (what: 'firstMs' | 'gapsMs', q: number): Metric => {
    const value = quantile(figure[what], q);
    if (name === UPSTREAM) return metric(value, 'ms');
    return metric(value - quantile(of(UPSTREAM)[what], q), 'ms added');
  };
  const cpu = (what: 'batchedCpuUs' | 'pacedCpuUs'): Metric =>
    metric(median(figure[what]), 'us a request', { floor: median(of(FLOOR)[what]) });
  const costs: [string, Metric][] = [
    [`${name}: CPU, 8 tokens a batch`, cpu('batchedCpuUs')],
    [`${name}: CPU in rhythm`, cpu('pacedCpuUs')],
    [`${name}: memory at ${STREAMS} streams`, metric(figure.streamsMiB, 'MiB')],
  ];
  return [
    ...(name === UPSTREAM ? [] : costs),
    [`${name}: requests`, metric(median(figure.perSecond), 'a second')],
    [`${name}: first token, p50`, latency('firstMs', 0.5)],
    [`${name}: first token, p99`, latency('firstMs', 0.99)],
    [`${name}: between tokens, p50`, latency('gapsMs', 0.5)],
    [`${name}: between tokens, p99`, latency('gapsMs', 0.99)],
  ];
}
