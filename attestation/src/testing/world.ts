/** The simulated world that tests share: made once, since its RSA keys take time, and kept over reruns in one process. */
import type { Step } from '../steps/record.ts';
import { newSimulatedWorld, simulatedPolicy, type SimulatedWorld } from '../simulated/bundle.ts';

export const NOW = Date.UTC(2026, 10, 1, 12);

const kept = globalThis as { tussahSimulatedWorlds?: Promise<readonly [SimulatedWorld, SimulatedWorld]> };
/** The second one is a stranger to the first one's policy. */
const [first, second] = await (kept.tussahSimulatedWorlds ??= Promise.all([
  newSimulatedWorld(NOW),
  newSimulatedWorld(NOW),
]));

export const world = first;
export const otherWorld = second;
export const policy = simulatedPolicy(first);

export const failed = ({ steps }: { readonly steps: readonly Step[] }): string[] =>
  steps.filter(({ status }) => status === 'failed').map(({ id }) => id);

/** Each failed step says what was expected, what there was, and what to do. */
export const explained = ({ steps }: { readonly steps: readonly Step[] }): boolean =>
  steps
    .filter(({ status }) => status === 'failed')
    .every(
      ({ expected, got, remedy }) => (expected ?? '') !== '' && got !== undefined && (remedy ?? '') !== '',
    );
