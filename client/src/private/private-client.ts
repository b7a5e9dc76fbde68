/**
 * The client of the private tier: verifies confidential machines by itself, seals questions to them and brings their answers home.
 * Runs in browsers, workers and Node; the clock, randomness, the network and memory are ports.
 */
import { Verifier } from '@tussah/attestation/verify';
import type { Policy } from '@tussah/attestation/policy/policy';
import type { Result } from '@tussah/protocol/errors';
import type { DirectoryHead } from '@tussah/protocol/private/directory';
import type { Padding } from '@tussah/protocol/private/header';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { limits } from '@tussah/protocol/limits';
import type { Question } from '../chat-stream.ts';
import type { Fetch } from '../connection.ts';
import { failedWith, prepareModel, privateChat, type Services } from './chat.ts';
import { Chooser } from './choose.ts';
import { CoordinatorApi } from './coordinator-api.ts';
import { Directory, type HeadComparison } from './directory.ts';
import { MemoryHeads, type HeadStore } from './heads.ts';
import type { Patience } from './job-stream.ts';
import { Listings } from './listings.ts';
import type { Preparation, PrivateEvent } from './private-events.ts';
import { readQuestion } from './question.ts';

export interface PrivateClientOptions {
  /** Ends with `/v1`. The default suits a page that the coordinator itself serves. */
  readonly baseURL?: string;
  /** Null asks as a guest. */
  readonly apiKey?: string | null;
  /** Which machines are accepted (`attestation/README.md`, Policies). It is used as it is: do not change it afterwards. */
  readonly policy: Policy;
  /** The coordinator's public key, 64 hexadecimal digits, where it is known; otherwise the first one seen is kept. */
  readonly coordinatorKey?: string | null;
  /** Keeps the directory's heads; in memory by default. */
  readonly heads?: HeadStore;
  /** The most that a question may cost which names no bound itself. Nodes are drawn, cheap or dear: without it any price is paid. */
  readonly maxPriceNano?: bigint | undefined;
  readonly fetch?: Fetch;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** So many random bytes, unpredictable to others. */
  readonly random?: (bytes: number) => Uint8Array;
  readonly patience?: Partial<Patience & { readonly requestMs: number }>;
}

export interface PrivateChatOptions {
  /** Ends the answer, here and where it is made; what was delivered is charged. */
  readonly signal?: AbortSignal;
  /** `paced` by default, which hides most about lengths and times. */
  readonly padding?: Padding;
}

export const defaultPatience: Patience & { readonly requestMs: number } = {
  requestMs: 15_000,
  assignMs: privateLimits.candidates * privateLimits.acceptTimeoutMs + 15_000,
  firstChunkMs: limits.firstTokenSilenceMs + limits.tokenSilenceMs,
  silenceMs: 2 * limits.tokenSilenceMs,
  totalMs: privateLimits.jobMaxMs + limits.tokenSilenceMs,
};

export class PrivateClient {
  readonly baseURL: string;
  readonly #services: Services;
  readonly #maxPriceNano: bigint | undefined;

  constructor(options: PrivateClientOptions) {
    const patience = { ...defaultPatience, ...options.patience };
    const now = options.now ?? Date.now;
    const random = options.random ?? ((bytes) => crypto.getRandomValues(new Uint8Array(bytes)));
    const api = new CoordinatorApi({
      baseURL: options.baseURL ?? '/v1',
      apiKey: options.apiKey ?? null,
      // Taken when it is used: tests and pages replace it, and it must be called as the global's own.
      fetch: options.fetch ?? ((url, init) => fetch(url, init)),
      timeoutMs: patience.requestMs,
    });
    const directory = new Directory({
      api,
      heads: options.heads ?? new MemoryHeads(),
      coordinatorKey: options.coordinatorKey ?? null,
      now,
    });
    const { policy } = options;
    const chooser = new Chooser({ directory, verifier: new Verifier(), policy, now, random });
    const listings = new Listings(directory, now);
    this.baseURL = api.baseURL;
    this.#maxPriceNano = options.maxPriceNano;
    this.#services = { api, directory, listings, chooser, policy, patience, now, random };
  }

  /** Verifies who would be asked now, and sends nothing of a question. Each call draws anew. */
  prepare(model: string, signal: AbortSignal = never()): Promise<Preparation> {
    return prepareModel(this.#services, model, signal);
  }

  /**
   * Yields what was verified, text as it comes, and then exactly one of `finished`, `failed` and `stopped`. Expected failures are
   * events; it does not throw.
   */
  async *chat(
    question: Question,
    { signal = never(), padding = 'paced' }: PrivateChatOptions = {},
  ): AsyncGenerator<PrivateEvent, void, void> {
    const read = readQuestion(question);
    if (!read.ok) yield failedWith(read.failure);
    else if (signal.aborted) yield { type: 'stopped' };
    else {
      const asked = { ...read.value, maxPriceNano: read.value.maxPriceNano ?? this.#maxPriceNano };
      yield* privateChat(this.#services, { question: asked, padding, signal });
    }
  }

  /** The newest head seen of this coordinator's directory, for people to compare. */
  head(): Promise<Result<DirectoryHead | undefined>> {
    return this.#services.directory.kept();
  }

  /** Compares it with somebody else's: a fork shows different people different directories. */
  compareHead(theirs: DirectoryHead, signal: AbortSignal = never()): Promise<Result<HeadComparison>> {
    return this.#services.directory.compare(theirs, signal);
  }
}

const never = (): AbortSignal => new AbortController().signal;
