/**
 * Carries one piece of work of an engine over a `MessagePort`: events one way, abort the other. The reader asks for more
 * when it has used what came; meanwhile events gather and go together. So there is at most one message in flight, a fast
 * engine sends few large ones, a slow one each token at once, and a reader that stops reading stops the engine.
 * Failures cross as data.
 */
import type { Failure } from '@tussah/protocol/errors';
import { engineError, fromFailure, toEngineError } from './engine-failures.ts';
import type { EngineError, EngineErrorCode } from './port.ts';

type ToEngine = { readonly type: 'more' } | { readonly type: 'abort' };
interface Batch<Event> {
  readonly events: readonly Event[];
  /** With the last batch: null when all went well. */
  readonly failure?: Failure<EngineErrorCode> | null;
}

/** Events that may wait for the reader before the engine waits too. */
const WAITING_MAX = 256;

/** The engine's side. Resolves when the work is over and the reader has been told. */
export async function serveEvents<Event>(
  port: MessagePort,
  work: (signal: AbortSignal) => AsyncIterable<Event>,
): Promise<void> {
  const abort = new AbortController();
  const waiting: Event[] = [];
  let wanted = true;
  let wake = Promise.withResolvers<void>();
  const send = (batch: Batch<Event>) => port.postMessage(batch);
  const flush = () => {
    if (!wanted || waiting.length === 0) return;
    wanted = false;
    send({ events: waiting.splice(0) });
  };
  port.addEventListener('message', ({ data }: MessageEvent<ToEngine>) => {
    if (data.type === 'abort') abort.abort();
    else {
      wanted = true;
      flush();
    }
    wake.resolve();
    wake = Promise.withResolvers<void>();
  });
  port.start();
  let failure: Failure<EngineErrorCode> | null = null;
  try {
    for await (const event of work(abort.signal)) {
      waiting.push(event);
      flush();
      while (waiting.length >= WAITING_MAX && !abort.signal.aborted) await wake.promise;
    }
  } catch (error) {
    failure = toEngineError(error).failure;
  }
  send({ events: waiting, failure });
  port.close();
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** Called for each sign of life, whether or not anybody reads. */
  readonly onSound: () => void;
  /** Called when the reader leaves and waits for the engine to stop. */
  readonly onLeaving: () => void;
  /** Resolves when the other side is dead and nothing more will come. */
  readonly dead: Promise<EngineError>;
}

/** The reader's side. Throws `EngineError`. Ends only when the engine is free again, or dead. */
export async function* readEvents<Event>(
  port: MessagePort,
  { signal, onSound, onLeaving, dead }: ReadOptions,
): AsyncGenerator<Event, void, undefined> {
  const arrived: Batch<Event>[] = [];
  let wake = Promise.withResolvers<void>();
  const tell = (message: ToEngine) => port.postMessage(message);
  const onAbort = () => {
    onLeaving();
    tell({ type: 'abort' });
  };
  let death: EngineError | null = null;
  void (async () => {
    death = await dead;
    wake.resolve();
  })();
  port.addEventListener('message', ({ data }: MessageEvent<Batch<Event>>) => {
    arrived.push(data);
    onSound();
    wake.resolve();
  });
  port.start();
  const next = async (): Promise<Batch<Event>> => {
    for (;;) {
      const batch = arrived.shift();
      if (batch !== undefined) return batch;
      if (death !== null) throw death;
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  let over = false;
  try {
    for (;;) {
      const { events, failure } = await next();
      over = failure !== undefined;
      // What was made before a failure is delivered before it; after an abort nobody wants it.
      for (const event of events) if (!signal.aborted) yield event;
      if (over && signal.aborted) throw engineError('aborted');
      if (failure === null) return;
      if (failure !== undefined) throw fromFailure(failure);
      if (signal.aborted) continue;
      tell({ type: 'more' });
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    if (!over && death === null) {
      if (!signal.aborted) onAbort();
      while (!over)
        over = await next().then(
          ({ failure }) => failure !== undefined,
          () => true,
        );
    }
    port.close();
  }
}
