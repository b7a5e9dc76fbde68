/** The contributor of this page: the browser's own parts, and engines in a worker. */
import { browserContributor } from '@tussah/worker-runtime/contributor/browser-contributor';
import type { ContributorSettings } from '@tussah/worker-runtime/contributor/snapshot';
import { InferenceClient } from '@tussah/worker-runtime/engine/inference-client';
import type { RunningContributor } from './running-contributor.ts';

export const makeContributor = (settings: ContributorSettings): RunningContributor =>
  browserContributor(settings, {
    agent: 'tussah-web/0.1.0',
    engineFor: ({ engine }) => new InferenceClient({ engine }),
  });
