/** What every bench shares: metrics with floors and targets, medians, and how results are shown and kept. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

export interface Metric {
  readonly value: number;
  readonly unit: string;
  /** The same thing without us, measured in the same run; null where there is none. */
  readonly floor: number | null;
  /** `value / floor`. */
  readonly ratio: number | null;
  /** What is demanded, as a sentence; null when the figure is only reported. */
  readonly target: string | null;
  readonly pass: boolean | null;
}

export interface BenchResult {
  readonly bench: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** What was compared, and how: versions and settings by name. */
  readonly settings: Readonly<Record<string, string>>;
}

export type Note = (name: string, text: string) => void;

export interface Bench {
  readonly summary: string;
  /** `say` shows progress; `note` keeps a version or a setting with the result. */
  run(say: (line: string) => void, note: Note): Promise<Readonly<Record<string, Metric>>>;
}

export function metric(
  value: number,
  unit: string,
  options: { readonly floor?: number; readonly target?: string; readonly pass?: boolean } = {},
): Metric {
  const { floor = null, target = null, pass = null } = options;
  return { value, unit, floor, ratio: floor === null || floor === 0 ? null : value / floor, target, pass };
}

/** The middle value; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** CPU of this process for one call, in microseconds: the median over rounds of an average over calls. */
export function cpuPerCall(call: () => void, options: { calls?: number; rounds?: number } = {}): number {
  const { calls = 2_000, rounds = 5 } = options;
  const round = (n: number): number => {
    const before = process.cpuUsage();
    for (let i = 0; i < n; i++) call();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / n;
  };
  round(Math.ceil(calls / 4));
  return median(Array.from({ length: rounds }, () => round(calls)));
}

const number = (value: number | null): string =>
  value === null ? '' : Number(value.toPrecision(4)).toString();

export function table({ metrics, settings }: BenchResult): string {
  const rows = [
    ['metric', 'value', 'unit', 'floor', 'ratio', 'target', ''],
    ...Object.entries(metrics).map(([name, m]) => [
      name,
      number(m.value),
      m.unit,
      number(m.floor),
      number(m.ratio),
      m.target ?? '',
      m.pass === null ? '' : m.pass ? 'pass' : 'FAIL',
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, ...Object.entries(settings).map(([name, text]) => `${name}: ${text}`)].join('\n');
}

/** Keeps a result beside what it was measured on. */
export function keep(folder: string, result: BenchResult): void {
  mkdirSync(folder, { recursive: true });
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  };
  const kept = { ...result, measuredAt: new Date().toISOString(), machine };
  writeFileSync(join(folder, `${result.bench}.json`), `${JSON.stringify(kept, null, 2)}\n`);
}
