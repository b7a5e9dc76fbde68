/** The ways in which a contributor is lost while it answers. */
import type { EngineChoice } from '@tussah/worker-runtime/contributor/host-bridge';
import type { SegmentEnd } from '@tussah/protocol/receipts';
import type { KillableContributor } from './contributor.ts';

export interface Kill {
  readonly name: string;
  /** What the receipt may say of the segment that it cuts. */
  readonly ends: readonly SegmentEnd[];
  /** The contributor lives on and says that it failed. */
  readonly speaks?: true;
  /** No other contributor can start in its browser. */
  readonly spoilsBrowser?: true;
  /** Rejects where it can't be done; then what follows proves nothing. */
  readonly strike: (victim: KillableContributor) => Promise<unknown>;
}

const everyEngine: readonly Kill[] = [
  { name: 'page closed', ends: ['lost'], strike: ({ page }) => page.close() },
  { name: 'page crashed', ends: ['lost'], strike: ({ cdp }) => unanswered(cdp.send('Page.crash')) },
  { name: 'page left', ends: ['lost'], strike: ({ page }) => page.goto('about:blank') },
  {
    name: 'browser crashed',
    ends: ['lost'],
    spoilsBrowser: true,
    strike: ({ browserCdp }) => unanswered(browserCdp.send('Browser.crash')),
  },
  { name: 'connection cut', ends: ['lost'], strike: (victim) => victim.cutConnection() },
  { name: 'network gone', ends: ['silent'], strike: ({ page }) => page.context().setOffline(true) },
  {
    name: 'page hung',
    ends: ['silent'],
    strike: async ({ cdp }) => {
      await cdp.send('Debugger.enable');
      await cdp.send('Debugger.pause');
    },
  },
  {
    name: 'engine hung',
    ends: ['silent'],
    // A worker that closes itself is not reported to its page: it is silent for ever.
    strike: ({ page }) => page.workers()[0]?.evaluate(() => globalThis.close()) ?? Promise.reject(noWorker),
  },
];

const gpuKilled: Kill = {
  name: 'GPU process killed',
  // An engine that was done with the answer does not notice.
  ends: ['failed', 'silent'],
  speaks: true,
  spoilsBrowser: true,
  strike: async (victim) => process.kill(victim.gpuProcess(), 'SIGKILL'),
};

const noWorker = new Error('the page has no worker');

/** Whoever crashes doesn't answer. */
const unanswered = (call: Promise<unknown>): Promise<void> => {
  call.catch(() => undefined);
  return Promise.resolve();
};

export const killsFor = (engine: EngineChoice): readonly Kill[] =>
  engine === 'webllm' ? [...everyEngine, gpuKilled] : everyEngine;
