/** The bench's page: the real contributor and the real engine client, which this page keeps so that it can ask it directly. */
import { browserContributor } from '@tussah/worker-runtime/contributor/browser-contributor';
import { chooseBuild, readDevice } from '@tussah/worker-runtime/contributor/choose-build';
import type { Contributor } from '@tussah/worker-runtime/contributor/contributor';
import type { ContributorSettings } from '@tussah/worker-runtime/contributor/snapshot';
import type { AnswerJob, DeliveredEvent } from '@tussah/worker-runtime/engine/answer-port';
import { InferenceClient } from '@tussah/worker-runtime/engine/inference-client';
import type { GenerateJob } from '@tussah/worker-runtime/engine/port';
import { type BenchEngine, MODEL, type Run } from '../page-api.ts';

/** Remembers the job it was asked last: the very one that the network asked can be asked again. */
class KeptEngine extends InferenceClient {
  lastJob: GenerateJob | undefined;

  override answer(job: AnswerJob, signal: AbortSignal): AsyncGenerator<DeliveredEvent, void, undefined> {
    this.lastJob = job;
    return super.answer(job, signal);
  }
}

let kept: KeptEngine | undefined;
let contributor: Contributor | undefined;

const settingsFor = (engine: BenchEngine): ContributorSettings => ({
  coordinatorUrl: location.origin,
  model: MODEL,
  engine,
  wallet: null,
  ask: null,
});

async function load(engine: BenchEngine): Promise<number> {
  const choice = chooseBuild(settingsFor(engine), await readDevice());
  if (!choice.ok) throw new Error(choice.failure.message);
  const startMs = performance.now();
  kept = new KeptEngine({ engine });
  await kept.load(choice.value.build, () => undefined, new AbortController().signal);
  return performance.now() - startMs;
}

async function contribute(engine: BenchEngine): Promise<void> {
  const started = browserContributor(settingsFor(engine), {
    agent: 'tussah-bench/0.1.0',
    engineFor: (choice) => (kept = new KeptEngine({ engine: choice.engine })),
  });
  contributor = started;
  await started.start();
  await new Promise<void>((done, failed) => {
    const look = () => {
      const { phase, failure, sentence } = started.snapshot;
      if (phase === 'ready') done();
      else if (phase === 'failed' || failure !== null) failed(new Error(failure?.message ?? sentence));
    };
    started.subscribe(look);
    look();
  });
}

async function generate(job = kept?.lastJob): Promise<Run> {
  if (kept === undefined || job === undefined) throw new Error('there is no engine, or nothing to ask it');
  const decoder = new TextDecoder();
  let text = '';
  let tokens = 0;
  let firstMs = Number.NaN;
  let lastMs = Number.NaN;
  const startMs = performance.now();
  for await (const event of kept.generate(job, new AbortController().signal)) {
    if (event.type === 'end') continue;
    lastMs = performance.now() - startMs;
    if (tokens === 0) firstMs = lastMs;
    tokens += event.ids.length;
    text += decoder.decode(event.bytes, { stream: true });
  }
  return { firstMs, lastMs, tokens, text };
}

async function stop(): Promise<void> {
  await contributor?.stop();
  kept?.close();
}

async function adapter(): Promise<string | null> {
  const info = (await navigator.gpu?.requestAdapter())?.info;
  if (info === undefined) return null;
  return [info.vendor, info.architecture].filter((part) => part !== '').join(' ');
}

window.tussahBench = { adapter, load, contribute, generate, stop };
