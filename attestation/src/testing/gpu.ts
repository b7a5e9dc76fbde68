/** Simulated GPU evidence, for the suites about it. */
import type { GpuPolicy, Policy } from '../policy/policy.ts';
import { makeGpu, type GpuChanges } from '../simulated/gpu.ts';
import { Verifier } from '../verify.ts';
import { NOW, policy, world } from './world.ts';

export async function verdictOf(changes: GpuChanges, use: Policy | undefined = policy, nowMs = NOW) {
  const made = await makeGpu(world.nvidia, changes);
  return new Verifier().verify({ kind: 'gpu', ...made }, use, nowMs);
}

const { gpu: simulated } = policy;
if (simulated === undefined) throw new Error('the simulated policy has a GPU section');
export const section: GpuPolicy = simulated;
export const withGpu = (gpu: Partial<GpuPolicy>): Policy => ({
  ...policy,
  gpu: { ...section, ...gpu },
});
