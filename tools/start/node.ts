/** Runs one confidential node, simulated, as a child process. Its upstream is a child of its own. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePolicy, type Policy } from '@tussah/attestation/policy/policy';
import { fail, ok, type Failure, type Result } from '@tussah/protocol/errors';
import * as v from 'valibot';
import { modelDigest } from '../../worker-runtime/src/confidential/model-digest.ts';
import { openSimulatedWorld } from '../../worker-runtime/src/confidential/simulated/world-folder.ts';
import {
  embeddedModelId,
  embeddedWeights,
} from '../../worker-runtime/src/confidential/upstream/embedded/embedded-facts.ts';
import { root, startNode, type Exit, type Running } from '../setup/processes.ts';

const attestTimeoutMs = 60_000;
/** It finishes running jobs first. */
const drainMs = 10_000;

const AttestedSchema = v.object({ event: v.literal('attested'), bundle: v.string() });

/** Where the simulated vendors are kept: the same for all starts of this checkout. */
const worldFolder = join(root, '.tussah', 'simulated');

export interface SimulatedPolicy {
  readonly path: string;
  readonly policy: Policy;
}

/** The policy that accepts the node's evidence and no other; the coordinator and whoever asks have the same. */
export async function simulatedPolicy(): Promise<Result<SimulatedPolicy>> {
  const digest = await modelDigest(embeddedWeights);
  if (!digest.ok) return digest;
  const models = { [embeddedModelId]: { digest: digest.value } };
  const { policyPath, policy } = await openSimulatedWorld(worldFolder, models, Date.now());
  const parsed = parsePolicy(readFileSync(policyPath, 'utf8'));
  return parsed.ok ? ok({ path: policyPath, policy }) : parsed;
}

export interface ConfidentialNode {
  readonly exited: Promise<Exit>;
  readonly died: (exit: Exit) => Failure<'node_failed'>;
  /** Lets it drain. */
  stop(): Promise<Exit>;
}

/** Starts it; `attested` resolves once the coordinator has accepted its evidence. */
export function startConfidentialNode(options: {
  readonly url: string;
  /** An existing folder for its log. */
  readonly data: string;
  readonly verbose: boolean;
}): { readonly node: ConfidentialNode; readonly attested: Promise<Result<true, 'node_failed'>> } {
  const log = join(options.data, 'node.log');
  writeFileSync(log, '');
  const { promise: heard, resolve: hear } = Promise.withResolvers<true>();
  const child = startNode(
    'worker-runtime/src/confidential/node-main.ts',
    ['--coordinator', options.url, '--simulated', '--state', worldFolder],
    {
      onLine: (line, stream) => {
        if (stream === 'stdout' && isAttested(line)) return hear(true);
        appendFileSync(log, `${line}\n`);
        if (options.verbose) process.stderr.write(`${line}\n`);
      },
    },
  );
  const died = (exit: Exit) => failed(`The simulated node ended unexpectedly (${exit.how}).`, child);
  const node = { exited: child.exited, died, stop: () => child.stop(drainMs) };
  return { node, attested: attestedOf(child, heard, died) };
}

async function attestedOf(
  child: Running,
  heard: Promise<true>,
  died: (exit: Exit) => Failure<'node_failed'>,
): Promise<Result<true, 'node_failed'>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), attestTimeoutMs);
  });
  const first = await Promise.race([heard, child.exited, late]);
  clearTimeout(timer);
  if (first === true) return ok(true);
  if (first !== undefined) return fail(died(first));
  child.kill();
  return fail(failed(`The simulated node was not accepted within ${attestTimeoutMs / 1000} s.`, child));
}

export function isAttested(line: string): boolean {
  if (!line.startsWith('{')) return false;
  try {
    return v.is(AttestedSchema, JSON.parse(line));
  } catch {
    return false;
  }
}

function failed(message: string, child: Running): Failure<'node_failed'> {
  const tail = child.tail().split('\n').slice(-8).join('\n');
  return {
    code: 'node_failed',
    message: tail === '' ? message : `${message} Its last lines:\n${tail}`,
    remedy: 'Look at those lines; `npm start -- --verbose` shows all of its log.',
  };
}
