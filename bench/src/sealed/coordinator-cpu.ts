/** CPU a token of one coordinator, asked for the same answer on the public path and on the sealed one, in turns. */
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { SimulatedWorld } from '@tussah/attestation/simulated/bundle';
import type { ScriptedNode } from '@tussah/coordinator/shell/private/scripted-node';
import { median, metric, type Metric } from '../harness.ts';
import { answer, askMany, realContributor, tokensPerJob } from '../relay/load.ts';
import { rhythms, type Rhythm } from './rhythm.ts';
import { askSealed, rhythmNow, sealedNode } from './sealed-load.ts';

export interface Coordinator {
  readonly child: ChildProcess;
  readonly url: string;
  readonly key: string;
}

/** Of the public path's CPU. */
const RATIO_MAX = 1.1;
const CLIENTS = 64;
/** Each serves two jobs at once. A coordinator takes no more bundles at once from one network address. */
const NODES = CLIENTS / 2;
/** So many that none sends faster than the coordinator allows. */
const CONTRIBUTORS = 250;
const loads = {
  full: { jobs: 1_500, rounds: 5 },
  'in rhythm': { jobs: 768, rounds: 3 },
  paced: { jobs: 128, rounds: 3 },
} as const;

export async function startCoordinator(policyPath: string): Promise<Coordinator> {
  const script = join(import.meta.dirname, '../relay/coordinator-child.ts');
  const child = fork(script, ['--node-policy', policyPath, '--contributors-per-network', '1000'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const { url, adminToken } = await new Promise<{ url: string; adminToken: string }>((done, failed) => {
    child.once('exit', (code) => failed(new Error(`the coordinator ended with ${code}`)));
    child.once('message', done);
  });
  const response = await fetch(`${url}/v1/admin/accounts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'bench', creditNano: '1000000000000' }),
  });
  return { child, url, key: ((await response.json()) as { key: string }).key };
}

/** User and system time so far, in microseconds. */
function cpuOf({ child }: Coordinator): Promise<number> {
  return new Promise((done) => {
    child.once('message', (message) => {
      const { cpu } = message as { cpu: NodeJS.CpuUsage };
      done(cpu.user + cpu.system);
    });
    child.send('cpu');
  });
}

export async function coordinatorCpu(
  coordinator: Coordinator,
  world: SimulatedWorld,
  say: (line: string) => void,
): Promise<Record<string, Metric>> {
  const { url, key } = coordinator;
  let rhythm: Rhythm = rhythms.full;
  for (let i = 0; i < CONTRIBUTORS; i++)
    await realContributor(url, async (jobId, send) => {
      for (const [position, { id, text }] of answer.entries()) {
        await rhythm.token(position);
        send({ type: 'text-delta', jobId, position, ids: [id], text });
      }
    });
  const nodes: ScriptedNode[] = [];
  for (let i = 0; i < NODES; i++) nodes.push(await sealedNode(url, world));
  const costOf = async (asking: () => Promise<void>, jobs: number): Promise<number> => {
    const before = await cpuOf(coordinator);
    await asking();
    return ((await cpuOf(coordinator)) - before) / (jobs * tokensPerJob);
  };
  const metrics: Record<string, Metric> = {};
  for (const [name, { jobs, rounds }] of Object.entries(loads)) {
    rhythm = rhythms[name as keyof typeof rhythms];
    rhythmNow.of = rhythm;
    const open = () => costOf(() => askMany(url, key, jobs, CLIENTS), jobs);
    const sealed = () => costOf(() => askSealed(url, key, nodes, jobs, CLIENTS), jobs);
    say(`${name}: warming up`);
    await open();
    await sealed();
    const floors: number[] = [];
    const values: number[] = [];
    for (let i = 0; i < rounds; i++) {
      floors.push(await open());
      values.push(await sealed());
      say(
        `${name}, round ${i + 1} of ${rounds}: public ${(floors.at(-1) ?? 0).toFixed(1)} us a token, ` +
          `sealed ${(values.at(-1) ?? 0).toFixed(1)}`,
      );
    }
    const [floor, value] = [median(floors), median(values)];
    metrics[`coordinator CPU, ${name}`] = metric(value, 'us CPU a token', {
      floor,
      target: `at most ${RATIO_MAX} x the public path`,
      pass: value <= RATIO_MAX * floor,
    });
  }
  // For whoever asks the contributors later.
  rhythm = rhythms.full;
  return metrics;
}
