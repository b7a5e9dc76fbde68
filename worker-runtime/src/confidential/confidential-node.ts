/** The confidential node: performs what the session's machine asks for, with keys, evidence, jobs and the connection. */
import { helloStatement } from '@tussah/protocol/contributor-frames';
import type { Failure } from '@tussah/protocol/errors';
import { NODE_PROTOCOL, type NodeFrame } from '@tussah/protocol/private/node-frames';
import { domains, sign, type Identity } from '@tussah/protocol/signatures';
import { KeyRing } from './epoch/epoch-keys.ts';
import { makeEpoch, type Goods } from './epoch/make-epoch.ts';
import { Jobs } from './job/jobs.ts';
import type { Log } from './log.ts';
import type { Attester, Clock, NodeSocket, SocketHandlers, Upstream } from './ports.ts';
import { readNodeFrame } from './session/read-frame.ts';
import { deadlineOf, step } from './session/session-machine.ts';
import {
  initialState,
  type Effect,
  type SessionEvent,
  type SessionState,
  type Told,
} from './session/session-state.ts';

export interface NodeSettings {
  readonly goods: Goods;
  readonly identity: Identity;
  readonly wallet: string | null;
  /** Software and version, such as `tussah-node/0.1.0`. */
  readonly agent: string;
}

export interface NodePorts {
  readonly attester: Attester;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly log: Log;
  readonly openSocket: (handlers: SocketHandlers) => NodeSocket;
  readonly onTold?: (told: Told) => void;
}

export class ConfidentialNode {
  readonly #settings: NodeSettings;
  readonly #ports: NodePorts;
  readonly #keys: KeyRing;
  readonly #jobs: Jobs;
  readonly #ended = Promise.withResolvers<Failure | null>();
  #state: SessionState = initialState;
  #socket: NodeSocket | undefined;
  #stopTimer: () => void = () => undefined;
  #queue: SessionEvent[] | undefined;
  /** One bundle is made at a time, however often the connection is lost meanwhile. */
  #making: Promise<void> = Promise.resolve();

  constructor(settings: NodeSettings, ports: NodePorts) {
    this.#settings = settings;
    this.#ports = ports;
    const { clock, log, upstream } = ports;
    this.#keys = new KeyRing(clock);
    this.#jobs = new Jobs({
      goods: settings.goods,
      keys: this.#keys,
      upstream,
      clock,
      log,
      send: (frame) => this.#send(frame),
      onCount: (running) => this.#on({ type: 'jobs', running }),
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Resolves when it has ended: null when it was asked to. */
  get ended(): Promise<Failure | null> {
    return this.#ended.promise;
  }

  start(): void {
    this.#on({ type: 'start' });
  }

  /** Finishes what runs and takes no more, then ends. */
  finish(): void {
    this.#jobs.draining = true;
    this.#on({ type: 'finish' });
  }

  /** Ends at once. */
  stop(): void {
    this.#on({ type: 'stop' });
  }

  /** Events that arise while one is handled wait for their turn. */
  #on(event: SessionEvent): void {
    if (this.#queue !== undefined) return void this.#queue.push(event);
    this.#queue = [event];
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#step(next);
    } finally {
      this.#queue = undefined;
    }
    this.#setTimer();
  }

  #step(event: SessionEvent): void {
    const { clock } = this.#ports;
    const { state, effects } = step(this.#state, event, { nowMs: clock.nowMs(), random: clock.random() });
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #setTimer(): void {
    const { clock } = this.#ports;
    this.#stopTimer();
    const deadline = deadlineOf(this.#state);
    if (deadline === null) return;
    // Timers of more than 24 days fire at once.
    const delayMs = Math.min(Math.max(0, deadline - clock.nowMs()), 86_400_000);
    this.#stopTimer = clock.after(delayMs, () => this.#on({ type: 'time' }));
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case 'open-socket':
        return this.#open(effect.connection);
      case 'close-socket':
        this.#socket?.close(effect.code, effect.reason);
        this.#socket = undefined;
        return;
      case 'send':
        return this.#send(effect.frame);
      case 'sign-hello':
        void this.#background(this.#signHello(effect));
        return;
      case 'make-bundle':
        this.#making = this.#making.then(() => this.#background(this.#makeBundle(effect)));
        return;
      case 'forget-epoch':
        return this.#keys.end(effect.bundle);
      case 'forget-all':
        this.#jobs.dropAll();
        return this.#keys.endAll();
      case 'offer':
        void this.#background(this.#jobs.offer(effect.offer));
        return;
      case 'cancel':
        return this.#jobs.cancel(effect.jobId);
      case 'tell':
        return this.#tell(effect.what);
      default:
        effect satisfies never;
    }
  }

  #open(connection: number): void {
    this.#socket = this.#ports.openSocket({
      onOpen: () => this.#on({ type: 'socket-open', connection }),
      onMessage: (data) => {
        const read = readNodeFrame(data);
        this.#on(
          read.ok
            ? { type: 'frame', connection, frame: read.value }
            : { type: 'malformed', connection, failure: read.failure },
        );
      },
      onClose: (reason) => this.#on({ type: 'socket-closed', connection, reason }),
    });
  }

  #send(frame: NodeFrame): void {
    if (this.#socket?.send(JSON.stringify(frame)) !== false) return;
    const { connection } = this.#state;
    this.#socket.close(1000, 'too slow');
    this.#on({ type: 'socket-closed', connection, reason: 'The coordinator does not read any more.' });
  }

  async #signHello({ connection, coordinator, nonce }: Extract<Effect, { do: 'sign-hello' }>): Promise<void> {
    const { identity, wallet, agent } = this.#settings;
    const { publicKey } = identity;
    const statement = helloStatement(coordinator, nonce, publicKey, wallet);
    const signature = await sign(identity, domains.nodeHello, statement);
    const hello = { type: 'hello', protocol: NODE_PROTOCOL, publicKey, signature, wallet, agent } as const;
    this.#on({ type: 'hello-signed', connection, hello });
  }

  async #makeBundle({ coordinator, epochNonce }: Extract<Effect, { do: 'make-bundle' }>): Promise<void> {
    const { coming } = this.#state;
    if (coming.at !== 'attesting' || coming.epochNonce !== epochNonce) return;
    const { attester, upstream, clock, log } = this.#ports;
    const beganMs = clock.nowMs();
    const made = await makeEpoch(
      this.#settings.goods,
      { attester, upstream, nowMs: beganMs },
      { coordinator, epochNonce },
    );
    if (!made.ok) {
      const { code, message } = made.failure;
      log.error('evidence-failed', { code, message });
      return this.#on({ type: 'bundle-failed', epochNonce });
    }
    const { bundle, notAfterMs, keys, contextTokens, configDigest, attest } = made.value;
    log.info('evidence-made', {
      bundle,
      characters: attest.bundle.length,
      tookMs: Math.round(clock.nowMs() - beganMs),
    });
    this.#jobs.contextTokens = contextTokens;
    this.#keys.add({ bundle, notAfterMs, configDigest }, keys);
    this.#on({ type: 'bundle-made', epochNonce, bundle, notAfterMs, attest });
  }

  #tell(told: Told): void {
    const { log, onTold } = this.#ports;
    if (told.event === 'failed') {
      const { code, message } = told.failure;
      log.error(told.event, { code, message });
    } else {
      const { event, ...fields } = told;
      if (event === 'connection-lost') log.warn(event, fields);
      else log.info(event, fields);
    }
    onTold?.(told);
    if (told.event === 'failed') this.#ended.resolve(told.failure);
    if (told.event === 'stopped') this.#ended.resolve(null);
  }

  /** What fails there is a bug: the node ends rather than go on half. */
  async #background(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      // Only the name: a message could quote what it was about.
      const name = error instanceof Error ? error.name : 'unknown';
      this.#ports.log.error('bug', { name });
      this.#ended.resolve({
        code: 'internal',
        message: `The node has met an error of its own (${name}).`,
        remedy: 'Start it again; report it with the lines of the log before.',
      });
      this.stop();
    }
  }
}
