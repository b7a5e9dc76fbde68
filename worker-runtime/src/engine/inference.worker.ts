/** The dedicated worker in which engines run. Only the chosen engine's code is fetched. */
import { fail, ok } from '@tussah/protocol/errors';
import { expose } from 'comlink';
import { runAnswer } from './answer.ts';
import { engineError, toEngineError } from './engine-failures.ts';
import { serveEvents } from './event-channel.ts';
import type { EngineChoice, InferenceApi } from './inference-api.ts';
import type { Engine } from './engine.ts';
import type { LoadProgress } from './port.ts';

let port: Engine | null = null;

function engine(): Engine {
  if (port === null) throw engineError('not_loaded');
  return port;
}

async function make({ engine, fake }: EngineChoice): Promise<Engine> {
  switch (engine) {
    case 'wllama':
      return new (await import('./wllama-adapter.ts')).WllamaEngine();
    case 'webllm':
      return new (await import('./webllm-adapter.ts')).WebllmEngine();
    case 'fake':
      return new (await import('./fake-engine.ts')).FakeEngine(fake);
    default:
      throw engineError('engine_failed', `There is no engine ${String(engine satisfies never)}.`);
  }
}

function readPrompt(start: string): Awaited<ReturnType<InferenceApi['promptOf']>> {
  try {
    const { codec } = engine();
    const text = `${codec.bosToken ?? ''}${start}`;
    return ok({ text, ids: codec.encode(text) });
  } catch (error) {
    return fail(toEngineError(error).failure);
  }
}

const api: InferenceApi = {
  async open(choice) {
    try {
      port = await make(choice);
      return null;
    } catch (error) {
      return toEngineError(error).failure;
    }
  },

  load(build, channel) {
    void serveEvents(channel, async function* (signal): AsyncGenerator<LoadProgress> {
      const steps: LoadProgress[] = [];
      let wake = Promise.withResolvers<void>();
      const loading = engine().load(
        build,
        (step) => {
          steps.push(step);
          wake.resolve();
        },
        signal,
      );
      const over = loading.then(
        () => true,
        () => true,
      );
      for (;;) {
        const ended = await Promise.race([over, wake.promise]);
        wake = Promise.withResolvers<void>();
        // Only the newest matters.
        const newest = steps.splice(0).at(-1);
        if (newest !== undefined) yield newest;
        if (ended === true) return await loading;
      }
    });
  },

  generate(job, channel) {
    void serveEvents(channel, (signal) => engine().generate(job, signal));
  },

  answer({ stop, ...job }, channel) {
    void serveEvents(channel, (signal) => {
      const port = engine();
      return runAnswer({ port, job, codec: port.codec, stop, signal });
    });
  },

  promptOf: (text) => Promise.resolve(readPrompt(text)),

  async unload() {
    try {
      await engine().unload();
      return null;
    } catch (error) {
      return toEngineError(error).failure;
    }
  },

  lost: () => engine().lost,
};

expose(api);
