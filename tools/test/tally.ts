/** Adds up what the checks found, and says it. */
import type { Skip } from './report.ts';

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly Skip[];
}

export const emptyTally: Tally = { passed: 0, failed: 0, skips: [] };

export const addResult = (tally: Tally, result: Tally): Tally => ({
  passed: tally.passed + result.passed,
  failed: tally.failed + result.failed,
  skips: [...tally.skips, ...result.skips],
});

/** Where nobody looks at what was skipped, a skip is a failure. A run in which nothing passed is one too. */
export function finalLines(
  { passed, failed, skips }: Tally,
  ci: boolean,
): { readonly lines: readonly string[]; readonly failed: number } {
  const counted = failed + (ci ? skips.length : 0);
  const all = counted === 0 && passed === 0 ? 1 : counted;
  const header = ci ? 'Skipped, which counts as failed here:' : 'Skipped:';
  const listed = skips.length === 0 ? [] : [header, ...skips.map(({ name, why }) => `  ${name}: ${why}`)];
  return { lines: ['', ...listed, `${passed} passed, ${all} failed`], failed: all };
}
