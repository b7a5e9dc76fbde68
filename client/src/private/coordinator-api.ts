/** What a private chat asks of a coordinator's HTTP interface, with bounds on size and time. All of it is checked elsewhere. */
import { ErrorBodySchema, fail, failure, ok, type Result } from '@tussah/protocol/errors';
import * as v from 'valibot';
import { Connection, retryAfterOf, type Fetch } from '../connection.ts';
import type { ChatFailure } from '../events.ts';
import { inOurWords, privateFailure } from './failures.ts';

export interface ApiOptions {
  readonly baseURL: string;
  readonly apiKey: string | null;
  readonly fetch: Fetch;
  /** For anything but an answer, in milliseconds. */
  readonly timeoutMs: number;
}

const REFUSAL_BYTES = 65_536;

export class CoordinatorApi {
  readonly baseURL: string;
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.baseURL = options.baseURL.replace(/\/+$/, '');
  }

  /** JSON of a shape. */
  async get<Schema extends v.GenericSchema>(
    path: string,
    schema: Schema,
    bytesMax: number,
    signal: AbortSignal,
  ): Promise<Result<v.InferOutput<Schema>>> {
    const text = await this.getText(path, bytesMax, signal);
    if (!text.ok) return text;
    const parsed = v.safeParse(schema, jsonOf(text.value));
    return parsed.success ? ok(parsed.output) : fail(privateFailure('unreadable_answer'));
  }

  async getText(path: string, bytesMax: number, signal: AbortSignal): Promise<Result<string>> {
    const connection = new Connection(signal);
    // However slowly it comes, it ends.
    const timer = setTimeout(() => connection.close(), this.#options.timeoutMs);
    try {
      const response = await this.#ask(connection, path, { method: 'GET' }, this.#options.timeoutMs);
      if (response === undefined) return fail(privateFailure('unreachable'));
      if (!response.ok) return fail(await this.refusalOf(connection, response));
      const text = await connection.text(response, bytesMax, this.#options.timeoutMs);
      if (text !== undefined) return ok(text);
      return fail(privateFailure(connection.broken ? 'unreachable' : 'unreadable_answer'));
    } finally {
      clearTimeout(timer);
      connection.close();
    }
  }

  /** Asks for a stream; undefined when nothing answers within `silenceMs`. The caller closes the connection. */
  post(connection: Connection, path: string, body: string, silenceMs: number): Promise<Response | undefined> {
    return this.#ask(connection, path, { method: 'POST', body }, silenceMs);
  }

  /** Tells the coordinator that nobody wants this answer any more. A page that is being closed still sends it. */
  async cancel(jobId: string): Promise<void> {
    const init = { method: 'POST', body: JSON.stringify({ jobId }), keepalive: true };
    const connection = new Connection(new AbortController().signal);
    const response = await this.#ask(connection, '/chat/completions/cancel', init, this.#options.timeoutMs);
    await response?.body?.cancel().catch(() => undefined);
  }

  /** What a status that is not OK means; something between us and the coordinator may answer in another shape. */
  async refusalOf(connection: Connection, response: Response): Promise<ChatFailure> {
    const body = await connection.json(response, REFUSAL_BYTES, this.#options.timeoutMs);
    const parsed = v.safeParse(ErrorBodySchema, body);
    const refused = parsed.success
      ? inOurWords(parsed.output.error.code)
      : failure('internal', `The answer was an error page with status ${response.status}.`);
    return { ...refused, ...retryAfterOf(response) };
  }

  #ask(connection: Connection, path: string, init: RequestInit, silenceMs: number) {
    const { apiKey, fetch } = this.#options;
    const headers = {
      ...(init.method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
    };
    // What is asked of this coordinator is for no other one, and nothing old will do.
    const asked: RequestInit = { ...init, headers, redirect: 'error', cache: 'no-store' };
    return connection.ask(fetch, `${this.baseURL}${path}`, asked, silenceMs);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
