/** Evidence that proves nothing: from vendors that this machine has made up. For development. */
import type { Statement } from '@tussah/attestation/binding/statement';
import { makeBundle, simulatedImageName, type SimulatedWorld } from '@tussah/attestation/simulated/bundle';
import { ok, type Result } from '@tussah/protocol/errors';
import type { Attester } from '../ports.ts';

export class SimulatedAttester implements Attester {
  readonly kind = 'simulated';
  readonly image = simulatedImageName;
  readonly #world: SimulatedWorld;
  readonly #nowMs: () => number;
  readonly #machine: 'tdx' | 'snp';

  constructor(world: SimulatedWorld, nowMs: () => number, machine: 'tdx' | 'snp' = 'tdx') {
    this.#world = world;
    this.#nowMs = nowMs;
    this.#machine = machine;
  }

  check(): Promise<Result<true>> {
    return Promise.resolve(ok(true));
  }

  async attest(statement: Statement): Promise<Result<string>> {
    // The vendors' collateral of today, as a real node fetches it for each epoch.
    const madeAtMs = this.#nowMs();
    const { intel, amd, nvidia } = this.#world;
    const today = {
      ...this.#world,
      intel: { ...intel, madeAtMs },
      amd: { ...amd, madeAtMs },
      nvidia: { ...nvidia, madeAtMs },
    };
    return ok(JSON.stringify(await makeBundle(today, { statement, machine: this.#machine })));
  }
}
