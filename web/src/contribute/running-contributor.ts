/** A contributor as the page sees it. */
import type { HostControls } from '@tussah/worker-runtime/contributor/host-bridge';
import type { ContributorSnapshot } from '@tussah/worker-runtime/contributor/snapshot';

export interface RunningContributor extends HostControls {
  readonly snapshot: ContributorSnapshot;
  subscribe(listener: (snapshot: ContributorSnapshot) => void): () => void;
  start(): Promise<void>;
}
