/**
 * Traces of real answers: the bundled model's, of twenty of the questions it was trained for, through coordinator, node and client
 * as they are. It is so fast that all of an answer fits the shortest paced one; see prompts.ts for longer ones.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Policy } from '@tussah/attestation/policy/policy';
import { PrivateClient, type PrivateClientOptions } from '@tussah/client/private/private-client';
import { PaddingSchema, type Padding } from '@tussah/protocol/private/header';
import * as v from 'valibot';
import { metric, type Metric } from '../harness.ts';
import { MODEL } from '../relay/load.ts';
import type { Coordinator } from './coordinator-cpu.ts';
import { accuracyOf, type Seen } from './observer.ts';
import type { Trace } from './traces.ts';

const KINDS = 20;
const ANSWERS_A_KIND = 8;
const FOLDS = 4;
/** As many as the node serves at once. */
const CLIENTS = 2;

const QuestionsSchema = v.object({ questions: v.array(v.object({ ask: v.array(v.string()) })) });
const file = join(resolve(import.meta.dirname, '../../..'), 'models/tiny/questions.json');
const questions = v
  .parse(QuestionsSchema, JSON.parse(readFileSync(file, 'utf8')))
  .questions.slice(0, KINDS)
  .map(({ ask }) => ask);

/** Fetches as ever. What can be seen of a sealed answer is added to what `seen` is called with. */
const watching =
  (seen: (trace: Trace) => void): NonNullable<PrivateClientOptions['fetch']> =>
  async (url, init) => {
    const response = await fetch(url, init);
    if (!url.endsWith('/sealed/chat/completions') || response.body === null) return response;
    const startMs = performance.now();
    const requestBytes = typeof init.body === 'string' ? init.body.length : 0;
    const chunks: { atMs: number; bytes: number }[] = [];
    seen({ requestBytes, chunks });
    let unread = '';
    const watcher = new TransformStream<Uint8Array, Uint8Array>({
      transform(part, controller) {
        const events = (unread + Buffer.from(part).toString('latin1')).split('\n\n');
        unread = events.pop() ?? '';
        const atMs = performance.now() - startMs;
        for (const event of events)
          if (event.includes('"type":"chunk"')) chunks.push({ atMs, bytes: event.length });
        controller.enqueue(part);
      },
    });
    const { status, headers } = response;
    return new Response(response.body.pipeThrough(watcher), { status, headers });
  };

async function tracesOf({ url, key }: Coordinator, policy: Policy, padding: Padding): Promise<Seen[]> {
  const jobs = Array.from({ length: ANSWERS_A_KIND }, (_, n) =>
    questions.map((ask, kind) => ({ kind, fold: n % FOLDS, content: ask[n % ask.length] ?? '' })),
  ).flat();
  const seen: Seen[] = [];
  const client = async (): Promise<void> => {
    let trace: Trace | undefined;
    const watched = watching((seen) => (trace = seen));
    const asking = new PrivateClient({ baseURL: `${url}/v1`, apiKey: key, policy, fetch: watched });
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      const { kind, fold, content } = job;
      trace = undefined;
      const question = { model: MODEL, messages: [{ role: 'user' as const, content }] };
      for await (const event of asking.chat(question, { padding }))
        if (event.type === 'failed') throw new Error(event.failure.message);
      if (trace === undefined) throw new Error('an answer that nobody has seen');
      seen.push({ kind, fold, trace });
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return seen;
}

/** There must be a node with the embedded upstream, and no other for the model. */
export async function realAnswers(
  coordinator: Coordinator,
  policy: Policy,
  say: (line: string) => void,
): Promise<Record<string, Metric>> {
  const metrics: Record<string, Metric> = {};
  for (const padding of PaddingSchema.options) {
    const accuracy = accuracyOf(await tracesOf(coordinator, policy, padding), 'answer');
    say(`${padding}: the observer names ${(100 * accuracy).toFixed(1)} % of real answers`);
    metrics[`observer, answers of tussah-tiny, ${padding}`] = metric(accuracy, 'of answers', {
      floor: 1 / KINDS,
    });
  }
  return metrics;
}
