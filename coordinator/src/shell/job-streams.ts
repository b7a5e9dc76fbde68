/**
 * What jobs have said, for those who listen: the client that asked, and one that asks again with the same Idempotency-Key.
 * Answers live in memory only, bounded in time and size; the books keep what must last.
 */
import type { ErrorCode, Failure } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import type { Logprob } from '@tussah/protocol/sampling';
import type { Answer } from '../core/events.ts';

export interface Delta {
  readonly text: string;
  readonly logprobs: readonly Logprob[] | undefined;
}

export type Ending =
  | { readonly kind: 'complete'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly failure: Failure<ErrorCode>; readonly receipt: Receipt | null };

export interface Listener {
  delta(delta: Delta): void;
  end(ending: Ending): void;
}

export interface JobStream {
  readonly jobId: string;
  readonly createdAtMs: number;
  readonly deltas: Delta[];
  ending: Ending | undefined;
  readonly listeners: Set<Listener>;
  /** Kept after its end so that a repeated request finds it. */
  readonly repeatable: {
    readonly accountId: string;
    readonly key: string;
    readonly requestHash: string;
  } | null;
}

const KEPT_MS = 10 * 60_000;
const KEPT_STREAMS = 2_000;
/** UTF-16 units of kept answers, those that still run included. */
const KEPT_CHARACTERS = 32 * 1024 * 1024;
/** A client that may come back with its key gets this long before its job is cancelled. */
export const RETURN_MS = 5_000;

export class JobStreams {
  readonly #streams = new Map<string, JobStream>();
  readonly #byKey = new Map<string, JobStream>();
  readonly #kept: JobStream[] = [];
  #characters = 0;
  readonly #leaving = new Map<string, NodeJS.Timeout>();
  readonly #abandon: (jobId: string) => void;
  readonly #now: () => number;

  constructor(abandon: (jobId: string) => void, now: () => number) {
    this.#abandon = abandon;
    this.#now = now;
  }

  get size(): number {
    return this.#streams.size;
  }

  open(jobId: string, repeatable: JobStream['repeatable']): JobStream {
    const stream: JobStream = {
      jobId,
      createdAtMs: this.#now(),
      deltas: [],
      ending: undefined,
      listeners: new Set(),
      repeatable,
    };
    this.#streams.set(jobId, stream);
    if (repeatable !== null) this.#byKey.set(keyOf(repeatable.accountId, repeatable.key), stream);
    return stream;
  }

  byIdempotencyKey(accountId: string, key: string): JobStream | undefined {
    return this.#byKey.get(keyOf(accountId, key));
  }

  /** Repeats what was said so far, as one delta, and then goes on; returns how to stop listening. */
  listen(stream: JobStream, listener: Listener): () => void {
    const leaving = this.#leaving.get(stream.jobId);
    clearTimeout(leaving);
    this.#leaving.delete(stream.jobId);
    if (stream.deltas.length > 0) listener.delta(joined(stream.deltas));
    if (stream.ending !== undefined) {
      listener.end(stream.ending);
      return () => undefined;
    }
    stream.listeners.add(listener);
    return () => this.#leave(stream, listener);
  }

  deliver(jobId: string, delta: Delta): void {
    const stream = this.#streams.get(jobId);
    if (stream === undefined) return;
    // Only a request with a key can be repeated, so only its past is kept.
    if (stream.repeatable !== null) {
      stream.deltas.push(delta);
      this.#characters += delta.text.length;
    }
    for (const listener of stream.listeners) listener.delta(delta);
  }

  end(jobId: string, ending: Ending): void {
    const stream = this.#streams.get(jobId);
    if (stream === undefined) return;
    stream.ending = ending;
    clearTimeout(this.#leaving.get(jobId));
    this.#leaving.delete(jobId);
    for (const listener of stream.listeners) listener.end(ending);
    stream.listeners.clear();
    this.#streams.delete(jobId);
    if (stream.repeatable === null) return;
    // A failure may be tried again with the same key: only whole answers are kept.
    if (ending.kind === 'failed') this.#forget(stream);
    else this.#kept.push(stream);
    this.#trim();
  }

  close(): void {
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    this.#leaving.clear();
  }

  #leave(stream: JobStream, listener: Listener): void {
    if (!stream.listeners.delete(listener) || stream.listeners.size > 0 || stream.ending !== undefined)
      return;
    if (stream.repeatable === null) {
      this.#abandon(stream.jobId);
      return;
    }
    const timer = setTimeout(() => {
      this.#leaving.delete(stream.jobId);
      if (stream.listeners.size === 0) this.#abandon(stream.jobId);
    }, RETURN_MS);
    this.#leaving.set(stream.jobId, timer);
  }

  #trim(): void {
    const oldestMs = this.#now() - KEPT_MS;
    const tooMuch = () => this.#kept.length > KEPT_STREAMS || this.#characters > KEPT_CHARACTERS;
    while (this.#kept.length > 0 && (tooMuch() || (this.#kept[0]?.createdAtMs ?? Infinity) < oldestMs)) {
      const stream = this.#kept.shift();
      if (stream !== undefined) this.#forget(stream);
    }
  }

  #forget(stream: JobStream): void {
    if (stream.repeatable === null) return;
    for (const delta of stream.deltas) this.#characters -= delta.text.length;
    const key = keyOf(stream.repeatable.accountId, stream.repeatable.key);
    if (this.#byKey.get(key) === stream) this.#byKey.delete(key);
  }
}

const joined = (deltas: readonly Delta[]): Delta => ({
  text: deltas.map((delta) => delta.text).join(''),
  logprobs: deltas.every((delta) => delta.logprobs === undefined)
    ? undefined
    : deltas.flatMap((delta) => delta.logprobs ?? []),
});

const keyOf = (accountId: string, key: string): string => `${accountId}\n${key}`;
