/**
 * A whole coordinator for tests: started in this process on a free port, with a data folder of its own, real SQLite, real
 * sockets and real HTTP. Contributors are scripted; their text is encoded by the bundled model's own tokenizer.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelById } from '@tussah/models/catalogue';
import { loadTokenizer } from '@tussah/models/tokenizer';
import type { ChatCompletion } from '@tussah/protocol/chat-response';
import type { ErrorBody } from '@tussah/protocol/errors';
import { costOf, priceFromWire } from '@tussah/protocol/money';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { CoreConfig } from '../../core/config.ts';
import { readConfig } from '../config.ts';
import { startCoordinator, type Coordinator } from '../coordinator.ts';
import {
  pause,
  ScriptedContributor,
  type Script,
  type ScriptedOptions,
  type ScriptedPiece,
} from '../scripted-contributor.ts';

export const root = resolve(fileURLToPath(import.meta.url), '../../../../..');
export const modelsFolder = join(root, 'models');
export const MODEL = 'tussah-tiny';
export const BUILD = 'wllama-tussah-tiny-f32';

const readTiny = (name: string): unknown =>
  JSON.parse(readFileSync(join(modelsFolder, 'tiny', name), 'utf8')) as unknown;
const loaded = loadTokenizer(readTiny('tokenizer.json'), readTiny('tokenizer_config.json'));
if (!loaded.ok) throw new Error(loaded.failure.message);
export const tokenizer = loaded.value;

const listed = modelById(MODEL);
if (listed === undefined) throw new Error(`${MODEL} is not in the catalogue`);
export const model = listed;
/** The most that a contributor may ask. */
export const listPrice = priceFromWire(model.price);
/** What tokens cost at the list price, in nanoTON. */
export const listCost = (promptTokens: number, completionTokens: number): bigint =>
  costOf(listPrice, promptTokens, completionTokens);

/** Text in pieces as an engine would send it: each ends at the end of a character, and its ids decode to it. */
export function piecesOf(text: string, delayMs?: number): ScriptedPiece[] {
  const pieces: ScriptedPiece[] = [];
  let ids: number[] = [];
  for (const id of tokenizer.encode(text)) {
    ids.push(id);
    const piece = new TextDecoder().decode(tokenizer.decodeBytes(ids, { start: false }));
    if (piece.includes('\uFFFD')) continue;
    pieces.push({ ids, text: piece, ...(delayMs === undefined ? {} : { delayMs }) });
    ids = [];
  }
  return pieces;
}

export const idsOf = (text: string): number[] => piecesOf(text).flatMap((piece) => piece.ids);

/** Always says the same. What others have said already is left out. */
export const says =
  (text: string, delayMs?: number): Script =>
  (offer) => {
    if (!text.startsWith(offer.prefix.text)) throw new Error('the prefix is not of this answer');
    return piecesOf(text.slice(offer.prefix.text.length), delayMs);
  };

/** Waits for something to become true; fails with what it was after 10 s. */
export async function until<Value>(
  what: string,
  look: () => Value | Promise<Value>,
): Promise<NonNullable<Value>> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await pause(5);
  }
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [fact: string]: unknown;
}

export interface NetworkOptions {
  readonly core?: Partial<CoreConfig>;
  /** Flags of the coordinator, after those of the harness. */
  readonly flags?: readonly string[];
  /** Default: a new one, removed at the end. */
  readonly dataFolder?: string;
  readonly requestTimeoutMs?: number;
  readonly clientGraceMs?: number;
  readonly drainMs?: number;
}

export interface ChatOptions {
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A folder that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tussah-coordinator-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Short times for what happens when a contributor is lost. */
const quick: Partial<CoreConfig> = { resumeGraceMs: 150, continuationWaitMs: 300 };

/** Starts a coordinator; it closes when the test ends, and its contributors with it. */
export async function startNetwork(options: NetworkOptions = {}): Promise<TestNetwork> {
  const network = await openNetwork({ ...options, dataFolder: options.dataFolder ?? temporaryFolder() });
  onTestFinished(() => network.close());
  return network;
}

/** Starts a coordinator that several tests share; whoever opens it closes it. */
export async function openNetwork(options: NetworkOptions = {}): Promise<TestNetwork> {
  const dataFolder = options.dataFolder ?? mkdtempSync(join(tmpdir(), 'tussah-coordinator-'));
  const site = join(dataFolder, 'no-site');
  const flags = ['--port', '0', '--data', dataFolder, '--site', site, '--log-level', 'debug'];
  const config = readConfig([...flags, ...(options.flags ?? [])], {}, root);
  const logText: string[] = [];
  const log = pino(
    { level: config.logLevel, base: null },
    { write: (line: string) => void logText.push(line) },
  );
  const coordinator = await startCoordinator({
    config,
    modelsFolder,
    version: '0.1.0',
    log,
    core: { ...quick, ...options.core },
    ...(options.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: options.requestTimeoutMs }),
    ...(options.drainMs === undefined ? {} : { drainMs: options.drainMs }),
    ...(options.clientGraceMs === undefined ? {} : { clientGraceMs: options.clientGraceMs }),
  });
  return new TestNetwork(coordinator, dataFolder, logText, options.dataFolder === undefined);
}

export class TestNetwork {
  readonly url: string;
  readonly publicKey: string;
  readonly dataFolder: string;
  readonly adminToken: string;
  /** Lines of the log as they were written. */
  readonly logText: readonly string[];
  readonly #coordinator: Coordinator;
  readonly #contributors: ScriptedContributor[] = [];
  readonly #temporary: boolean;
  #stopping: Promise<void> | undefined;

  constructor(coordinator: Coordinator, dataFolder: string, logText: readonly string[], temporary: boolean) {
    this.#coordinator = coordinator;
    this.#temporary = temporary;
    this.url = coordinator.url;
    this.publicKey = coordinator.publicKey;
    this.dataFolder = dataFolder;
    this.logText = logText;
    this.adminToken = readFileSync(join(dataFolder, 'admin-token'), 'utf8');
  }

  get log(): LogLine[] {
    return this.logText.map((line) => JSON.parse(line) as LogLine);
  }

  /** Begins to stop, while its contributors go on. */
  stop(): Promise<void> {
    this.#stopping ??= this.#coordinator.close();
    return this.#stopping;
  }

  async close(): Promise<void> {
    for (const contributor of this.#contributors) contributor.vanish();
    await this.stop();
    if (this.#temporary) rmSync(this.dataFolder, { recursive: true, force: true });
  }

  /** A contributor of the bundled model that is ready for offers. */
  async contribute(
    script: Script,
    options: Partial<Omit<ScriptedOptions, 'script'>> = {},
  ): Promise<ScriptedContributor> {
    const contributor = await ScriptedContributor.connect({
      url: this.url,
      model: MODEL,
      build: BUILD,
      script,
      ...options,
    });
    this.#contributors.push(contributor);
    await this.logged('model-ready', (line) => line['publicKey'] === contributor.publicKey);
    return contributor;
  }

  /** Waits for a line of the log. */
  logged(msg: string, matches: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return until(`"${msg}" in the log`, () => this.log.find((line) => line.msg === msg && matches(line)));
  }

  /** Posts a chat: a question, or a whole body with `model` and `messages` filled in. */
  chat(body: string | Readonly<Record<string, unknown>>, options: ChatOptions = {}): Promise<Response> {
    const asked = typeof body === 'string' ? { messages: [{ role: 'user', content: body }] } : body;
    const messages = [{ role: 'user', content: 'What is 12 + 7?' }];
    return fetch(`${this.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
        ...options.headers,
      },
      body: JSON.stringify({ model: MODEL, messages, ...asked }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  async answer(
    body: string | Readonly<Record<string, unknown>>,
    options: ChatOptions = {},
  ): Promise<ChatCompletion> {
    const response = await this.chat(body, options);
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as ChatCompletion;
  }

  async get<Body>(path: string): Promise<Body> {
    return (await (await fetch(`${this.url}${path}`)).json()) as Body;
  }

  async admin<Body>(method: string, path: string, body?: unknown): Promise<Body> {
    const response = await fetch(`${this.url}/v1/admin/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.adminToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as Body;
  }

  account(creditNano: string, name = 'a client'): Promise<{ account: string; keyId: string; key: string }> {
    return this.admin('POST', 'accounts', { name, creditNano });
  }

  async balanceOf(account: string): Promise<bigint> {
    const { accounts } = await this.admin<{ accounts: { id: string; balanceNano: string }[] }>(
      'GET',
      'accounts',
    );
    const found = accounts.find(({ id }) => id === account);
    if (found === undefined) throw new Error(`no account ${account}`);
    return BigInt(found.balanceNano);
  }
}

export interface SseEvent {
  readonly id?: string;
  readonly choices?: readonly {
    readonly delta: { readonly role?: string; readonly content?: string };
    readonly finish_reason: string | null;
  }[];
  readonly tussah?: ChatCompletion['tussah'];
  readonly usage?: ChatCompletion['usage'] | null;
  readonly error?: ErrorBody['error'];
}

/** The events of an answer as they arrive; `[DONE]` is not among them. */
export async function* eventsOf(response: Response): AsyncGenerator<SseEvent> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      if (!part.startsWith('data: ')) throw new Error(`not an event: ${part}`);
      if (part !== 'data: [DONE]') yield JSON.parse(part.slice('data: '.length)) as SseEvent;
    }
  }
  if (rest !== '') throw new Error(`the stream ends inside an event: ${rest}`);
}

export interface StreamedAnswer {
  readonly text: string;
  readonly finishReason: string | null;
  readonly error: ErrorBody['error'] | undefined;
  readonly tussah: ChatCompletion['tussah'] | undefined;
}

/** The whole of a streamed answer. */
export async function collect(response: Response): Promise<StreamedAnswer> {
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  let text = '';
  let finishReason: string | null = null;
  let tussah: StreamedAnswer['tussah'];
  let error: StreamedAnswer['error'];
  for await (const event of eventsOf(response)) {
    text += event.choices?.[0]?.delta.content ?? '';
    finishReason = event.choices?.[0]?.finish_reason ?? finishReason;
    tussah = event.tussah ?? tussah;
    error = event.error ?? error;
  }
  return { text, finishReason, error, tussah };
}

export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}
