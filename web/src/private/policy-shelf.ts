/**
 * The policies that a person can choose from, and the one chosen. Nothing is accepted by itself: until somebody chooses, it is
 * the strict one, and what the coordinator serves is offered on a loopback address only, where developers work.
 */
import { limits } from '@tussah/attestation/limits';
import { parsePolicy, type Policy } from '@tussah/attestation/policy/policy';
import { fail, ok, type Failure, type Result } from '@tussah/protocol/errors';
import strictText from '../../../client/policies/strict.json?raw';
import type { Policies, PolicyOffer, PolicySource } from './desk-api.ts';
import type { SettingStore } from './private-store.ts';

export interface ShelfOptions {
  readonly settings: SettingStore;
  /** Whether the page was loaded from this very machine. */
  readonly loopback: boolean;
  /** Text of the coordinator's own policy; undefined where there is none. */
  readonly served: () => Promise<string | undefined>;
}

export interface ShelvedPolicy extends PolicyOffer {
  readonly policy: Policy;
}

/** What is kept in this browser: which policy, and the text of this person's own. */
interface Kept {
  readonly chosen: string | undefined;
  readonly own: string | undefined;
}
const settingNames = { chosen: 'policy.chosen', own: 'policy.own' } as const satisfies Record<
  keyof Kept,
  string
>;

export class PolicyShelf {
  readonly #options: ShelfOptions;
  readonly #strict: ShelvedPolicy;
  /** Read once: what another tab chooses later is not what this one shows. */
  #kept: Promise<Kept> | undefined;
  /** Asked for once: it changes when the coordinator is started anew, and the page with it. */
  #served: Promise<ShelvedPolicy | undefined> | undefined;

  constructor(options: ShelfOptions) {
    this.#options = options;
    const strict = shelved('strict', strictText);
    if (!strict.ok) throw new Error(strict.failure.message);
    this.#strict = strict.value;
  }

  async list(): Promise<Policies> {
    const { chosen, offers } = await this.#all();
    return { chosen, offers: offers.map(offerOf) };
  }

  /** The one to verify by. */
  async chosen(): Promise<ShelvedPolicy> {
    const { chosen, offers } = await this.#all();
    return offers.find(({ source }) => source === chosen) ?? this.#strict;
  }

  async choose(source: PolicySource): Promise<Result<Policies>> {
    const { offers } = await this.#all();
    if (!offers.some((offer) => offer.source === source)) return fail(notOffered);
    return this.#remember({ chosen: source });
  }

  /** Keeps a file in this browser and chooses it. */
  async keepOwn(text: string): Promise<Result<Policies>> {
    if (text.length > limits.policyCharacters) return fail(tooLarge);
    const own = shelved('own', text);
    if (!own.ok) return own;
    return this.#remember({ own: text, chosen: 'own' });
  }

  async forgetOwn(): Promise<Result<Policies>> {
    return this.#remember({ own: undefined, chosen: undefined });
  }

  async #all(): Promise<{ readonly chosen: PolicySource; readonly offers: readonly ShelvedPolicy[] }> {
    const { loopback } = this.#options;
    const { chosen: wanted, own: text } = await (this.#kept ??= this.#read());
    const own = text === undefined ? undefined : shelved('own', text);
    const served = loopback ? await (this.#served ??= this.#simulated()) : undefined;
    if (loopback && served === undefined) this.#served = undefined;
    const offers = [
      this.#strict,
      ...(own?.ok === true ? [own.value] : []),
      ...(served === undefined ? [] : [served]),
    ];
    const chosen = offers.find(({ source }) => source === wanted)?.source ?? 'strict';
    return { chosen, offers };
  }

  /** Only what says of itself that it is simulated: a coordinator does not choose what this person trusts. */
  async #simulated(): Promise<ShelvedPolicy | undefined> {
    const text = await this.#options.served();
    if (text === undefined) return undefined;
    const served = shelved('simulated', text);
    return served.ok && served.value.simulated ? served.value : undefined;
  }

  /** A browser that keeps nothing has nothing kept. */
  async #read(): Promise<Kept> {
    const read = (name: string) => this.#options.settings.get(name).catch(() => undefined);
    const [chosen, own] = await Promise.all([read(settingNames.chosen), read(settingNames.own)]);
    return { chosen, own };
  }

  async #remember(changes: Partial<Kept>): Promise<Result<Policies>> {
    const kept = { ...(await (this.#kept ??= this.#read())), ...changes };
    try {
      for (const name of ['own', 'chosen'] as const)
        await this.#options.settings.set(settingNames[name], kept[name]);
    } catch {
      return fail(notKept);
    }
    this.#kept = Promise.resolve(kept);
    return ok(await this.list());
  }
}

/** What the page is told of it. */
function offerOf({ source, name, models, images, simulated, text }: ShelvedPolicy): PolicyOffer {
  return { source, name, models, images, simulated, text };
}

function shelved(source: PolicySource, text: string): Result<ShelvedPolicy> {
  const parsed = parsePolicy(text);
  if (!parsed.ok) return parsed;
  const policy = parsed.value;
  return ok({
    source,
    policy,
    text,
    name: policy.name,
    models: Object.keys(policy.models),
    images: policy.images
      .filter(({ tdx, snp }) => tdx !== undefined || snp !== undefined)
      .map(({ name }) => name),
    simulated: policy.simulatedRoots.length > 0,
  });
}

const notOffered: Failure = {
  code: 'policy_not_offered',
  message: 'This policy is not offered here.',
  remedy: 'Choose one of those listed.',
};
const tooLarge: Failure = {
  code: 'bad_policy',
  message: 'The file is larger than any policy.',
  remedy: `Choose a policy file of at most ${limits.policyCharacters / 1024} KiB.`,
};
const notKept: Failure = {
  code: 'policy_not_kept',
  message: 'This browser did not keep the policy.',
  remedy: 'Leave private browsing, or allow this site to store data; then choose it again.',
};
