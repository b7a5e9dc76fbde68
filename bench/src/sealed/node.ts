/** The real confidential node, in a process of its own, with simulated evidence. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Policy } from '@tussah/attestation/policy/policy';
import { MODEL } from '../relay/load.ts';

const root = resolve(import.meta.dirname, '../../..');

/** A simulated world, and whose weights its policy names. */
export interface World {
  readonly folder: string;
  readonly weights: string;
  readonly policy: Policy;
}

/** Without an upstream it serves the bundled model. Resolves once it is in the directory. */
export async function startNode(
  url: string,
  { folder, weights }: World,
  upstream?: string,
): Promise<ChildProcess> {
  const script = join(root, 'worker-runtime/src/confidential/node-main.ts');
  const args = [script, '--coordinator', url, '--simulated', '--state', folder, '--model', MODEL];
  if (upstream !== undefined) args.push('--weights', weights, '--upstream', upstream);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise<void>((attested, failed) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.includes('"attested"')) attested();
    });
    child.once('exit', (code) => failed(new Error(`the node ended with ${code}`)));
  });
  return child;
}

export async function stopNode(child: ChildProcess): Promise<void> {
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  await ended;
}
