/** A coordinator that accepts simulated nodes, and such nodes in processes of their own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Policy } from '@tussah/attestation/policy/policy';
import { modelDigest } from '@tussah/worker-runtime/confidential/model-digest';
import { openSimulatedWorld } from '@tussah/worker-runtime/confidential/simulated/world-folder';
import { embeddedWeights } from '@tussah/worker-runtime/confidential/upstream/embedded/embedded-facts';
import { MODEL, NetworkUnderTest, root } from './network-under-test.ts';

export class SimulatedNetwork {
  readonly network: NetworkUnderTest;
  /** What the coordinator accepts. */
  readonly policy: Policy;
  readonly #folder: string;
  readonly #nodes: ChildProcess[] = [];

  private constructor(network: NetworkUnderTest, policy: Policy, folder: string) {
    this.network = network;
    this.policy = policy;
    this.#folder = folder;
  }

  static async start(flags: readonly string[] = []): Promise<SimulatedNetwork> {
    const folder = mkdtempSync(join(tmpdir(), 'tussah-world-'));
    const digest = await modelDigest(embeddedWeights);
    if (!digest.ok) throw new Error(digest.failure.message);
    const models = { [MODEL]: { digest: digest.value } };
    const { policy, policyPath } = await openSimulatedWorld(folder, models, Date.now());
    const network = await NetworkUnderTest.start(['--node-policy', policyPath, ...flags]);
    return new SimulatedNetwork(network, policy, folder);
  }

  /** Resolves once the coordinator has accepted its evidence. */
  async addNode(): Promise<ChildProcess> {
    const script = join(root, 'worker-runtime/src/confidential/node-main.ts');
    const args = [script, '--coordinator', this.network.url, '--simulated', '--state', this.#folder];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#nodes.push(child);
    await new Promise<void>((attested, failed) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.includes('"attested"')) attested();
      });
      child.once('exit', (code) => failed(new Error(`the node ended with ${code}`)));
    });
    return child;
  }

  /** Ends everything; throws when the books do not verify. */
  async stop(): Promise<void> {
    for (const child of this.#nodes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      await exited;
    }
    await this.network.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
