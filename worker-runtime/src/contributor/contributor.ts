/**
 * A contributor in a tab: loads an engine, holds a session with the coordinator, answers its jobs and signs what it delivered.
 * What to do is decided by the session machine; this shell performs it. Prompts and answers pass through and are not kept.
 */
import { WalletSchema } from '@tussah/protocol/contributor-frames';
import type { Failure } from '@tussah/protocol/errors';
import type { Identity } from '@tussah/protocol/signatures';
import * as v from 'valibot';
import { EngineKeeper, failureOf, type LoadedEngine } from './engine-keeper.ts';
import { leaseName } from './identity.ts';
import { JobRunner } from './job-runner.ts';
import type { BuildChoice, ContributorPorts, Lease, SessionSocket } from './ports.ts';
import { initialView, present, type ShellView } from './present.ts';
import { readCoordinatorFrame } from './read-frame.ts';
import { deadlineOf, step } from './session-machine.ts';
import { type Effect, initialState, type SessionEvent, type SessionState } from './session-state.ts';
import { signHello, signingFailed, signSegment } from './signing.ts';
import { SnapshotFeed } from './snapshot-feed.ts';
import type { ContributorSettings, ContributorSnapshot } from './snapshot.ts';

export class Contributor {
  readonly #settings: ContributorSettings;
  readonly #ports: ContributorPorts;
  readonly #feed: SnapshotFeed;
  readonly #jobs: JobRunner;
  #state: SessionState = initialState;
  #view: ShellView = initialView;
  #identity: Identity | undefined;
  #lease: Lease | undefined;
  #keeper: EngineKeeper | undefined;
  #socket: { readonly connection: number; readonly socket: SessionSocket } | undefined;
  /** Counts starts, so that a start that was stopped meanwhile notices. */
  #start = 0;
  #releasing: Promise<void> = Promise.resolve();
  readonly #events: SessionEvent[] = [];
  #stepping = false;
  #cancelTimer: (() => void) | undefined;

  constructor(settings: ContributorSettings, ports: ContributorPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#feed = new SnapshotFeed(present(settings, this.#view, this.#state), ports.clock);
    this.#jobs = new JobRunner((event) => this.#dispatch(event));
  }

  get snapshot(): ContributorSnapshot {
    return this.#feed.snapshot;
  }

  /** Calls `listener` with each new snapshot; the returned function ends that. */
  subscribe(listener: (snapshot: ContributorSnapshot) => void): () => void {
    return this.#feed.subscribe(listener);
  }

  /** Loads and connects; resolves when the session has begun or has failed. Does nothing while one runs. */
  async start(): Promise<void> {
    const { at } = this.#state.link;
    const over = at === 'stopped' || at === 'failed' || this.#view.failure !== null;
    if (!over && (at !== 'idle' || this.#view.loading !== null)) return;
    const start = ++this.#start;
    if (over) this.#state = { ...this.#state, link: { at: 'idle' }, intent: 'serve' };
    this.#show({ ...initialView, publicKey: this.#view.publicKey, loading: 'preparing' });
    await this.#releasing;
    const prepared = await this.#prepare(() => start !== this.#start).catch((error: unknown) => ({
      failure: failureOf(error),
    }));
    if (start !== this.#start) return;
    if ('failure' in prepared) return this.#failStart(prepared.failure);
    const { choice, engine } = prepared;
    this.#view = { ...this.#view, loading: null, progress: null };
    this.#dispatch({
      type: 'start',
      announcement: {
        model: choice.model,
        build: choice.build.id,
        profile: engine.port.profile,
        tokensPerSecond: engine.tokensPerSecond,
        ask: this.#settings.ask,
        contextTokens: choice.build.contextTokens,
      },
    });
  }

  /** Takes no new job; the running one is finished. */
  pause(): void {
    this.#dispatch({ type: 'pause' });
  }

  resume(): void {
    this.#dispatch({ type: 'resume' });
  }

  /** Finishes the running job, waits a little for its receipt, then stops; resolves when everything is released. */
  async finishThenStop(): Promise<void> {
    if (this.#view.loading !== null && this.#state.link.at === 'idle') return this.stop();
    this.#dispatch({ type: 'finish' });
    await this.#over();
    await this.#releasing;
  }

  /** Stops at once: the running job is given back to the coordinator. Resolves when everything is released. */
  async stop(): Promise<void> {
    this.#start++;
    this.#view = { ...this.#view, loading: null, progress: null };
    this.#dispatch({ type: 'stop' });
    // A start that had not become a session left things to release too.
    this.#release();
    await this.#releasing;
  }

  /** Key, lease, build and engine, in that order; each can fail with a remedy. */
  async #prepare(
    stopped: () => boolean,
  ): Promise<{ choice: BuildChoice; engine: LoadedEngine } | { failure: Failure }> {
    const bad = badSettings(this.#settings);
    if (bad !== undefined) return { failure: bad };
    const identity = await this.#ports.identities.load();
    if (!identity.ok) return identity;
    this.#identity = identity.value;
    this.#show({ ...this.#view, publicKey: identity.value.publicKey });
    const lease = await this.#ports.leadership.acquire(leaseName(identity.value.publicKey));
    if (lease === null) return { failure: elsewhere };
    if (stopped()) {
      lease.release();
      return { failure: elsewhere };
    }
    this.#lease = lease;
    const choice = await this.#ports.chooseBuild(this.#settings);
    if (!choice.ok) return choice;
    if (stopped()) return { failure: elsewhere };
    this.#show({ ...this.#view, choice: choice.value, loading: 'loading' });
    const keeper = this.#keep(choice.value);
    this.#keeper = keeper;
    const engine = await keeper.open();
    return engine.ok ? { choice: choice.value, engine: engine.value } : engine;
  }

  #keep(choice: BuildChoice): EngineKeeper {
    return new EngineKeeper(choice, this.#ports, {
      onProgress: (progress) => this.#show({ ...this.#view, loading: 'loading', progress }),
      onMeasuring: () => this.#show({ ...this.#view, loading: 'measuring', progress: null }),
      onGone: (reason) => {
        this.#jobs.drop();
        this.#view = { ...this.#view, loading: 'reloading', reloadReason: reason };
        this.#dispatch({ type: 'engine-gone', reason });
      },
      onBack: ({ tokensPerSecond }) => {
        this.#view = { ...this.#view, loading: null, progress: null, reloadReason: null };
        this.#dispatch({ type: 'engine-back', tokensPerSecond });
      },
      onGivenUp: (failure) => {
        this.#view = { ...this.#view, loading: null, progress: null };
        this.#dispatch({ type: 'fail', failure });
      },
    });
  }

  #failStart(failure: Failure): void {
    this.#release();
    this.#show({ ...this.#view, loading: null, progress: null, failure });
  }

  #dispatch(event: SessionEvent): void {
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const { clock } = this.#ports;
        const moment = { nowMs: clock.nowMs(), random: clock.random() };
        const { state, effects } = step(this.#state, next, moment);
        this.#state = state;
        for (const effect of effects) this.#perform(effect);
      }
    } finally {
      this.#stepping = false;
    }
    const { at } = this.#state.link;
    if (at === 'stopped' || at === 'failed') this.#release();
    this.#schedule();
    this.#show(this.#view);
  }

  #schedule(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const atMs = deadlineOf(this.#state);
    if (atMs === null) return;
    const delayMs = Math.max(0, Math.ceil(atMs - this.#ports.clock.nowMs()));
    this.#cancelTimer = this.#ports.clock.after(delayMs, () => this.#dispatch({ type: 'time' }));
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case 'connect':
        return this.#connect(effect.connection);
      case 'close':
        return this.#socketOf(effect.connection)?.close(effect.code, effect.reason);
      case 'send':
        return this.#socketOf(effect.connection)?.send(JSON.stringify(effect.frame));
      case 'sign-hello':
        return void this.#signHello(effect);
      case 'start-answer':
        return void this.#jobs.start(effect.offer, this.#keeper);
      case 'stop-answer':
        return this.#jobs.stop(effect.jobId);
      case 'sign-segment':
        return void this.#signSegment(effect);
      case 'restart-engine':
        return this.#keeper?.replace(effect.reason);
      default:
        effect satisfies never;
    }
  }

  #socketOf(connection: number): SessionSocket | undefined {
    return this.#socket?.connection === connection ? this.#socket.socket : undefined;
  }

  #connect(connection: number): void {
    const url = new URL('/worker', this.#settings.coordinatorUrl);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const closed = (reason: string) => this.#dispatch({ type: 'socket-closed', connection, reason });
    try {
      const socket = this.#ports.openSocket(url.href, {
        onOpen: () => this.#dispatch({ type: 'socket-open', connection }),
        onMessage: (data) => this.#onMessage(connection, data),
        onClose: closed,
      });
      this.#socket = { connection, socket };
    } catch (error) {
      closed(`The connection could not be opened (${error instanceof Error ? error.name : 'unknown'}).`);
    }
  }

  #onMessage(connection: number, data: unknown): void {
    // Nothing more is read from a connection that was given up.
    if (connection !== this.#state.connection) return;
    const frame = readCoordinatorFrame(data);
    if (frame.ok) return this.#dispatch({ type: 'frame', connection, frame: frame.value });
    if (frame.failure.code === 'protocol_mismatch')
      return this.#dispatch({ type: 'fail', failure: frame.failure });
    this.#dispatch({ type: 'malformed', connection, failure: frame.failure });
  }

  async #signHello(effect: Extract<Effect, { do: 'sign-hello' }>): Promise<void> {
    const { connection } = effect;
    if (this.#identity === undefined) return;
    try {
      const hello = await signHello(this.#identity, effect, this.#settings.wallet, this.#ports.agent);
      this.#dispatch({ type: 'hello-signed', connection, hello });
    } catch {
      this.#dispatch({ type: 'fail', failure: signingFailed });
    }
  }

  async #signSegment({ jobId, end }: Extract<Effect, { do: 'sign-segment' }>): Promise<void> {
    const { offer } = this.#jobs;
    if (offer?.jobId !== jobId || this.#identity === undefined) return;
    try {
      const signature = await signSegment(this.#identity, offer, end);
      this.#dispatch({ type: 'segment-signed', jobId, signature });
    } catch {
      const { code, message } = signingFailed;
      this.#dispatch({ type: 'answer-failed', jobId, code, message });
    }
    this.#jobs.forget(jobId);
  }

  /** Resolves when the session is over. */
  #over(): Promise<void> {
    const isOver = ({ phase }: ContributorSnapshot) =>
      phase === 'stopped' || phase === 'failed' || phase === 'idle';
    return new Promise((resolve) => {
      if (isOver(this.snapshot)) return resolve();
      const end = this.subscribe((snapshot) => {
        if (!isOver(snapshot)) return;
        end();
        resolve();
      });
    });
  }

  /** Lets go of everything that a session holds; safe to call twice. */
  #release(): void {
    const keeper = this.#keeper;
    const lease = this.#lease;
    this.#keeper = undefined;
    this.#lease = undefined;
    this.#socket = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#jobs.drop();
    if (keeper === undefined && lease === undefined) return;
    this.#releasing = releaseAfter(this.#releasing, keeper, lease);
  }

  #show(view: ShellView): void {
    this.#view = view;
    this.#feed.show(present(this.#settings, view, this.#state));
  }
}

async function releaseAfter(
  earlier: Promise<void>,
  keeper: EngineKeeper | undefined,
  lease: Lease | undefined,
): Promise<void> {
  await earlier;
  await keeper?.close();
  lease?.release();
}

const elsewhere: Failure = {
  code: 'contributing_elsewhere',
  message: 'Another tab of this browser is contributing already.',
  remedy: 'Use that tab, or close it and start here again.',
};

function badSettings({ coordinatorUrl, wallet }: ContributorSettings): Failure | undefined {
  if (wallet !== null && !v.safeParse(WalletSchema, wallet).success)
    return {
      code: 'wallet_malformed',
      message: 'This is not a TON address.',
      remedy:
        'Give the 48 characters that your wallet shows, or none to leave earnings on the key’s account.',
    };
  if (!/^https?:$/.test(URL.parse(coordinatorUrl)?.protocol ?? ''))
    return {
      code: 'coordinator_malformed',
      message: 'The coordinator’s address is neither http nor https.',
      remedy: 'Give an origin such as https://tussah.example.',
    };
  return undefined;
}
