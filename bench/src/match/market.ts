/** A market of many contributors and models: the coordinator's own state, filled through `step` as frames would fill it. */
import { defaultCoreConfig } from '@tussah/coordinator/core/config';
import { ledgerAccounts } from '@tussah/coordinator/core/ledger';
import {
  initialState,
  type Job,
  type JobRequest,
  type Pool,
  type State,
} from '@tussah/coordinator/core/state';
import { step } from '@tussah/coordinator/core/step';
import type { Event } from '@tussah/coordinator/core/events';
import type { Codecs, Turn } from '@tussah/coordinator/core/turn';
import { BareMarket } from './bare-market.ts';

export const MODELS = 50;
const price = { promptNanoPerMillion: 1_000_000n, completionNanoPerMillion: 2_000_000n };
const profile = {
  engine: 'wllama',
  version: 'bench',
  prefix: 'text',
  seedBlock: 16,
  replay: 'bit-exact',
} as const;

/** The same numbers in each run: Mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Person {
  readonly models: readonly number[];
  /** Share of the list price that is asked. */
  readonly share: number;
  readonly tokensPerSecond: number;
  readonly ttftMs: number;
}

/** Contributors of 1 to 5 models; half ask the list price; speeds and delays spread over a factor of 30. */
export function people(count: number, random: () => number): Person[] {
  return Array.from({ length: count }, () => {
    const models = new Set<number>();
    const wanted = 1 + Math.floor(random() * 5);
    while (models.size < wanted) models.add(Math.floor(random() * MODELS));
    return {
      models: [...models],
      share: random() < 0.5 ? 1 : 0.5 + 0.05 * Math.floor(random() * 10),
      tokensPerSecond: 2 * 30 ** random(),
      ttftMs: 100 * 30 ** random(),
    };
  });
}

const modelId = (model: number): string => `model-${model}`;
const codecs: Codecs = { codecOf: () => ({ textOf: () => '', count: () => 0 }) };
/** What comes over the wire is parsed: no text in it is pieced together from parts, which would make comparing it dear. */
const received = <Frame>(frame: Frame): Frame => JSON.parse(JSON.stringify(frame)) as Frame;
const AT_MS = 1_000_000;

export class Market {
  readonly state: State;
  readonly turn: Turn;
  readonly #pools: readonly Pool[];

  constructor(from: readonly Person[]) {
    const models = Array.from({ length: MODELS }, (_, i) => ({
      id: modelId(i),
      contextTokens: 8_192,
      price,
      builds: new Map([[`${modelId(i)}-w`, 'wllama']]),
    }));
    const balances = new Map(
      [ledgerAccounts.guests, ledgerAccounts.client('alice')].map((name) => [name, 10n ** 15n]),
    );
    this.state = initialState({
      config: { ...defaultCoreConfig, concurrentPerAccount: 100_000 },
      coordinator: 'c'.repeat(64),
      models,
      balances,
      totals: { answered: 0, completionTokens: 0 },
    });
    this.turn = { state: this.state, atMs: AT_MS, codecs, effects: [] };
    this.#pools = models.map(({ id }) => this.state.pools.get(id) as Pool);
    from.forEach((person, i) => this.#join(person, i));
  }

  pool(model: number): Pool {
    return this.#pools[model] as Pool;
  }

  /** The same contributors for the floor. */
  bare(from: readonly Person[]): BareMarket {
    const market = new BareMarket(MODELS);
    [...this.state.contributors.values()].forEach((contributor, i) => {
      const { models, share } = from[i] as Person;
      market.join(contributor, models, Math.round(3_000_000 * share));
    });
    return market;
  }

  post(event: Event): void {
    step(this.state, { ...event, atMs: AT_MS }, codecs);
  }

  #join({ models, share, tokensPerSecond, ttftMs }: Person, serial: number): void {
    const connectionId = `c${serial}`;
    const key = serial.toString(16).padStart(64, '0');
    // Owners have ten contributors each.
    const wallet = `W${Math.floor(serial / 10)}`.padEnd(48, 'W');
    const hello = received({
      type: 'hello',
      protocol: 'tussah.v1',
      publicKey: key,
      signature: '0'.repeat(128),
      wallet,
      agent: 'bench',
      resume: null,
    } as const);
    const { publicKey } = hello;
    this.post({ type: 'connection-opened', connectionId, nonce: '0'.repeat(64) });
    const record = { jobsDone: 10, jobsFailed: 0, tokens: 1_000, tokensPerSecond };
    this.post({
      type: 'hello-checked',
      connectionId,
      hello,
      valid: true,
      record,
      sessionId: `sess_${serial}`,
    });
    const contributor = this.state.contributors.get(publicKey);
    if (contributor === undefined) throw new Error('a contributor was refused');
    contributor.ttftMs = ttftMs;
    const ask = {
      promptNanoPerMillion: String(Math.round(1_000_000 * share)),
      completionNanoPerMillion: String(Math.round(2_000_000 * share)),
    };
    for (const model of models)
      this.post({
        type: 'frame-received',
        connectionId,
        frame: received({
          type: 'model-ready',
          model: modelId(model),
          build: `${modelId(model)}-w`,
          profile,
          tokensPerSecond,
          ask,
        }),
      });
  }
}

export interface Demand {
  readonly model: number;
  readonly guest?: boolean;
  readonly maxPriceNano?: bigint;
  readonly minTokensPerSecond?: number;
  readonly maxTtftMs?: number;
}

const prompt = { text: '', ids: Array.from({ length: 200 }, (_, i) => i) };
let serial = 0;

export function requestOf({ model, guest = false, ...demands }: Demand, account = 'alice'): JobRequest {
  const id = `job_${serial++}`;
  return {
    id,
    accountId: guest ? 'guest' : account,
    payer: guest ? ledgerAccounts.guests : ledgerAccounts.client(account),
    flow: guest ? `guest:10.0.0.${serial % 250}` : account,
    weight: 1,
    guest,
    stream: false,
    model: modelId(model),
    prompt,
    promptHash: '0'.repeat(64),
    sampling: { temperature: 0, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
    maxTokens: 500,
    stop: [],
    seedRoot: id,
    topLogprobs: null,
    maxPriceNano: undefined,
    maxTtftMs: undefined,
    minTokensPerSecond: undefined,
    maxWaitMs: 300_000,
    idempotency: null,
    resumable: null,
    receiptId: `rcp_${id}`,
    ...demands,
  };
}

/** What the list price comes to for such a request. */
export const LIST_NANO = 1_200n;

/** The job of a request as admission makes it, which nobody has been tried for. */
export function jobOf(market: Market, request: JobRequest): Job {
  market.post({ type: 'job-submitted', request });
  const job = market.state.jobs.get(request.id);
  if (job === undefined) throw new Error('a job was refused');
  market.post({ type: 'job-abandoned', jobId: request.id, code: 'client_gone' });
  job.tried.clear();
  job.attempts = 0;
  return job;
}
