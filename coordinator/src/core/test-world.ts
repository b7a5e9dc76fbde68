/**
 * A world for tests of the core: time by hand, a codec whose tokens are single characters, and effects that are kept or
 * answered on the spot. Nothing here knows how the core works inside.
 */
import type { ContributorFrame, CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import { hashOfIds } from '@tussah/protocol/bytes';
import type { PriceWire } from '@tussah/protocol/money';
import type { Receipt } from '@tussah/protocol/receipts';
import { defaultCoreConfig, type CoreConfig } from './config.ts';
import type { Effect, Event, Resumption } from './events.ts';
import { ledgerAccounts } from './ledger.ts';
import { initialState, type JobCheckpoint, type JobRequest, type State } from './state.ts';
import { step } from './step.ts';
import type { Codecs } from './turn.ts';

const hex = (text: string, length: number) =>
  [...text]
    .map((c) => c.charCodeAt(0).toString(16))
    .join('')
    .padEnd(length, '0')
    .slice(0, length);

/** Ids are code points; 0 is a control token. Our own encoding has one token for "zz". */
export const codecs: Codecs = {
  codecOf: () => ({
    textOf: (ids) => (ids.includes(0) ? undefined : String.fromCodePoint(...ids)),
    count: (text) => [...text.replaceAll('zz', 'z')].length,
  }),
};

export const idsOf = (text: string): number[] => [...text].map((c) => c.codePointAt(0) as number);

const price = { promptNanoPerMillion: 1_000_000n, completionNanoPerMillion: 2_000_000n };
export const models = ['small', 'large'].map((id) => ({
  id,
  contextTokens: 1_000,
  price,
  builds: new Map([
    [`${id}-w`, 'wllama'],
    [`${id}-g`, 'webllm'],
  ]),
}));

export class World {
  state: State;
  atMs = 1_000_000;
  readonly effects: Effect[] = [];
  /** Whether settlements are written at once; else they wait in `effects`. */
  settles = true;
  /** What a crash leaves of running jobs. */
  readonly journal = new Map<string, JobCheckpoint>();
  /** Whether checkpoints are written. */
  writesDown = true;
  readonly #config: CoreConfig;
  readonly #asked = new Map<string, JobRequest>();
  #serial = 0;

  constructor(
    config: Partial<CoreConfig> = {},
    funds: Record<string, bigint> = { alice: 1_000_000n, bob: 1_000_000n },
  ) {
    const balances = new Map<string, bigint>([[ledgerAccounts.guests, 1_000_000n]]);
    for (const [name, nano] of Object.entries(funds)) balances.set(ledgerAccounts.client(name), nano);
    balances.set(ledgerAccounts.development, -[...balances.values()].reduce((a, b) => a + b, 0n));
    this.#config = { ...defaultCoreConfig, ...config };
    this.state = this.#start(balances);
  }

  #start(balances: Map<string, bigint>): State {
    return initialState({
      config: this.#config,
      coordinator: hex('coordinator', 64),
      models,
      balances,
      totals: { answered: 0, completionTokens: 0 },
    });
  }

  /** The coordinator dies and starts again: it knows what was durable, and nobody is connected. */
  crash(): void {
    this.state = this.#start(new Map(this.state.balances));
    this.post({ type: 'jobs-recovered', checkpoints: [...this.journal.values()] });
  }

  /** The client of a job comes back with the ids of a text, by default of all that it was told. */
  resume(jobId: string, text = this.heard(jobId).text, change: Partial<Resumption> = {}): void {
    const request = this.#asked.get(jobId);
    if (request === undefined) throw new Error(`nobody asked ${jobId}`);
    const { flow, prompt, promptHash, stop, resumable } = request;
    const requestHash = resumable?.requestHash ?? '';
    const resumption = { jobId, flow, requestHash, prompt, promptHash, stop, ids: idsOf(text), ...change };
    this.post({ type: 'job-resumed', resumption });
  }

  post(event: Event): void {
    const { state, effects } = step(this.state, { ...event, atMs: this.atMs }, codecs);
    this.state = state;
    for (const effect of effects) {
      this.effects.push(effect);
      this.#answer(effect);
    }
  }

  #answer(effect: Effect): void {
    if (effect.type === 'check-hello') {
      const record = { jobsDone: 0, jobsFailed: 0, tokens: 0, tokensPerSecond: null };
      const valid = !effect.hello.signature.startsWith('bad');
      this.post({
        type: 'hello-checked',
        connectionId: effect.connectionId,
        hello: effect.hello,
        valid,
        record,
        sessionId: `sess_${this.#serial++}`,
      });
    } else if (effect.type === 'check-segment') {
      const { jobId, publicKey, signature } = effect;
      this.post({ type: 'segment-checked', jobId, publicKey, valid: !signature.startsWith('bad') });
    } else if (effect.type === 'checkpoint') {
      if (this.writesDown) this.journal.set(effect.checkpoint.request.id, effect.checkpoint);
    } else if (effect.type === 'forget-checkpoint') this.journal.delete(effect.jobId);
    else if (effect.type === 'settle' && this.settles) this.settle(effect);
  }

  settle({ draft }: Extract<Effect, { type: 'settle' }>): void {
    this.journal.delete(draft.jobId);
    this.post({
      type: 'settled',
      jobId: draft.jobId,
      receipt: { ...draft.receipt, signature: hex('s', 128) },
    });
  }

  wait(ms: number): void {
    this.atMs += ms;
    this.post({ type: 'tick' });
  }

  /** A contributor that is connected and ready. */
  join(
    name: string,
    options: { build?: string; ask?: PriceWire; speed?: number; wallet?: string; resume?: string } = {},
  ): Hand {
    const hand = new Hand(this, name, `c${this.#serial++}`);
    this.post({ type: 'connection-opened', connectionId: hand.connectionId, nonce: hex('n', 64) });
    hand.send({
      type: 'hello',
      protocol: 'tussah.v1',
      publicKey: hand.publicKey,
      signature: hex('ok', 128),
      wallet: options.wallet ?? null,
      agent: 'test',
      resume: options.resume ?? null,
    });
    if (options.resume === undefined)
      hand.announce(options.build ?? 'small-w', options.ask ?? null, options.speed ?? 10);
    return hand;
  }

  submit(change: Partial<JobRequest> & { account?: string; text?: string } = {}): string {
    const { account = 'alice', text = 'hello', ...rest } = change;
    const id = `job_${this.#serial++}`;
    const guest = rest.guest ?? false;
    const request: JobRequest = {
      id,
      accountId: guest ? 'guest' : account,
      payer: guest ? ledgerAccounts.guests : ledgerAccounts.client(account),
      flow: account,
      weight: 1,
      guest,
      stream: true,
      model: 'small',
      prompt: { text, ids: idsOf(text) },
      promptHash: hashOfIds(idsOf(text)),
      sampling: { temperature: 0, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
      maxTokens: 100,
      stop: [],
      seedRoot: id,
      topLogprobs: null,
      maxPriceNano: undefined,
      maxTtftMs: undefined,
      minTokensPerSecond: undefined,
      maxWaitMs: 5_000,
      idempotency: null,
      resumable: null,
      receiptId: `rcp_${id}`,
      ...rest,
    };
    this.#asked.set(id, request);
    this.post({ type: 'job-submitted', request });
    return id;
  }

  /** What the client of a job has been told. */
  heard(jobId: string) {
    const own = this.effects.filter((effect) => 'jobId' in effect && effect.jobId === jobId);
    const text = own.map((effect) => (effect.type === 'deliver' ? effect.text : '')).join('');
    const done = own.find((effect) => effect.type === 'complete');
    const failed = own.find((effect) => effect.type === 'fail');
    const receipt: Receipt | null = done?.answer.receipt ?? failed?.receipt ?? null;
    const refused = own.findLast((effect) => effect.type === 'resume-refused')?.failure.code;
    return { text, done, code: failed?.failure.code, receipt, refused };
  }

  /** Money neither appears nor vanishes, and what is held is what open jobs hold. */
  checkBooks(): void {
    const sum = [...this.state.balances.values()].reduce((a, b) => a + b, 0n);
    if (sum !== 0n) throw new Error(`the balances sum to ${sum}`);
    for (const [account, nano] of this.state.balances)
      if (nano < 0n && !account.startsWith('world:')) throw new Error(`${account} is overdrawn: ${nano}`);
    const held = new Map<string, bigint>();
    for (const job of this.state.jobs.values())
      held.set(job.request.payer, (held.get(job.request.payer) ?? 0n) + job.reservedNano);
    for (const [payer, nano] of this.state.reserved)
      if (held.get(payer) !== nano)
        throw new Error(`${payer} has ${nano} reserved, jobs hold ${held.get(payer)}`);
    if (held.size !== this.state.reserved.size) throw new Error('a reservation is missing');
  }
}

/** One contributor's hand in the test. */
export class Hand {
  readonly world: World;
  readonly publicKey: string;
  readonly connectionId: string;

  constructor(world: World, name: string, connectionId: string) {
    this.world = world;
    this.publicKey = hex(name, 64);
    this.connectionId = connectionId;
  }

  send(frame: ContributorFrame): void {
    this.world.post({ type: 'frame-received', connectionId: this.connectionId, frame });
  }

  announce(build: string, ask: PriceWire | null = null, tokensPerSecond = 10): void {
    const engine = build.endsWith('-w') ? 'wllama' : 'webllm';
    const profile = { engine, version: '1', prefix: 'text', seedBlock: 16, replay: 'bit-exact' } as const;
    this.send({ type: 'model-ready', model: build.slice(0, -2), build, profile, tokensPerSecond, ask });
  }

  frames(): CoordinatorFrame[] {
    return this.world.effects.flatMap((effect) =>
      effect.type === 'send' && effect.connectionId === this.connectionId ? [effect.frame] : [],
    );
  }

  /** The last frame of a type that was sent to this contributor. */
  last<Type extends CoordinatorFrame['type']>(type: Type) {
    return this.frames().findLast((frame) => frame.type === type) as
      | Extract<CoordinatorFrame, { type: Type }>
      | undefined;
  }

  get closed(): boolean {
    return !this.world.state.connections.has(this.connectionId);
  }

  accept(jobId: string): void {
    this.send({ type: 'job-accept', jobId });
  }

  say(jobId: string, text: string, position = this.world.state.jobs.get(jobId)?.ids.length ?? 0): void {
    this.send({ type: 'text-delta', jobId, position, ids: idsOf(text), text });
  }

  /** Ends its segment, having said `text` of it. */
  done(jobId: string, text: string, signature = 'ok'): void {
    const ids = idsOf(text);
    this.send({
      type: 'job-done',
      jobId,
      finishReason: 'stop',
      tokens: ids.length,
      idsHash: hashOfIds(ids),
      signature: signature.padEnd(128, '0'),
    });
  }

  /** Accepts, says it all and ends. */
  serve(jobId: string, text: string): void {
    this.accept(jobId);
    this.say(jobId, text);
    this.done(jobId, text);
  }

  vanish(): void {
    this.world.post({ type: 'connection-closed', connectionId: this.connectionId });
  }
}
