/**
 * CPU a token of the coordinator, against a bare relay in the same run. What it does beyond relaying (signing, checking,
 * validating, writing the ledger) is measured alone and may cost at most 1.3 times that.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { median, metric, type Bench } from '../harness.ts';
import { askMany, bareContributor, load, realContributor, tokensPerJob } from './load.ts';
import { checking, ledgerWrite, signing, validating } from './parts.ts';

/** Enough at once to keep the server busy: what it costs matters when it is. Idle servers share less work, see `paced`. */
const CLIENTS = 64;
const PACED_JOBS = 768;
const PACED_ROUNDS = 3;
/** So many that none sends faster than the coordinator allows. */
const CONTRIBUTORS = 250;
const JOBS = 1_500;
const ROUNDS = 7;
/** The coordinator's work beside the relay may cost this times the parts measured alone. */
const ALLOWANCE = 1.3;

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
  readonly adminToken: string | undefined;
}

function start(script: string): Promise<Server> {
  const child = fork(join(import.meta.dirname, script), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((done, failed) => {
    child.once('exit', (code) => failed(new Error(`${script} ended with ${code}`)));
    child.once('message', (message) => {
      const { url, adminToken } = message as { url: string; adminToken?: string };
      done({ child, url, adminToken });
    });
  });
}

/** User and system time of a server so far, in microseconds. */
function cpuOf({ child }: Server): Promise<number> {
  return new Promise((done) => {
    child.once('message', (message) => {
      const { cpu } = message as { cpu: NodeJS.CpuUsage };
      done(cpu.user + cpu.system);
    });
    child.send('cpu');
  });
}

/** Settlements that shared one commit since the start, on average: the ledger alone is measured in groups of that size. */
async function groupSize({ url }: Server): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const read = (name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  return read('tussah_store_writes') / read('tussah_store_commits');
}

async function keyOf(server: Server): Promise<string> {
  const response = await fetch(`${server.url}/v1/admin/accounts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'bench', creditNano: '1000000000000' }),
  });
  return ((await response.json()) as { key: string }).key;
}

export const relay: Bench = {
  summary: 'CPU a token of the coordinator against a bare relay',
  async run(say) {
    const bare = await start('bare-relay.ts');
    const ours = await start('coordinator-child.ts');
    try {
      const key = await keyOf(ours);
      for (let i = 0; i < CONTRIBUTORS; i++) {
        await bareContributor(bare.url);
        await realContributor(ours.url);
      }
      const round = async (server: Server, jobs: number): Promise<number> => {
        const before = await cpuOf(server);
        await askMany(server.url, server === ours ? key : undefined, jobs, CLIENTS);
        return ((await cpuOf(server)) - before) / (jobs * tokensPerJob);
      };
      const compare = async (rounds: number, jobs: number) => {
        const floors: number[] = [];
        const values: number[] = [];
        say(`${load.rhythm}: warming up`);
        await round(bare, jobs);
        await round(ours, jobs);
        for (let i = 0; i < rounds; i++) {
          floors.push(await round(bare, jobs));
          values.push(await round(ours, jobs));
          const [floor, value] = [floors.at(-1) ?? 0, values.at(-1) ?? 0];
          say(`round ${i + 1} of ${rounds}: bare ${floor.toFixed(1)} us a token, ours ${value.toFixed(1)}`);
        }
        return { floor: median(floors), value: median(values) };
      };
      const { floor, value } = await compare(ROUNDS, JOBS);
      const group = await groupSize(ours);
      say(`the parts alone; ${group.toFixed(1)} settlements shared a commit`);
      const parts = {
        signing: signing() / tokensPerJob,
        checking: checking() / tokensPerJob,
        validating: validating() / tokensPerJob,
        'ledger write': (await ledgerWrite(Math.max(1, Math.round(group)))) / tokensPerJob,
      };
      const added = Object.values(parts).reduce((a, b) => a + b, 0);
      load.rhythm = 'paced';
      const paced = await compare(PACED_ROUNDS, PACED_JOBS);
      const allowed = floor + ALLOWANCE * added;
      const unit = 'us CPU a token';
      return {
        'coordinator CPU': metric(value, unit, {
          floor,
          target: `at most the relay + ${ALLOWANCE} x the parts = ${allowed.toFixed(1)}`,
          pass: value <= allowed,
        }),
        'bare relay CPU': metric(floor, unit),
        'coordinator CPU, mostly idle': metric(paced.value, unit, { floor: paced.floor }),
        'settlements a commit': metric(group, ''),
        ...Object.fromEntries(
          Object.entries(parts).map(([name, cost]) => [`${name} alone`, metric(cost, unit)]),
        ),
      };
    } finally {
      bare.child.disconnect();
      ours.child.disconnect();
    }
  },
};
