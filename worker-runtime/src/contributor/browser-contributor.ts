/** A contributor made of the browser's own parts. The engines stay outside: whoever calls says how one is made. */
import { browserClock, openWebSocket } from './browser-ports.ts';
import { chooseBuild, readDevice } from './choose-build.ts';
import { Contributor } from './contributor.ts';
import { indexedDbIdentities, webLockLeadership } from './identity.ts';
import type { ContributorPorts } from './ports.ts';
import type { ContributorSettings } from './snapshot.ts';

/** `parts` may also replace any of the browser's own. */
export function browserContributor(
  settings: ContributorSettings,
  parts: Pick<ContributorPorts, 'engineFor' | 'agent'> & Partial<ContributorPorts>,
): Contributor {
  return new Contributor(settings, {
    openSocket: openWebSocket,
    clock: browserClock,
    identities: indexedDbIdentities(),
    leadership: webLockLeadership(),
    chooseBuild: async (settings) => chooseBuild(settings, await readDevice()),
    ...parts,
  });
}
