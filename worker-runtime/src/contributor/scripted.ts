/** For the contributor's tests: an engine that makes counted tokens, and a coordinator that says what the test tells it. */
import type { AddressInfo } from 'node:net';
import { hashOfIds } from '@tussah/protocol/bytes';
import {
  type ContributorFrame,
  ContributorFrameSchema,
  type CoordinatorFrame,
  helloStatement,
} from '@tussah/protocol/contributor-frames';
import { domains, verifySignature } from '@tussah/protocol/signatures';
import * as v from 'valibot';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  type EngineBuild,
  EngineError,
  type EngineEvent,
  type GenerateJob,
  type LoadProgress,
} from '../engine/port.ts';
import type { AnswerJob, AnswerPort, DeliveredEvent } from '../engine/answer-port.ts';
import type { BuildChoice, Clock } from './ports.ts';
import { frames, welcome } from './session-fixtures.ts';

const aborted = () =>
  new EngineError({ code: 'aborted', message: 'The generation was aborted.', remedy: 'None is needed.' });

/** Makes `tokens` tokens an answer, one every `everyMs`. */
export class ScriptedEngine implements AnswerPort {
  readonly profile = {
    engine: 'fake',
    version: '1',
    prefix: 'ids',
    seedBlock: 1,
    replay: 'bit-exact',
  } as const;
  readonly lost: Promise<{ readonly reason: string }>;
  tokens = 6;
  everyMs = 2;
  loadFailure: EngineError | undefined;
  unloaded = false;
  #lose: (loss: { reason: string }) => void = () => {};
  #alive = true;

  constructor() {
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
  }

  lose(reason: string): void {
    this.#alive = false;
    this.#lose({ reason });
  }

  load(_build: EngineBuild, onProgress: (progress: LoadProgress) => void): Promise<void> {
    onProgress({ step: 'download', loadedBytes: 1, totalBytes: 2 });
    return this.loadFailure === undefined ? Promise.resolve() : Promise.reject(this.loadFailure);
  }

  async *generate(job: GenerateJob, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const first = job.prefix.ids.length;
    for (let position = first; position < Math.min(job.maxTokens, first + this.tokens); position++) {
      await new Promise((resolve) => setTimeout(resolve, this.everyMs));
      if (signal.aborted) throw aborted();
      if (!this.#alive)
        throw new EngineError({ code: 'device_lost', message: 'The GPU was lost.', remedy: 'Start again.' });
      yield {
        type: 'token',
        position,
        ids: [position],
        bytes: new Uint8Array([97 + (position % 26)]),
        logprob: null,
        top: [],
      };
    }
    yield { type: 'end', reason: 'eog' };
  }

  async *answer(job: AnswerJob, signal: AbortSignal): AsyncGenerator<DeliveredEvent> {
    const ids: number[] = [];
    for await (const event of this.generate(job, signal)) {
      if (event.type === 'end') break;
      ids.push(...event.ids);
      const text = new TextDecoder().decode(event.bytes);
      yield { type: 'delta', position: event.position, ids: event.ids, text };
    }
    yield { type: 'end', finishReason: 'stop', tokens: ids.length, idsHash: hashOfIds(ids) };
  }

  promptOf(text: string): Promise<GenerateJob['prompt']> {
    return Promise.resolve({ text, ids: [1] });
  }

  unload(): Promise<void> {
    this.unloaded = true;
    return Promise.resolve();
  }
}

export const choice: BuildChoice = {
  model: 'tiny',
  build: { id: 'fake-tiny', files: [], contextTokens: 512, webllmId: null },
  engine: 'fake',
  engineNote: null,
};

/** A clock `factor` times as fast as the real one. */
export const fastClock = (factor: number): Clock => ({
  nowMs: () => performance.now() * factor,
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs / factor);
    return () => clearTimeout(timer);
  },
  random: () => 0.5,
});

type Of<Type extends ContributorFrame['type']> = Extract<ContributorFrame, { type: Type }>;

/** One connection as the coordinator sees it. */
export class Session {
  readonly #socket: WebSocket;
  readonly #waiting: ContributorFrame[] = [];
  #wake: (() => void) | undefined;
  closed: { code: number; reason: string } | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      this.#waiting.push(v.parse(ContributorFrameSchema, JSON.parse(data.toString())));
      this.#wake?.();
    });
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake?.();
    });
  }

  send(frame: CoordinatorFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }

  sendText(text: string): void {
    this.#socket.send(text);
  }

  /** Ends the connection without a closing handshake. */
  cut(): void {
    this.#socket.terminate();
  }

  /** The next frame, which must be of this type. */
  async next<Type extends ContributorFrame['type']>(type: Type): Promise<Of<Type>> {
    while (this.#waiting.length === 0) {
      if (this.closed !== undefined) throw new Error(`closed while ${type} was expected`);
      await this.#news();
    }
    const frame = this.#waiting.shift();
    if (frame?.type !== type) throw new Error(`${frame?.type} came, ${type} was expected`);
    return frame as Of<Type>;
  }

  async whenClosed(): Promise<{ code: number; reason: string }> {
    while (this.closed === undefined) await this.#news();
    return this.closed;
  }

  /** Deltas up to and without the next frame of another type; the token count they end at. */
  async deltas(from: number): Promise<number> {
    let position = from;
    for (;;) {
      while (this.#waiting.length === 0) await this.#news();
      const frame = this.#waiting[0];
      if (frame?.type !== 'text-delta') return position;
      if (frame.position !== position) throw new Error(`a delta at ${frame.position}, not ${position}`);
      position += frame.ids.length;
      this.#waiting.shift();
    }
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

export class ScriptedCoordinator {
  readonly #server: WebSocketServer;
  readonly #arrived: Session[] = [];
  #wake: (() => void) | undefined;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#arrived.push(new Session(socket));
      this.#wake?.();
    });
  }

  static open(): Promise<ScriptedCoordinator> {
    return new Promise((resolve) => {
      const server = new WebSocketServer({ port: 0, host: '127.0.0.1', path: '/worker' });
      server.on('listening', () => resolve(new ScriptedCoordinator(server)));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async connection(): Promise<Session> {
    while (this.#arrived.length === 0)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const session = this.#arrived.shift();
    if (session === undefined) throw new Error('no session');
    return session;
  }

  /** The next connection, its key checked and welcomed. */
  async joined(
    number: number,
    resumed: { jobId: string; position: number }[] = [],
  ): Promise<{ session: Session; hello: Of<'hello'>; ready: Of<'model-ready'> }> {
    const session = await this.connection();
    session.send(frames.challenge);
    const hello = await session.next('hello');
    const { coordinator, nonce } = frames.challenge;
    const { publicKey, wallet, signature } = hello;
    const statement = helloStatement(coordinator, nonce, publicKey, wallet);
    if (!(await verifySignature(publicKey, domains.hello, statement, signature)))
      throw new Error('hello is not signed by its key');
    session.send(welcome(number, resumed));
    return { session, hello, ready: await session.next('model-ready') };
  }

  close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}
