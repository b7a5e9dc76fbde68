/** The sealed path against the public one, and what its paddings cost and hide. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MODEL_DIGEST, NODE_MODEL } from '@tussah/coordinator/shell/private/scripted-node';
import { modelDigest } from '@tussah/worker-runtime/confidential/model-digest';
import { openSimulatedWorld } from '@tussah/worker-runtime/confidential/simulated/world-folder';
import { embeddedWeights } from '@tussah/worker-runtime/confidential/upstream/embedded/embedded-facts';
import type { Bench } from '../harness.ts';
import { MODEL } from '../relay/load.ts';
import { coordinatorCpu, startCoordinator } from './coordinator-cpu.ts';
import { firstToken } from './first-token.ts';
import { startNode, stopNode } from './node.ts';
import { paddingFigures } from './padding-figures.ts';
import { realAnswers } from './real-traces.ts';

export const sealed: Bench = {
  summary: 'the sealed path against the public one, and what an observer learns',
  async run(say) {
    const folder = mkdtempSync(join(tmpdir(), 'tussah-bench-'));
    const digest = await modelDigest(embeddedWeights);
    if (!digest.ok) throw new Error(digest.failure.message);
    const models = { [MODEL]: { digest: digest.value }, [NODE_MODEL]: { digest: MODEL_DIGEST } };
    const { world, policy, policyPath } = await openSimulatedWorld(folder, models, Date.now());
    const coordinator = await startCoordinator(policyPath);
    try {
      const cpu = await coordinatorCpu(coordinator, world, say);
      const where = { folder, weights: embeddedWeights, policy };
      const first = await firstToken(coordinator, where, say);
      const node = await startNode(coordinator.url, where);
      const real = await realAnswers(coordinator, policy, say);
      await stopNode(node);
      return { ...cpu, ...first, ...paddingFigures(say), ...real };
    } finally {
      coordinator.child.disconnect();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
