/** The steps that a bundle adds to those of its parts. */
import type { Plan, StepRecord } from '../steps/record.ts';

const again = 'Have the node make a new bundle.';
const ask = 'Take another node, or ask for what this one offers.';

const step = (title: string, remedy: string) => ({ title, remedy });

export const bundlePlan = {
  'bundle.format': step('The bundle can be read: version 1, all members known', again),
  'bundle.suite': step('The suite is known, and the key is of its size', again),
  'bundle.not-after': step('The bundle has not ended', again),
  'bundle.lifetime': step('The bundle does not end later than the policy allows', again),
  'bundle.epoch': step('The bundle is of the epoch that was asked for', ask),
  'bundle.model': step('The node serves the weights that were asked for', ask),
  'bundle.config': step('The node has the configuration that was asked for', ask),
  'bundle.image': step('The measured image is the one that the node states', again),
  'bundle.gpus': step('There is a GPU exactly if the policy has a section for it', ask),
  'bundle.gpus-distinct': step('No GPU is presented twice', again),
  'bundle.one-world': step('Genuine and simulated evidence are not mixed', again),
  'bundle.nothing-unused': step('No staple, no member and no padding is there without a use', again),
  'bundle.event-log.format': step(
    'The event log can be read, and its named events have their digests',
    again,
  ),
  'bundle.event-log': step('The event log adds up to the measured registers', again),
} as const satisfies Plan<string>;

export type BundleStep = keyof typeof bundlePlan;
export type BundleRecord = StepRecord<BundleStep>;
