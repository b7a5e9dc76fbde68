/** The upstream on this machine, as the node uses it. */
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import type { InnerRequest } from '@tussah/protocol/private/inner-request';
import * as v from 'valibot';
import type { Upstream, UpstreamEnd, UpstreamFacts, UpstreamKind } from '../ports.ts';
import { readAnswer } from './answer-stream.ts';
import { identifyUpstream } from './identify.ts';
import { allowedOwners, listeningSockets } from './listening-owner.ts';
import { localJson, openLocal, readText } from './local-http.ts';
import type { LoopbackAddress } from './loopback.ts';
import { completionBody, promptOf, unsupportedBy } from './request-body.ts';

export interface LocalUpstreamSettings {
  readonly to: LoopbackAddress;
  /** The name that the upstream knows the model by. */
  readonly model: string;
  /** Executables that may serve; null does not look, which only simulated nodes may. */
  readonly executables: readonly string[] | null;
  /** Whether it may be the embedded upstream; only simulated nodes have that. */
  readonly embedded: boolean;
  /** Folder of proc(5); another one in tests. */
  readonly proc?: string;
}

interface Look {
  readonly facts: Result<UpstreamFacts>;
  readonly sockets: string;
}

const COUNT_BYTES_MAX = 16_777_216;
const SILENCE_MS = 60_000;
/** One token is at most this much text on average. */
const CHARACTERS_A_TOKEN = 64;
const CHARACTERS_MIN = 65_536;
/** Each piece has one token at least; what a stop string held back may come apart from them. */
const PIECES_MIN = 64;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const CountSchema = v.object({ count });
const TemplateSchema = v.object({ prompt: v.string() });
const TokensSchema = v.object({ tokens: v.array(v.unknown()) });

export class LocalUpstream implements Upstream {
  readonly #settings: LocalUpstreamSettings;
  /** As the present epoch states them. */
  #facts: UpstreamFacts | undefined;
  /** Of the process that was identified last. */
  #sockets: string | undefined;
  #looking: Promise<Look> | undefined;

  constructor(settings: LocalUpstreamSettings) {
    this.#settings = settings;
  }

  get configDigest(): string | undefined {
    return this.#facts?.configDigest;
  }

  async identify(): Promise<Result<UpstreamFacts>> {
    const { facts, sockets } = await this.#look();
    this.#facts = facts.ok ? facts.value : undefined;
    this.#sockets = sockets;
    return facts;
  }

  /** All who ask at once get one answer: it reads the whole of /proc. */
  #look(): Promise<Look> {
    return (this.#looking ??= this.#lookNow().finally(() => (this.#looking = undefined)));
  }

  async #lookNow(): Promise<Look> {
    const { to, model, executables, embedded, proc } = this.#settings;
    const sockets = executables === null ? '' : await listeningSockets(to.port, proc);
    const owners = executables === null ? ok([]) : await allowedOwners(to, executables, proc);
    if (!owners.ok) return { facts: owners, sockets };
    const facts = await identifyUpstream(to, model, owners.value[0]?.arguments ?? [], embedded);
    return { facts, sockets };
  }

  /** Before anything of a job goes there: the same process, or the same program started again as it was. */
  async #kind(): Promise<UpstreamKind | undefined> {
    const { to, executables, proc } = this.#settings;
    if (this.#facts === undefined || executables === null) return this.#facts?.kind;
    const listening = await listeningSockets(to.port, proc);
    if (listening === this.#sockets) return this.#facts.kind;
    const { facts, sockets } = await this.#look();
    if (!facts.ok || facts.value.configDigest !== this.#facts.configDigest) return undefined;
    this.#sockets = sockets;
    return this.#facts.kind;
  }

  unsupported(inner: InnerRequest): string | undefined {
    // Without facts the prompt can't be counted, and so far nothing can be said of it.
    return this.#facts && unsupportedBy(this.#facts.kind, inner);
  }

  async countPrompt(inner: InnerRequest, signal: AbortSignal): Promise<Result<number | null>> {
    const { model } = this.#settings;
    const kind = await this.#kind();
    switch (kind) {
      case 'vllm':
      case 'tussah-embedded': {
        const counted = await this.#post('/tokenize', { model, ...promptOf(kind, inner) }, signal);
        return read(CountSchema, counted, (answer) => answer.count);
      }
      case 'llama-server': {
        const rendered = await this.#post('/apply-template', promptOf(kind, inner), signal);
        const prompt = read(TemplateSchema, rendered, (answer) => answer.prompt);
        if (!prompt.ok) return prompt;
        const body = { content: prompt.value, add_special: true, parse_special: true };
        const tokens = await this.#post('/tokenize', body, signal);
        return read(TokensSchema, tokens, (answer) => answer.tokens.length);
      }
      case 'sglang':
        return ok(null);
      default:
        kind satisfies undefined;
        return fail(notIdentified);
    }
  }

  async answer(
    inner: InnerRequest,
    onText: (text: string) => void,
    signal: AbortSignal,
  ): Promise<UpstreamEnd> {
    const { to, model } = this.#settings;
    try {
      const kind = await this.#kind();
      if (kind === undefined) return { how: 'failed', code: 'upstream_failed' };
      const body = completionBody(kind, model, inner);
      const silenceMs = limits.firstTokenSilenceMs;
      const response = await openLocal(to, {
        method: 'POST',
        path: '/v1/chat/completions',
        body,
        signal,
        silenceMs,
      });
      if (response.statusCode !== 200) return { how: 'failed', code: await failureOf(response) };
      response.setTimeout(SILENCE_MS, () => response.destroy(new Error('silent')));
      return await readAnswer(response, onText, {
        pieces: PIECES_MIN + inner.maxTokens,
        characters: CHARACTERS_MIN + CHARACTERS_A_TOKEN * inner.maxTokens,
      });
    } catch {
      return signal.aborted ? { how: 'aborted' } : { how: 'failed', code: 'upstream_failed' };
    }
  }

  #post(path: string, body: object, signal: AbortSignal) {
    const asked = { method: 'POST', path, body, signal, silenceMs: SILENCE_MS } as const;
    return localJson(this.#settings.to, asked, COUNT_BYTES_MAX);
  }
}

/** Its sentence is looked at and forgotten: it may quote the prompt. */
async function failureOf(
  response: Parameters<typeof readText>[0],
): Promise<'upstream_failed' | 'too_long' | 'unsupported'> {
  const status = response.statusCode ?? 0;
  const text = (await readText(response, 65_536)) ?? '';
  if (status < 400 || status >= 500 || status === 408 || status === 429) return 'upstream_failed';
  return /context|too long|max_tokens|exceed/i.test(text) ? 'too_long' : 'unsupported';
}

function read<Schema extends v.GenericSchema, Value>(
  schema: Schema,
  answer: Result<unknown>,
  value: (answer: v.InferOutput<Schema>) => Value,
): Result<Value> {
  if (!answer.ok) return answer;
  const parsed = v.safeParse(schema, answer.value);
  return parsed.success ? ok(value(parsed.output)) : fail(notCounted);
}

const notCounted = {
  code: 'upstream_malformed',
  message: 'The upstream counted the prompt in a way that is not its kind’s.',
  remedy: 'Compare its version with those that deploy/confidential/README.md names.',
};
const notIdentified = {
  code: 'upstream_unknown',
  message: 'The upstream was not identified.',
  remedy: 'Look at the lines of the log before.',
};
