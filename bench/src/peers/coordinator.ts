/** Our coordinator as one of the systems: its contributors say what the upstream says, in a process beside it. */
import type { ChildProcess } from 'node:child_process';
import { forked, type System } from './systems.ts';

/** More than the streams at once, so that nobody waits for a contributor. */
const CONTRIBUTORS = 520;
/** An account may have 64 jobs at once. */
const ACCOUNTS = 8;

export interface Network extends System {
  /** API keys of its accounts; the other systems are sent the same and ignore them. */
  readonly keys: readonly string[];
  readonly contributors: ChildProcess;
}

export async function startCoordinator(): Promise<Network> {
  const { child, message } = await forked('../relay/coordinator-child.ts', [
    '--contributors-per-network',
    '1000',
  ]);
  const { url, adminToken } = message as { url: string; adminToken: string };
  const keys: string[] = [];
  for (let i = 0; i < ACCOUNTS; i++) keys.push(await newKey(url, adminToken, `bench-${i}`));
  const contributors = await forked('contributors.ts', [url, String(CONTRIBUTORS)]);
  return {
    name: 'Tussah',
    url,
    pid: child.pid ?? 0,
    version: 'this checkout',
    settings: `1 process, ${CONTRIBUTORS} contributors on WebSockets, ${ACCOUNTS} accounts, log level info, durable books; signs, checks, meters and bills each request`,
    keys,
    contributors: contributors.child,
    stop: () => {
      contributors.child.disconnect();
      child.disconnect();
    },
  };
}

async function newKey(url: string, adminToken: string, name: string): Promise<string> {
  const response = await fetch(`${url}/v1/admin/accounts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, creditNano: '1000000000000' }),
  });
  return ((await response.json()) as { key: string }).key;
}
