/**
 * Evidence, a policy and a moment in; a verdict with every step out. No network, no clock, no randomness: the same input has
 * the same verdict. What is not known is refused. Input that breaks its own format is a failed step; what is thrown is a bug.
 */
import { verifyBundle, type Expectations } from './bundle/verify-bundle.ts';
import type { Context } from './context.ts';
import { verifyGpu, type GpuEvidence } from './nvidia/verify-gpu.ts';
import type { Policy } from './policy/policy.ts';
import { frozen } from './frozen.ts';
import { verifySnp, type SnpEvidence } from './snp/verify-snp.ts';
import { Clock } from './steps/clock.ts';
import { verifyTdx, type TdxEvidence } from './tdx/verify-tdx.ts';
import type { PartVerdict, Verdict } from './verdict.ts';
import { BundleCache } from './bundle/bundle-cache.ts';
import { ChainCache } from './x509/chain-cache.ts';

export type Evidence =
  | ({ readonly kind: 'tdx' } & TdxEvidence)
  | ({ readonly kind: 'snp' } & SnpEvidence)
  | ({ readonly kind: 'gpu' } & GpuEvidence)
  | {
      readonly kind: 'bundle';
      /** JSON, as the node sent it. */
      readonly text: string;
      readonly expected?: Expectations;
    };

/** A verifier with a memory: of chains whose signatures were right, and of bundles that it accepted. */
export class Verifier {
  readonly #chains = new ChainCache();
  readonly #bundles = new BundleCache();

  /**
   * `policy` may be left out for a single piece of evidence, which is then checked for being genuine, current and not in debug
   * mode; steps that need a policy are listed as unchecked. A bundle always needs one, and it is frozen with its first use,
   * as are the verdicts that are remembered. `nowMs` is milliseconds since 1970.
   */
  async verify(evidence: Evidence, policy: Policy | undefined, nowMs: number): Promise<Verdict> {
    const context: Context = { policy: frozen(policy), clock: new Clock(nowMs), chains: this.#chains };
    switch (evidence.kind) {
      case 'tdx':
        return single(await verifyTdx(copyOf(evidence), context));
      case 'snp':
        return single(await verifySnp(copyOf(evidence), context));
      case 'gpu':
        return single(await verifyGpu(copyOf(evidence), context));
      default:
        evidence satisfies { readonly kind: 'bundle' };
        if (policy === undefined) throw new TypeError('a bundle needs a policy');
        return this.#bundle(evidence.text, evidence.expected ?? {}, { ...context, policy });
    }
  }

  async #bundle(
    text: string,
    expected: Expectations,
    context: Context & { readonly policy: Policy },
  ): Promise<Verdict> {
    const known = this.#bundles.get(text, expected, context.policy, context.clock.nowMs);
    if (known !== undefined) return known;
    const verdict = await verifyBundle(text, expected, context);
    this.#bundles.add(text, expected, context.policy, context.clock, verdict);
    return verdict;
  }
}

/**
 * The caller's bytes may change while they are being verified, and may be a Buffer, whose methods differ from those of a
 * Uint8Array.
 */
const copyOf = <Part extends object>(part: Part): Part =>
  Object.fromEntries(
    Object.entries(part).map(([name, value]: [string, unknown]) => [
      name,
      ArrayBuffer.isView(value) ? new Uint8Array(value as Uint8Array) : value,
    ]),
  ) as Part;

const single = ({ accepted, steps, claims }: PartVerdict<unknown>): Verdict => ({
  verdict: accepted ? 'accepted' : 'rejected',
  steps,
  claims,
});

/** Verifies with a memory shared by all callers of this function. */
const shared = new Verifier();
export const verify = (evidence: Evidence, policy: Policy | undefined, nowMs: number): Promise<Verdict> =>
  shared.verify(evidence, policy, nowMs);
