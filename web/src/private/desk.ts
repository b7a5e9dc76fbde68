/**
 * Everything of the private tier that verifies, seals and opens. It runs in a worker of its own: no script of the page holds a
 * key, and a long verification never holds up the page.
 */
import { limits } from '@tussah/attestation/limits';
import { CoordinatorApi } from '@tussah/client/private/coordinator-api';
import { PrivateClient } from '@tussah/client/private/private-client';
import { privateFailure } from '@tussah/client/private/failures';
import type { HeadStore } from '@tussah/client/private/heads';
import { sha256Hex } from '@tussah/protocol/bytes';
import { fail, ok, type Failure, type Result } from '@tussah/protocol/errors';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { TEMPERATURE, type Question } from '../chat/ask.ts';
import { examine } from '../verify/examine.ts';
import type { Findings, Material } from '../verify/findings.ts';
import { AnswerEvents } from './answer-events.ts';
import type { Desk, DeskEvent, Policies, PolicySource, Readiness } from './desk-api.ts';
import { PolicyShelf, type ShelvedPolicy } from './policy-shelf.ts';
import type { PrivateStore, SettingStore } from './private-store.ts';

export interface DeskOptions {
  /** Ends with `/v1`. */
  readonly baseURL: string;
  readonly loopback: boolean;
  readonly store: HeadStore & SettingStore & Pick<PrivateStore, 'forget'>;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const READ_MS = 10_000;
/** A character of UTF-8 has at most 3 bytes for each UTF-16 unit. */
const BUNDLE_BYTES = 3 * privateLimits.bundleCharacters;

export class PrivateDesk implements Desk {
  readonly #options: DeskOptions;
  readonly #shelf: PolicyShelf;
  /** For what needs no account. */
  readonly #api: CoordinatorApi;
  readonly #running = new Map<string, AbortController>();
  /** Remembers lists and verdicts; renewed when policy or key change. */
  #client: { readonly key: string; readonly client: PrivateClient } | undefined;

  constructor(options: DeskOptions) {
    this.#options = options;
    const { baseURL, fetch, store: settings, loopback } = options;
    this.#api = new CoordinatorApi({ baseURL, apiKey: null, fetch, timeoutMs: READ_MS });
    this.#shelf = new PolicyShelf({ settings, loopback, served: () => this.#servedPolicy() });
  }

  policies(): Promise<Policies> {
    return this.#shelf.list();
  }

  choose(source: PolicySource): Promise<Result<Policies>> {
    return this.#shelf.choose(source);
  }

  keepOwn(text: string): Promise<Result<Policies>> {
    return this.#shelf.keepOwn(text);
  }

  forgetOwn(): Promise<Result<Policies>> {
    return this.#shelf.forgetOwn();
  }

  async prepare(model: string, apiKey: string | null): Promise<Readiness> {
    const shelved = await this.#shelf.chosen();
    const { source, name, images, simulated } = shelved;
    const preparation = await this.#clientFor(shelved, apiKey).prepare(model);
    return { ...preparation, policy: { source, name, images, simulated } };
  }

  async ask(
    id: string,
    question: Question,
    apiKey: string | null,
    listener: (event: DeskEvent) => unknown,
  ): Promise<void> {
    const controller = new AbortController();
    this.#running.set(id, controller);
    try {
      const shelved = await this.#shelf.chosen();
      const events = new AnswerEvents(shelved.name, question.model);
      const client = this.#clientFor(shelved, apiKey);
      const { signal } = controller;
      let heard: unknown;
      for await (const event of client.chat({ ...question, temperature: TEMPERATURE }, { signal })) {
        const told = events.of(event);
        if (told !== undefined) heard = listener(told);
      }
      // Over another port than this function's own end, which must not overtake it.
      await heard;
    } finally {
      this.#running.delete(id);
    }
  }

  async stop(id: string): Promise<void> {
    this.#running.get(id)?.abort();
  }

  async forgetHead(): Promise<Result<null>> {
    const { baseURL, store } = this.#options;
    try {
      await store.forget(baseURL);
    } catch {
      return fail(privateFailure('heads_unavailable'));
    }
    // It remembers lists under the old head.
    this.#client = undefined;
    return ok(null);
  }

  async evidence(bundle: string): Promise<Result<string>> {
    const path = `/nodes/bundles/${encodeURIComponent(bundle)}`;
    const text = await this.#api.getText(path, BUNDLE_BYTES, new AbortController().signal);
    return text.ok && sha256Hex(text.value) === bundle ? text : fail(evidenceGone);
  }

  async examine(material: Material): Promise<Findings> {
    return examine(material, this.#options.now());
  }

  #clientFor({ text, policy }: ShelvedPolicy, apiKey: string | null): PrivateClient {
    const key = JSON.stringify([text, apiKey]);
    if (this.#client?.key !== key) {
      const { baseURL, store: heads, fetch, now } = this.#options;
      this.#client = { key, client: new PrivateClient({ baseURL, apiKey, policy, heads, fetch, now }) };
    }
    return this.#client.client;
  }

  async #servedPolicy(): Promise<string | undefined> {
    const { signal } = new AbortController();
    const text = await this.#api.getText('/nodes/policy', limits.policyCharacters, signal);
    return text.ok ? text.value : undefined;
  }
}

const evidenceGone: Failure = {
  code: 'bundle_unavailable',
  message: 'The evidence could not be fetched: the machine may have renewed or left since.',
  remedy: 'Verify again and take the evidence of a machine that is there.',
};
