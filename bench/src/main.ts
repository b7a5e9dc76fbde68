/** `npm run bench -- NAME [--json]`: measures, shows, keeps the result, and exits 1 when a target is missed. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { keep, table, type Bench } from './harness.ts';

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  relay: async () => (await import('./relay/relay.ts')).relay,
  e2e: async () => (await import('./e2e/e2e.ts')).e2e,
  engines: async () => (await import('./engines/engines.ts')).engines,
  sealed: async () => (await import('./sealed/sealed.ts')).sealed,
  match: async () => (await import('./match/match.ts')).match,
  idle: async () => (await import('./idle/idle.ts')).idle,
  peers: async () => (await import('./peers/peers.ts')).peers,
  ledger: async () => (await import('./ledger/ledger.ts')).ledger,
  attestation: async () => (await import('./attestation/attestation.ts')).attestation,
};

const help = `Usage: npm run bench -- NAME [--json]

  relay    CPU a token of the coordinator, against a bare relay and the work it adds
  e2e      a whole chat through the network, against the same engine called directly
  engines  each engine alone: first and later loads, reading a prompt, making an answer
  peers    the coordinator beside nginx, a Node pipe, Portkey and LiteLLM
  ledger   CPU of a durable settlement, against the raw insert of its rows
  attestation  verification of evidence, against its bare WebCrypto calls, in Node and in Chromium
  sealed   the private tier's path against the public one, and what its paddings cost and hide
  match    CPU of one matching decision among 100,000 contributors, against a bare heap a model
  idle     memory and CPU of an idle contributor, against a plain ws server

Results are kept in bench/results/. With --json the last line is one JSON object.
Exit code 0: every target met; 1: one missed; 2: bad usage.`;

async function main(): Promise<number> {
  let options;
  try {
    options = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
      allowPositionals: true,
    });
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    return 2;
  }
  const { values, positionals } = options;
  if (values.help) {
    console.log(help);
    return 0;
  }
  const [name = ''] = positionals;
  const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (load === undefined) {
    console.error(`There is no bench "${name}".\n\n${help}`);
    return 2;
  }
  const bench = await load();
  const settings: Record<string, string> = {};
  const metrics = await bench.run(
    (line) => console.error(line),
    (what, text) => (settings[what] = text),
  );
  const result = { bench: name, metrics, settings };
  keep(join(dirname(fileURLToPath(import.meta.url)), '../results'), result);
  console.log(values.json ? JSON.stringify(result) : table(result));
  return Object.values(metrics).some((metric) => metric.pass === false) ? 1 : 0;
}

process.exitCode = await main();
