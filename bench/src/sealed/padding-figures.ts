/** What each padding costs in bytes, and how much it still tells. */
import type { Padding } from '@tussah/protocol/private/header';
import { PaddingSchema } from '@tussah/protocol/private/header';
import { median, metric, type Metric } from '../harness.ts';
import { accuracyOf, type Seen } from './observer.ts';
import { answering, kinds, randomFrom } from './prompts.ts';
import { traceOf } from './traces.ts';

const ANSWERS_A_KIND = 100;
const FOLDS = 5;
const SEEDS = [1, 2, 3];

/** A token of the public path, without its text. */
const publicEvent =
  'data: {"id":"chatcmpl-job_000000000000000000000000","object":"chat.completion.chunk","created":1800000000,' +
  '"model":"tussah-tiny","system_fingerprint":"tussah-0.1.0","choices":[{"index":0,"delta":{"content":""},' +
  '"finish_reason":null}]}\n\n';

export function paddingFigures(say: (line: string) => void): Record<string, Metric> {
  const metrics: Record<string, Metric> = {};
  const runs = SEEDS.map((seed) => {
    const random = randomFrom(seed);
    return Array.from({ length: ANSWERS_A_KIND }, (_, n) =>
      kinds.map((each, kind) => ({ kind, fold: n % FOLDS, said: answering(each, random) })),
    ).flat();
  });
  const chance = 1 / kinds.length;
  const of = (view: 'answer' | 'request' | 'both', padding: Padding) =>
    median(
      runs.map((answers) =>
        accuracyOf(
          answers.map(({ kind, fold, said }): Seen => ({ kind, fold, trace: traceOf(said, padding) })),
          view,
        ),
      ),
    );
  for (const padding of PaddingSchema.options) {
    const accuracy = of('answer', padding);
    const withRequest = of('both', padding);
    say(`${padding}: the observer names ${(100 * accuracy).toFixed(1)} % of answers`);
    const unit = 'of answers';
    metrics[`observer, ${padding}`] = metric(accuracy, unit, { floor: chance });
    metrics[`observer, ${padding}, with the request's size`] = metric(withRequest, unit, { floor: chance });
    const expansions = (runs[0] ?? []).map(({ said }) => {
      const sent = traceOf(said, padding).chunks.reduce((sum, { bytes }) => sum + bytes, 0);
      const text = said.tokens.reduce((sum, token) => sum + token.text.length, 0);
      return { sent, text, open: text + said.tokens.length * publicEvent.length };
    });
    const sum = (of: 'sent' | 'text' | 'open') => expansions.reduce((total, each) => total + each[of], 0);
    metrics[`bytes sent a byte of text, ${padding}`] = metric(sum('sent') / sum('text'), '', {
      floor: sum('open') / sum('text'),
    });
    metrics[`bytes sent an answer, ${padding}, p50`] = metric(
      median(expansions.map(({ sent }) => sent)),
      'bytes',
      { floor: median(expansions.map(({ open }) => open)) },
    );
  }
  metrics["observer, the request's size alone"] = metric(of('request', 'paced'), 'of answers', {
    floor: chance,
  });
  return metrics;
}
