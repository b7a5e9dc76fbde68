/** Everything that runs during the bench: the upstream, the load, and the systems between them. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { LoadOrder, LoadReport } from './clients.ts';
import { startCoordinator } from './coordinator.ts';
import type { Pacing } from './pacing.ts';
import { forked, startLiteLlm, startNginx, startNodePipe, startPortkey, type System } from './systems.ts';

export const UPSTREAM = 'Upstream itself';
export const OURS = 'Tussah';

const peers = {
  nginx: startNginx,
  'Node pipe': startNodePipe,
  Portkey: startPortkey,
  LiteLLM: startLiteLlm,
};

/** A system under load, or the upstream itself, which costs nothing here. */
export interface Subject {
  readonly name: string;
  readonly url: string;
  readonly pid: number | null;
}

export type Done = Extract<LoadReport, { kind: 'done' }>;

export interface Stage {
  /** The upstream first, the coordinator last. */
  readonly subjects: readonly Subject[];
  readonly systems: readonly System[];
  /** Why a peer could not be started, by its name. */
  readonly missing: ReadonlyMap<string, string>;
  /** Asks a subject. `begun` is called when every client has the first token of its one answer. */
  ask(subject: Subject, load: Load, begun?: () => void): Promise<Done>;
  setPacing(pacing: Pacing): void;
}

export type Load = Pick<LoadOrder, 'clients' | 'seconds' | 'spreadMs'>;

/** What is to be undone at the end goes to `cleanUp`, as soon as it exists. */
export async function setUp(
  folder: string,
  say: (line: string) => void,
  cleanUp: (() => void)[],
): Promise<Stage> {
  const upstream = await forked('upstream.ts');
  cleanUp.push(() => upstream.child.disconnect());
  const clients = await forked('clients.ts');
  cleanUp.push(() => clients.child.disconnect());
  say(`starting ${OURS} and its contributors`);
  const coordinator = await startCoordinator();
  cleanUp.push(() => coordinator.stop());
  const { url } = upstream.message as { url: string };
  const ask = asker(clients.child, url, coordinator.keys);
  const systems: System[] = [];
  const missing = new Map<string, string>();
  for (const [name, start] of Object.entries(peers)) {
    say(`starting ${name}`);
    try {
      const system = await start({ upstream: url, folder, say });
      cleanUp.push(() => system.stop());
      await ask(system, { clients: 1, seconds: 0, spreadMs: 0 });
      systems.push(system);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      missing.set(name, why);
      say(`${name} is missing: ${why}`);
    }
  }
  systems.push(coordinator);
  return {
    subjects: [{ name: UPSTREAM, url, pid: null }, ...systems],
    systems,
    missing,
    ask,
    setPacing: (pacing) => {
      upstream.child.send(pacing);
      coordinator.contributors.send(pacing);
    },
  };
}

function asker(clients: ChildProcess, upstream: string, keys: readonly string[]): Stage['ask'] {
  // The same for all; only Portkey reads them.
  const headers = { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${upstream}/v1` };
  return async ({ name, url }, load, begun = () => undefined) => {
    clients.send({ url, headers, keys, ...load } satisfies LoadOrder);
    for (;;) {
      const [report] = (await once(clients, 'message')) as [LoadReport];
      if (report.kind === 'done') return report;
      if (report.kind === 'failed') throw new Error(`${name}: ${report.message}`);
      begun();
    }
  };
}
