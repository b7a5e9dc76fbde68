/** One change somewhere in a JSON value, for property tests. */
import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';

type Path = readonly (string | number)[];

/** Values that differ from `original` in one place: changed, left out, put in, doubled or exchanged. */
export function mutations(original: object): fc.Arbitrary<unknown> {
  return fc
    .tuple(fc.constantFrom(...pathsOf(original)), replacement, fc.constantFrom(...changes))
    .map(([path, value, change]) => changed(structuredClone(original), path, value, change))
    .filter((mutated) => !isDeepStrictEqual(mutated, original));
}

const replacement = fc.oneof(
  fc.constantFrom(null, '', '0', 0, 1, -1, 1e21, true, [], {}),
  fc.integer(),
  fc.string(),
  fc.stringMatching(/^[0-9a-f]{64}$/),
  fc.bigInt({ min: 0n, max: 10n ** 18n }).map(String),
);

const changes = ['replace', 'nudge', 'delete', 'add', 'double', 'reverse'] as const;

function pathsOf(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  const below = Object.entries(value).flatMap(([key, item]) =>
    pathsOf(item, [...at, Array.isArray(value) ? Number(key) : key]),
  );
  return at.length === 0 ? below : [at, ...below];
}

type Container = Record<string | number, unknown>;

function changed(root: unknown, path: Path, value: unknown, change: (typeof changes)[number]): unknown {
  const parent = path.slice(0, -1).reduce((node, key) => (node as Container)[key], root) as Container;
  const key = path.at(-1) ?? '';
  const old = parent[key];
  switch (change) {
    case 'replace':
      parent[key] = value;
      break;
    case 'nudge':
      parent[key] = nudged(old);
      break;
    case 'delete':
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else delete parent[key];
      break;
    case 'add':
      if (Array.isArray(parent)) parent.push(value);
      else
        parent[['extra', 'constructor', 'toString', 'Signature'][JSON.stringify(value).length % 4] ?? ''] =
          value;
      break;
    case 'double':
      if (Array.isArray(parent)) parent.push(structuredClone(old));
      else parent[`${key}2`] = old;
      break;
    case 'reverse':
      if (Array.isArray(old)) old.reverse();
      else if (Array.isArray(parent)) parent.reverse();
      break;
    default:
      change satisfies never;
  }
  return root;
}

/** The smallest difference: one more, or one digit or letter changed. */
function nudged(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'string')
    return /\d/.test(value) ? value.replace(/\d/, (d) => `${(Number(d) + 1) % 10}`) : `${value}x`;
  if (typeof value === 'boolean') return !value;
  return value === null ? 'stop' : value;
}
