/** Which cells of the core's transition tables a run has reached, and which it has not. */
import { jobEvents, jobFrames, type Verdict } from '../core/job-events.ts';
import { legalFrames } from '../core/sessions.ts';

export type Table = 'session frames' | 'job frames' | 'job events';

const frameTypes = [
  'hello',
  'model-ready',
  'job-accept',
  'job-decline',
  'text-delta',
  'job-done',
  'job-failed',
  'status',
  'pong',
] as const;

export class Coverage {
  readonly #reached = new Set<string>();

  record(table: Table, row: string, column: string): void {
    this.#reached.add(`${table}: ${row} x ${column}`);
  }

  /** Of the cells with this verdict: how many there are, how many were reached, and those that were not. */
  of(verdict: Verdict): { readonly cells: number; readonly reached: number; readonly missing: string[] } {
    const all = allCells().filter((cell) => cell.verdict === verdict);
    const missing = all.flatMap(({ name }) => (this.#reached.has(name) ? [] : [name]));
    return { cells: all.length, reached: all.length - missing.length, missing };
  }

  text(): string {
    return (['legal', 'late', 'illegal'] as const)
      .map((verdict) => {
        const { cells, reached, missing } = this.of(verdict);
        const names = missing.map((name) => `\n    not reached: ${name}`).join('');
        return `  ${verdict.padEnd(7)} ${reached} of ${cells} pairs${names}`;
      })
      .join('\n');
  }
}

interface Cell {
  readonly name: string;
  readonly verdict: Verdict;
}

function allCells(): Cell[] {
  const cells: Cell[] = [];
  const add = (table: Table, row: string, column: string, verdict: Verdict) =>
    cells.push({ name: `${table}: ${row} x ${column}`, verdict });
  for (const [phase, legal] of Object.entries(legalFrames))
    for (const type of frameTypes) add('session frames', phase, type, legal.has(type) ? 'legal' : 'illegal');
  for (const [holding, row] of Object.entries(jobFrames))
    for (const [type, verdict] of Object.entries(row)) add('job frames', holding, type, verdict);
  for (const [phase, row] of Object.entries(jobEvents))
    for (const [event, verdict] of Object.entries(row)) add('job events', phase, event, verdict);
  return cells;
}
