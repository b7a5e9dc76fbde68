/**
 * Turns the tokens of an engine into deltas that keep the wire's rule: the ids of a delta decode to exactly its text, a delta
 * never ends inside a character, a stop string and what follows is not delivered, and a token cut by it is replaced by
 * the encoding of what is left of it.
 */
import { limits } from '@tussah/protocol/limits';
import type { FinishReason, Logprob } from '@tussah/protocol/sampling';
import type { EngineEvent } from './port.ts';
import { StopMatcher } from './stop-matcher.ts';
import { encodeExactly, type TokenCodec } from './token-codec.ts';
import { joinBytes, utf8Text, Utf8Assembler } from './utf8-assembler.ts';

export type TokenEvent = Extract<EngineEvent, { type: 'token' }>;

export interface AnswerDelta {
  readonly position: number;
  readonly ids: readonly number[];
  readonly text: string;
  /** One for each sampling step that was visible; a character of several tokens may have one for all of them. */
  readonly logprobs?: readonly Logprob[];
  /** With the last text of the answer, where its end is known by then. */
  readonly finishReason?: FinishReason;
}

/** The fewest tokens that end with a whole character. */
interface Group {
  readonly ids: readonly number[];
  readonly text: string;
  readonly logprobs: readonly Logprob[];
}

export interface AnswerAssemblerOptions {
  readonly codec: TokenCodec;
  readonly prefix: { readonly text: string; readonly ids: readonly number[] };
  readonly stop: readonly string[];
  readonly logprobs: boolean;
}

export class AnswerAssembler {
  readonly #options: AnswerAssemblerOptions;
  readonly #utf8 = new Utf8Assembler();
  readonly #stops: StopMatcher;
  #open: TokenEvent[] = [];
  #groups: Group[] = [];
  /** New characters delivered, and deliverable. */
  #taken = 0;
  #safe = 0;
  #stopAt: number | null = null;
  /** Position of the next token to deliver, and of the next one to come. */
  #position: number;
  #expected: number;

  constructor(options: AnswerAssemblerOptions) {
    this.#options = options;
    this.#stops = new StopMatcher(options.stop, options.prefix.text);
    this.#position = options.prefix.ids.length;
    this.#expected = this.#position;
  }

  /** Whether a stop string was met; nothing more is wanted then. */
  get stopped(): boolean {
    return this.#stopAt !== null;
  }

  /** Position after the last token that came. */
  get endPosition(): number {
    return this.#expected;
  }

  /** Whether `take` would return something. */
  get deliverable(): boolean {
    const first = this.#groups[0];
    return first !== undefined && (this.#taken + first.text.length <= this.#safe || this.stopped);
  }

  push(event: TokenEvent): void {
    if (event.position !== this.#expected)
      throw new Error(`token ${event.position} came where ${this.#expected} was due`);
    this.#expected += event.ids.length;
    if (this.stopped) return;
    this.#open.push(event);
    const text = this.#utf8.push(event.bytes);
    if (text === null) return;
    this.#groups.push({
      ids: this.#open.flatMap(({ ids }) => ids),
      text,
      logprobs: this.#options.logprobs ? this.#open.map((step) => logprobOf(step, this.#options.codec)) : [],
    });
    this.#open = [];
    const { safe, stopAt } = this.#stops.push(text);
    this.#safe = safe;
    this.#stopAt = stopAt;
    if (stopAt !== null) this.#cutAt(stopAt);
  }

  /** No more tokens come: what was held back for a stop string that never was can go. */
  finish(): void {
    if (!this.stopped) this.#safe = Infinity;
  }

  /** The next delta, or undefined while nothing can be delivered. */
  take(): AnswerDelta | undefined {
    const groups: Group[] = [];
    let ids = 0;
    let characters = 0;
    for (const group of this.#groups) {
      const full =
        ids + group.ids.length > limits.idsPerDelta || characters + group.text.length > limits.textPerDelta;
      const held = this.#taken + characters + group.text.length > this.#safe;
      if (held || (full && groups.length > 0)) break;
      groups.push(group);
      ids += group.ids.length;
      characters += group.text.length;
    }
    if (groups.length === 0) return undefined;
    this.#groups.splice(0, groups.length);
    const delta: AnswerDelta = {
      position: this.#position,
      ids: groups.flatMap((group) => group.ids),
      text: groups.map((group) => group.text).join(''),
      ...(this.#options.logprobs ? { logprobs: groups.flatMap((group) => group.logprobs) } : {}),
    };
    this.#position += ids;
    this.#taken += characters;
    return delta;
  }

  /** Drops what lies behind the start of the stop string; of the group it cuts, the rest is encoded anew. */
  #cutAt(stopAt: number): void {
    const kept: Group[] = [];
    let at = this.#taken;
    for (const group of this.#groups) {
      if (at + group.text.length <= stopAt) kept.push(group);
      else if (at < stopAt) kept.push(...this.#rest(group.text.slice(0, stopAt - at)));
      at += group.text.length;
    }
    this.#groups = kept;
  }

  #rest(text: string): Group[] {
    // A stop string may begin with the second half of a surrogate pair; then the first half can't be said either.
    const whole = text.isWellFormed() ? text : text.slice(0, -1);
    const ids = encodeExactly(this.#options.codec, whole);
    return ids === undefined || ids.length === 0 ? [] : [{ ids, text: whole, logprobs: [] }];
  }
}

/** What OpenAI reports for a log probability that is not known, or minus infinity. */
const UNKNOWN_LOGPROB = -9999;
const finite = (logprob: number | null) =>
  logprob === null || !Number.isFinite(logprob) ? UNKNOWN_LOGPROB : Math.max(UNKNOWN_LOGPROB, logprob);

function logprobOf(event: TokenEvent, codec: TokenCodec): Logprob {
  return {
    token: utf8Text(event.bytes),
    logprob: finite(event.logprob),
    bytes: [...event.bytes],
    top_logprobs: event.top.map(({ id, logprob }) => {
      const bytes = joinBytes([codec.bytesOf(id)]);
      return {
        token: utf8Text(bytes),
        logprob: finite(logprob),
        bytes: bytes.length === 0 ? null : [...bytes],
      };
    }),
  };
}
