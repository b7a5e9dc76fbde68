/**
 * An observer who has seen many answers of each kind, and is shown one more: how often does he name its kind? He looks for the
 * nearest of those he has seen (k nearest neighbours) by number, sizes and times of chunks. A better observer may do better.
 */
import type { Trace } from './traces.ts';

export interface Seen {
  readonly kind: number;
  readonly fold: number;
  readonly trace: Trace;
}

export type View = 'answer' | 'request' | 'both';

/** The best of these counts. */
const NEIGHBOURS = [1, 5, 15, 41];
const NEIGHBOURS_MAX = Math.max(...NEIGHBOURS);

/** Share of answers whose kind is named, cross-validated: nobody is compared with answers of his own fold. */
export function accuracyOf(seen: readonly Seen[], view: View): number {
  const rows = standardised(seen.map(({ trace }) => featuresOf(trace, view)));
  const right = NEIGHBOURS.map(() => 0);
  for (const [i, { kind, fold }] of seen.entries()) {
    const near = nearest(rows[i] ?? [], rows, (j) => seen[j]?.fold !== fold);
    const named = near.map((j) => seen[j]?.kind ?? -1);
    for (const [n, k] of NEIGHBOURS.entries())
      if (commonest(named.slice(0, k)) === kind) right[n] = (right[n] ?? 0) + 1;
  }
  return Math.max(...right) / seen.length;
}

/** Places of the nearest rows, the nearest first. */
function nearest(
  row: readonly number[],
  rows: readonly (readonly number[])[],
  isCompared: (place: number) => boolean,
): number[] {
  const found: { readonly place: number; readonly distance: number }[] = [];
  for (const [place, other] of rows.entries()) {
    if (!isCompared(place)) continue;
    const farthest = found.length < NEIGHBOURS_MAX ? Infinity : (found.at(-1)?.distance ?? Infinity);
    const distance = distanceOf(row, other);
    if (distance >= farthest) continue;
    const at = found.findIndex((each) => each.distance > distance);
    found.splice(at < 0 ? found.length : at, 0, { place, distance });
    if (found.length > NEIGHBOURS_MAX) found.pop();
  }
  return found.map(({ place }) => place);
}

/** Of equally common ones the nearest. */
function commonest(kinds: readonly number[]): number | undefined {
  const counts = new Map<number, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].reduce<readonly [number, number] | undefined>(
    (best, entry) => (best === undefined || entry[1] > best[1] ? entry : best),
    undefined,
  )?.[0];
}

function featuresOf({ requestBytes, chunks }: Trace, view: View): number[] {
  const request = [Math.log(requestBytes)];
  if (view === 'request') return request;
  const sizes = chunks.map(({ bytes }) => bytes);
  const gaps = chunks.slice(1).map(({ atMs }, i) => atMs - (chunks[i]?.atMs ?? 0));
  const [firstMs, lastMs] = [chunks[0]?.atMs ?? 0, chunks.at(-1)?.atMs ?? 0];
  const answer = [
    Math.log(chunks.length),
    Math.log(1 + firstMs),
    Math.log(1 + lastMs - firstMs),
    Math.log(sizes.reduce((a, b) => a + b, 0)),
    ...momentsOf(sizes),
    ...momentsOf(gaps),
  ];
  return view === 'both' ? [...request, ...answer] : answer;
}

/** Mean, deviation, and the values at the tenths that say most. */
function momentsOf(values: readonly number[]): number[] {
  if (values.length === 0) return [0, 0, 0, 0, 0, 0, 0];
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q: number) => sorted[Math.round(q * (sorted.length - 1))] ?? 0;
  return [mean, deviation, at(0.1), at(0.25), at(0.5), at(0.75), at(0.9)];
}

/** Each feature with mean 0 and deviation 1. One that is always the same says nothing, and becomes 0. */
function standardised(rows: readonly (readonly number[])[]): number[][] {
  const columns = rows[0]?.map((_, c) => rows.map((row) => row[c] ?? 0)) ?? [];
  const scales = columns.map((column) => {
    const mean = column.reduce((a, b) => a + b, 0) / column.length;
    const deviation = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length);
    return { mean, deviation };
  });
  return rows.map((row) =>
    row.map((value, c) => {
      const { mean, deviation } = scales[c] ?? { mean: 0, deviation: 0 };
      return deviation < 1e-9 ? 0 : (value - mean) / deviation;
    }),
  );
}

function distanceOf(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] ?? 0) - (b[i] ?? 0)) ** 2;
  return sum;
}
