/** What a verification found: every check that was made, also after one failed. */
import { printable } from '@tussah/attestation/cli/printable';

/** A row that is wrong. */
export interface Fault {
  readonly table: string;
  /** What the row is known by, such as its id. */
  readonly row: string;
  readonly problem: string;
}

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** The first `FAULTS_SHOWN` of them; `detail` says how many there are. */
  readonly faults?: readonly Fault[];
}

export interface Verdict {
  readonly verdict: 'valid' | 'invalid';
  readonly checks: readonly Check[];
}

/** Input that can't be judged at all: not found, too large, not of this kind. */
export class UnusableInput extends Error {
  override readonly name = 'UnusableInput';
  readonly remedy: string;
  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

/** Faults kept of one check, so that memory stays bounded however bad the books are. */
export const FAULTS_SHOWN = 50;

/** Collects the faults of one check. */
export class FaultLog {
  readonly #faults: Fault[] = [];
  #count = 0;

  add(table: string, row: unknown, problem: string): void {
    this.#count += 1;
    if (this.#faults.length < FAULTS_SHOWN)
      this.#faults.push({ table, row: String(row).slice(0, 200), problem: problem.slice(0, 400) });
  }

  check(name: string, detail: string): Check {
    if (this.#count === 0) return { name, ok: true, detail };
    return { name, ok: false, detail: `${this.#count} fault(s), ${detail}`, faults: this.#faults };
  }
}

export const verdictOf = (checks: readonly Check[]): Verdict => ({
  verdict: checks.length > 0 && checks.every((check) => check.ok) ? 'valid' : 'invalid',
  checks,
});

/** Text for a terminal. What comes from the input is shown without control characters, which could rewrite the screen. */
export function verdictText({ verdict, checks }: Verdict): string {
  const lines = checks.flatMap(({ name, ok, detail, faults = [] }) => [
    `${ok ? 'ok  ' : 'FAIL'}  ${name}: ${detail}`,
    ...faults.map(({ table, row, problem }) => `      ${table} ${row}: ${problem}`),
  ]);
  return `${[...lines, verdict].map(printable).join('\n')}\n`;
}
