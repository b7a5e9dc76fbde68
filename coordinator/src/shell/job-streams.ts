/**
 * What jobs have said, for those who listen: the client that asked, one that asks again with the same Idempotency-Key, and
 * one that comes back for the rest. Answers live in memory only, bounded in time and size; the books keep what must last.
 */
import type { ErrorCode, Failure } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import type { Logprob } from '@tussah/protocol/sampling';
import type { Answer } from '../core/events.ts';

export interface Delta {
  /** Of the first id, in the whole answer. */
  readonly position: number;
  readonly ids: readonly number[];
  readonly text: string;
  readonly logprobs: readonly Logprob[] | undefined;
}

export type Ending =
  | { readonly kind: 'complete'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly failure: Failure<ErrorCode>; readonly receipt: Receipt | null };

export interface Listener {
  delta(delta: Delta): void;
  end(ending: Ending): void;
  /** Whether all that it was given has left this process. */
  hasSent(): boolean;
  /** The client listens elsewhere now; absent where that changes nothing. */
  replaced?(): void;
}

/** Who may come to a job's answer besides the client that asked for it. */
export interface Returning {
  /** With the same Idempotency-Key. */
  readonly idempotency: {
    readonly accountId: string;
    readonly key: string;
    readonly requestHash: string;
  } | null;
  /** For the rest of it. */
  readonly resumable: { readonly flow: string; readonly requestHash: string } | null;
}

export interface JobStream extends Returning {
  readonly jobId: string;
  readonly createdAtMs: number;
  /** Kept only where somebody may come back. */
  readonly deltas: Delta[];
  /** Indices into `deltas` from which on nothing is passed on yet, ascending. */
  readonly holds: { readonly from: number }[];
  ending: Ending | undefined;
  readonly listeners: Set<Listener>;
}

const KEPT_MS = 10 * 60_000;
const KEPT_STREAMS = 2_000;
/** UTF-16 units and token ids of kept answers, those that still run included. */
const KEPT_SIZE = 32 * 1024 * 1024;
/** How often a hold looks whether the client has got what came before it. */
const HOLD_RETRY_MS = 50;
/** After a write that failed. */
const WRITE_RETRY_MS = 500;

export class JobStreams {
  readonly #streams = new Map<string, JobStream>();
  readonly #byKey = new Map<string, JobStream>();
  /** Oldest first. */
  readonly #ended = new Map<string, JobStream>();
  #size = 0;
  readonly #leaving = new Map<string, NodeJS.Timeout>();
  readonly #abandon: (jobId: string) => void;
  readonly #now: () => number;
  readonly #graceMs: number;
  #closed = false;

  /** A client that may come back gets `graceMs` before its job is abandoned. */
  constructor(abandon: (jobId: string) => void, now: () => number, graceMs: number) {
    this.#abandon = abandon;
    this.#now = now;
    this.#graceMs = graceMs;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** `begun`: what is known of the answer already, after a restart. */
  open(
    jobId: string,
    returning: Returning,
    begun?: { readonly createdAtMs: number; delta: Delta },
  ): JobStream {
    const stream: JobStream = {
      ...returning,
      jobId,
      createdAtMs: begun?.createdAtMs ?? this.#now(),
      deltas: [],
      holds: [],
      ending: undefined,
      listeners: new Set(),
    };
    this.#streams.set(jobId, stream);
    const { idempotency } = returning;
    const key = idempotency === null ? '' : keyOf(idempotency.accountId, idempotency.key);
    if (idempotency !== null && !this.#byKey.has(key)) this.#byKey.set(key, stream);
    if (begun !== undefined) this.#keep(stream, begun.delta);
    return stream;
  }

  byIdempotencyKey(accountId: string, key: string): JobStream | undefined {
    return this.#byKey.get(keyOf(accountId, key));
  }

  byJob(jobId: string): JobStream | undefined {
    return this.#streams.get(jobId) ?? this.#ended.get(jobId);
  }

  /** Repeats what was said so far, as one delta, and then goes on; returns how to stop listening. */
  listen(stream: JobStream, listener: Listener): () => void {
    return this.#attach(stream, listener, joined(passedOn(stream)));
  }

  /** Goes on after `rest` in place of whoever listened before. */
  resume(stream: JobStream, listener: Listener, rest: Delta): () => void {
    for (const other of stream.listeners) {
      if (other.replaced === undefined) continue;
      stream.listeners.delete(other);
      other.replaced();
    }
    return this.#attach(stream, listener, rest);
  }

  deliver(jobId: string, delta: Delta): void {
    const stream = this.#streams.get(jobId);
    if (stream === undefined) return;
    if (mayReturn(stream)) this.#keep(stream, delta);
    if (stream.holds.length > 0) return;
    for (const listener of stream.listeners) listener.delta(delta);
  }

  /** Whether the client has got everything that was delivered, as far as this process knows. */
  hasSent(jobId: string): boolean {
    const stream = this.#streams.get(jobId);
    return stream !== undefined && stream.holds.length === 0 && isSent(stream);
  }

  /**
   * Passes nothing more on until `write` has resolved to true; it begins once the client has got what was passed on before,
   * and is tried again when it failed.
   */
  hold(jobId: string, write: () => Promise<boolean>): void {
    const stream = this.#streams.get(jobId);
    if (stream === undefined) {
      void write();
      return;
    }
    const hold = { from: stream.deltas.length };
    stream.holds.push(hold);
    const attempt = async (): Promise<void> => {
      // By then everything was passed on, and the end has been written.
      if (stream.ending !== undefined || this.#closed) return;
      const ready = stream.holds[0] === hold && (hold.from === 0 || isSent(stream));
      if (ready && (await write())) this.#release(stream);
      else setTimeout(() => void attempt(), ready ? WRITE_RETRY_MS : HOLD_RETRY_MS).unref();
    };
    void attempt();
  }

  end(jobId: string, ending: Ending): void {
    const stream = this.#streams.get(jobId);
    if (stream === undefined) return;
    while (stream.holds.length > 0) this.#release(stream);
    stream.ending = ending;
    clearTimeout(this.#leaving.get(jobId));
    this.#leaving.delete(jobId);
    for (const listener of stream.listeners) listener.end(ending);
    stream.listeners.clear();
    this.#streams.delete(jobId);
    if (!mayReturn(stream)) return;
    // A failure may be tried again with the same key. What was charged is kept for whoever comes back for it.
    if (ending.kind === 'failed') this.#forgetKey(stream);
    if (ending.kind === 'complete' || (stream.resumable !== null && ending.receipt !== null))
      this.#ended.set(jobId, stream);
    else this.#forget(stream);
    this.#trim();
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    this.#leaving.clear();
  }

  #attach(stream: JobStream, listener: Listener, begun: Delta): () => void {
    clearTimeout(this.#leaving.get(stream.jobId));
    this.#leaving.delete(stream.jobId);
    if (begun.text !== '') listener.delta(begun);
    if (stream.ending !== undefined) {
      listener.end(stream.ending);
      return () => undefined;
    }
    stream.listeners.add(listener);
    return () => this.#leave(stream, listener);
  }

  #leave(stream: JobStream, listener: Listener): void {
    if (!stream.listeners.delete(listener) || stream.listeners.size > 0 || stream.ending !== undefined)
      return;
    if (!mayReturn(stream)) {
      this.#abandon(stream.jobId);
      return;
    }
    const timer = setTimeout(() => {
      this.#leaving.delete(stream.jobId);
      if (stream.listeners.size === 0) this.#abandon(stream.jobId);
    }, this.#graceMs);
    this.#leaving.set(stream.jobId, timer);
  }

  /** Ends the first hold and passes on what waited for it. */
  #release(stream: JobStream): void {
    const hold = stream.holds.shift();
    if (hold === undefined) return;
    const waited = stream.deltas.slice(hold.from, stream.holds[0]?.from);
    if (waited.length > 0) for (const listener of stream.listeners) listener.delta(joined(waited));
  }

  #keep(stream: JobStream, delta: Delta): void {
    stream.deltas.push(delta);
    this.#size += sizeOf(delta);
  }

  #trim(): void {
    const oldestMs = this.#now() - KEPT_MS;
    for (const stream of this.#ended.values()) {
      const tooMuch = this.#ended.size > KEPT_STREAMS || this.#size > KEPT_SIZE;
      if (!tooMuch && stream.createdAtMs >= oldestMs) return;
      this.#forget(stream);
    }
  }

  #forget(stream: JobStream): void {
    for (const delta of stream.deltas) this.#size -= sizeOf(delta);
    this.#ended.delete(stream.jobId);
    this.#forgetKey(stream);
  }

  #forgetKey({ idempotency, jobId }: JobStream): void {
    if (idempotency === null) return;
    const key = keyOf(idempotency.accountId, idempotency.key);
    if (this.#byKey.get(key)?.jobId === jobId) this.#byKey.delete(key);
  }
}

/** What follows `ids` in a stream's answer, as one delta; undefined when they are not its beginning. */
export function restAfter(
  stream: JobStream,
  ids: readonly number[],
  textOf: (ids: readonly number[]) => string | undefined,
): Delta | undefined {
  const deltas = passedOn(stream);
  const answer = joined(deltas);
  const begun = textOf(ids);
  if (begun === undefined || !answer.text.startsWith(begun)) return undefined;
  if (ids.length > answer.ids.length || ids.some((id, i) => id !== answer.ids[i])) return undefined;
  return {
    position: ids.length,
    ids: answer.ids.slice(ids.length),
    text: answer.text.slice(begun.length),
    logprobs: joined(deltas.filter((delta) => delta.position >= ids.length)).logprobs,
  };
}

const passedOn = ({ deltas, holds }: JobStream): readonly Delta[] => deltas.slice(0, holds[0]?.from);

const joined = (deltas: readonly Delta[]): Delta => ({
  position: deltas[0]?.position ?? 0,
  ids: deltas.flatMap((delta) => delta.ids),
  text: deltas.map((delta) => delta.text).join(''),
  logprobs: deltas.every((delta) => delta.logprobs === undefined)
    ? undefined
    : deltas.flatMap((delta) => delta.logprobs ?? []),
});

const isSent = ({ listeners }: JobStream): boolean => [...listeners].some((listener) => listener.hasSent());

const mayReturn = ({ idempotency, resumable }: Returning): boolean =>
  idempotency !== null || resumable !== null;

const sizeOf = ({ text, ids }: Delta): number => text.length + ids.length;

const keyOf = (accountId: string, key: string): string => `${accountId}\n${key}`;
