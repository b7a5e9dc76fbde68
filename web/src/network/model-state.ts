/** What a person needs to know of a model before asking it. */
import type { ModelObject } from '@tussah/protocol/network';

export interface ModelState {
  readonly state: 'ready' | 'busy' | 'unserved';
  readonly words: string;
}

export function modelState({ tussah }: ModelObject): ModelState {
  const { contributors, idle } = tussah;
  if (idle > 0) return { state: 'ready', words: `ready, ${idle} free` };
  if (contributors > 0) return { state: 'busy', words: `busy, ${people(contributors)} at work` };
  return { state: 'unserved', words: 'nobody serves it now' };
}

export const people = (contributors: number): string =>
  contributors === 1 ? '1 contributor' : `${contributors} contributors`;

/**
 * The wanted model where it is listed, else the first that would answer soonest. `allowed` are the only ones that can be asked,
 * listed or not; where there are none, nothing is ruled out, so that whoever asks can be told.
 */
export function preferredModel(
  models: readonly ModelObject[],
  wanted: string | null,
  allowed: readonly string[] = [],
): string | undefined {
  if (allowed.length > 0) return allowed.find((id) => id === wanted) ?? allowed[0];
  const listed = models.find((model) => model.id === wanted);
  const soonest =
    models.find((model) => model.tussah.idle > 0) ?? models.find((model) => model.tussah.contributors > 0);
  return (listed ?? soonest ?? models[0])?.id;
}

const scale = [
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** `1.2B`, `690k`: weights or tokens, two digits where they tell something. */
export function showCount(count: number): string {
  const [unit, letter] = scale.find(([size]) => count >= size) ?? [1, ''];
  const value = count / unit;
  return `${value >= 10 ? Math.round(value) : Number(value.toFixed(1))}${letter}`;
}

/** `4 s`, `3 min`, `2 h`, `5 d`. */
export function showAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
