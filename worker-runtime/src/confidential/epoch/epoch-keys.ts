/**
 * The keys of one epoch. They are made here, live in this process's memory and nowhere else, and end here. The HPKE key ends
 * with its bundle; the receipt key stays for the jobs that were opened with it, and a moment for refusing late ones.
 */
import { hexOf } from '@tussah/protocol/bytes';
import type { SuiteName } from '@tussah/protocol/private/header';
import { newIdentity, sign, type Identity } from '@tussah/protocol/signatures';
import type { Canonical } from '@tussah/protocol/canonical';
import type { Clock } from '../ports.ts';
import { destroyNodeKeys, newNodeKeys, type NodeKeys } from '@tussah/client/sealing/suites';

export interface EpochKeys {
  readonly bundle: string;
  readonly notAfterMs: number;
  /** Undefined once the epoch has ended. */
  readonly hpke: NodeKeys | undefined;
  /** Undefined when nothing can be signed in its name any more. */
  signature(domain: string, value: Canonical): Promise<string> | undefined;
}

/** What the evidence says beside the keys. */
interface Attested {
  readonly bundle: string;
  readonly notAfterMs: number;
  readonly configDigest: string;
}

class Epoch implements EpochKeys {
  readonly bundle: string;
  readonly notAfterMs: number;
  readonly configDigest: string;
  hpke: NodeKeys | undefined;
  #receipt: Identity | undefined;
  holds = 0;

  constructor({ bundle, notAfterMs, configDigest }: Attested, { hpke, receipt }: FreshKeys) {
    this.bundle = bundle;
    this.notAfterMs = notAfterMs;
    this.configDigest = configDigest;
    this.hpke = hpke;
    this.#receipt = receipt;
  }

  signature(domain: string, value: Canonical): Promise<string> | undefined {
    return this.#receipt === undefined ? undefined : sign(this.#receipt, domain, value);
  }

  endOpening(): void {
    if (this.hpke !== undefined) destroyNodeKeys(this.hpke);
    this.hpke = undefined;
  }

  endSigning(): void {
    this.#receipt = undefined;
  }
}

/** Keys that are not attested to yet. */
export interface FreshKeys {
  readonly hpke: NodeKeys;
  readonly receipt: Identity;
}

export async function newEpochKeys(suite: SuiteName): Promise<FreshKeys> {
  const [hpke, receipt] = await Promise.all([newNodeKeys(suite), newIdentity(false)]);
  return { hpke, receipt };
}

export const newNonce = (): string => hexOf(crypto.getRandomValues(new Uint8Array(32)));

/** For how long an ended epoch still signs refusals: an offer may have been on its way. */
const LATE_MS = 60_000;

/** All epochs whose keys are there. */
export class KeyRing {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #epochs = new Map<string, Epoch>();

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  add(attested: Attested, keys: FreshKeys): void {
    this.#epochs.set(attested.bundle, new Epoch(attested, keys));
  }

  get(bundle: string): EpochKeys | undefined {
    return this.#epochs.get(bundle);
  }

  /** Those that can open jobs, and whose evidence states this configuration. Undefined is for one that can't be told now. */
  opening(configDigest: string | undefined): ReadonlyMap<string, { readonly notAfterMs: number }> {
    const opens = (epoch: Epoch) =>
      epoch.hpke !== undefined && epoch.configDigest === (configDigest ?? epoch.configDigest);
    return new Map([...this.#epochs].filter(([, epoch]) => opens(epoch)));
  }

  /** Keeps the receipt key for as long as it is needed; the result gives it back. */
  hold(bundle: string): () => void {
    const epoch = this.#epochs.get(bundle);
    if (epoch === undefined) return () => undefined;
    epoch.holds += 1;
    return () => {
      epoch.holds -= 1;
      this.#drop(epoch);
    };
  }

  /** The epoch has ended: nothing is opened with it any more. */
  end(bundle: string): void {
    const epoch = this.#epochs.get(bundle);
    if (epoch?.hpke === undefined) return;
    epoch.endOpening();
    this.#clock.after(LATE_MS, this.hold(bundle));
  }

  /** Every key, at once. */
  endAll(): void {
    for (const epoch of this.#epochs.values()) {
      epoch.endOpening();
      epoch.endSigning();
    }
    this.#epochs.clear();
  }

  #drop(epoch: Epoch): void {
    if (epoch.holds > 0 || epoch.hpke !== undefined) return;
    epoch.endSigning();
    this.#epochs.delete(epoch.bundle);
  }
}
