/** The part of vitest's `expect` that the suites under mutation use. That it agrees with vitest is seen by their passing. */
import { isDeepStrictEqual } from 'node:util';

class ArrayContaining {
  readonly members: readonly unknown[];
  constructor(members: readonly unknown[]) {
    this.members = members;
  }
}

/** As `toEqual` sees them: members that are undefined are as good as absent, prototypes don't count. */
function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return [...(value as Uint8Array)];
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([key, member]) => [key, plain(member)]));
}

function equal(got: unknown, wanted: unknown): boolean {
  if (wanted instanceof ArrayContaining)
    return Array.isArray(got) && wanted.members.every((member) => got.some((each) => equal(each, member)));
  return isDeepStrictEqual(plain(got), plain(wanted));
}

function matches(got: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return (
      Array.isArray(got) && got.length === wanted.length && wanted.every((each, i) => matches(got[i], each))
    );
  if (wanted === null || typeof wanted !== 'object') return equal(got, wanted);
  if (got === null || typeof got !== 'object') return false;
  return Object.entries(wanted).every(([key, member]) =>
    matches((got as Record<string, unknown>)[key], member),
  );
}

function throws(got: unknown, wanted: unknown): boolean {
  try {
    (got as () => unknown)();
    return false;
  } catch (error) {
    return isMatchingError(error, wanted);
  }
}

function isMatchingError(error: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true;
  if (typeof wanted === 'function') return error instanceof (wanted as new () => object);
  const message = error instanceof Error ? error.message : String(error);
  return wanted instanceof RegExp
    ? wanted.test(message)
    : typeof wanted === 'string' && message.includes(wanted);
}

const matchers: Readonly<Record<string, (got: unknown, wanted: unknown) => boolean>> = {
  toBe: (got, wanted) => Object.is(got, wanted),
  toEqual: equal,
  toMatchObject: matches,
  toContain: (got, wanted) =>
    typeof got === 'string' ? got.includes(String(wanted)) : [...(got as Iterable<unknown>)].includes(wanted),
  toBeUndefined: (got) => got === undefined,
  toHaveLength: (got, wanted) => (got as { length: number }).length === wanted,
  toMatch: (got, wanted) => (wanted as RegExp).test(String(got)),
  toBeGreaterThan: (got, wanted) => (got as number) > (wanted as number),
  toBeLessThan: (got, wanted) => (got as number) < (wanted as number),
  toThrow: throws,
};

function build(got: unknown, negated: boolean): object {
  const checks = Object.entries(matchers).map(([name, matcher]) => [
    name,
    (wanted?: unknown) => {
      if (matcher(got, wanted) === negated) throw new Error(`${negated ? 'not ' : ''}${name}`);
    },
  ]);
  return Object.fromEntries(checks) as object;
}

export const expect = Object.assign(
  (got: unknown) => ({
    ...build(got, false),
    not: build(got, true),
    rejects: {
      toThrow: async (wanted?: unknown) => {
        const error: unknown = await (got as Promise<unknown>).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error === undefined || !isMatchingError(error, wanted)) throw new Error('rejects.toThrow');
      },
    },
  }),
  { arrayContaining: (members: readonly unknown[]) => new ArrayContaining(members) },
);
