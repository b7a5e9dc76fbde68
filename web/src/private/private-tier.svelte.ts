/** Which tier this tab asks in, and what stands ready for the private one. The desk is opened when somebody first wants it. */
import { fail, type Failure, type Result } from '@tussah/protocol/errors';
import type { Tier } from '@tussah/protocol/sampling';
import { readStored, writeStored } from '../app/storage.ts';
import type { Policies, PolicyOffer, PolicySource, Readiness } from './desk-api.ts';
import type { Findings, Material } from '../verify/findings.ts';
import { deskBroken, whyBroken } from './desk-broken.ts';
import type { OpenDesk } from './open-desk.ts';

const TIER_KEY = 'tussah.tier';
/** Evidence is looked at again this often while somebody might send. */
const everyMs = 30_000;

class PrivateTier {
  #tier: Tier = $state(readStored(TIER_KEY) === 'private' ? 'private' : 'public');
  policies: Policies | null = $state.raw(null);
  /** The newest; null before the first, and while another model or policy is verified. */
  readiness: Readiness | null = $state.raw(null);
  checking: boolean = $state(false);
  /** The desk can't be used. */
  failure: Failure | null = $state.raw(null);
  readonly policy: PolicyOffer | undefined = $derived(
    this.policies?.offers.find(({ source }) => source === this.policies?.chosen),
  );
  #opened: Promise<OpenDesk> | undefined;
  /** Of the newest verification: what an older one finds comes too late. */
  #turn = 0;

  get tier(): Tier {
    return this.#tier;
  }

  set tier(tier: Tier) {
    this.#tier = tier;
    writeStored(TIER_KEY, tier === 'private' ? tier : null);
  }

  /** Rejects where the desk's files can't be fetched. */
  readonly open = (): Promise<OpenDesk> => {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  };

  /** Whether a question for this model can be sent now. `nowMs`: milliseconds since 1970. */
  canSend(model: string, nowMs: number): boolean {
    const { readiness, failure } = this;
    return (
      failure === null &&
      readiness?.model === model &&
      readiness.nodes.some(({ notAfterMs }) => notAfterMs > nowMs)
    );
  }

  /** Reads the policies once. */
  async begin(): Promise<void> {
    if (this.policies === null) await this.#with(async ({ desk }) => (this.policies = await desk.policies()));
  }

  /** Verifies for a model now and again until the returned function is called. */
  watch(model: string, apiKey: string | null): () => void {
    if (this.readiness?.model !== model) this.readiness = null;
    void this.verify(model, apiKey);
    const timer = setInterval(() => {
      if (!document.hidden) void this.verify(model, apiKey);
    }, everyMs);
    return () => {
      clearInterval(timer);
      this.#turn += 1;
      this.checking = false;
    };
  }

  async verify(model: string, apiKey: string | null): Promise<void> {
    const turn = ++this.#turn;
    this.checking = true;
    await this.#with(async ({ desk }) => {
      const readiness = await desk.prepare(model, apiKey);
      if (turn !== this.#turn) return;
      this.readiness = readiness;
      this.failure = null;
    });
    if (turn === this.#turn) this.checking = false;
  }

  choose(source: PolicySource): Promise<Result<Policies>> {
    return this.#change(({ desk }) => desk.choose(source));
  }

  keepOwn(text: string): Promise<Result<Policies>> {
    return this.#change(({ desk }) => desk.keepOwn(text));
  }

  forgetOwn(): Promise<Result<Policies>> {
    return this.#change(({ desk }) => desk.forgetOwn());
  }

  async evidence(bundle: string): Promise<Result<string>> {
    return (await this.#with<Result<string>>(({ desk }) => desk.evidence(bundle))) ?? fail(deskBroken);
  }

  /** For a coordinator whose directory does not go on from the one kept, if a person finds that right. */
  async forgetHead(): Promise<Result<null>> {
    return (await this.#with<Result<null>>(({ desk }) => desk.forgetHead())) ?? fail(deskBroken);
  }

  /** Undefined when the desk is broken. */
  examine(material: Material): Promise<Findings | undefined> {
    return this.#with(({ desk }) => desk.examine(material));
  }

  async #change(work: (open: OpenDesk) => Promise<Result<Policies>>): Promise<Result<Policies>> {
    const changed = (await this.#with(work)) ?? fail(deskBroken);
    if (changed.ok) {
      // What was verified under another policy says nothing about this one.
      this.#turn += 1;
      this.readiness = null;
      this.policies = changed.value;
    }
    return changed;
  }

  /** Undefined when the desk is broken, which is then shown. */
  async #with<Value>(work: (open: OpenDesk) => Promise<Value>): Promise<Value | undefined> {
    try {
      const open = await this.open();
      const done = await Promise.race([work(open).then((value) => ({ value })), open.broken]);
      if ('value' in done) return done.value;
      this.failure = done;
    } catch {
      this.failure = whyBroken();
    }
    return undefined;
  }

  async #open(): Promise<OpenDesk> {
    const { openDesk } = await import('./open-desk.ts');
    return openDesk();
  }
}

export const privateTier = new PrivateTier();
