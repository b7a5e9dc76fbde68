/**
 * Stands in for vitest while mutants run: the suites register their tests here, and all runs stay in one warm process. With a
 * worker, a transform and a report for each of many hundred runs it would take an hour.
 */
export { expect } from './expectation.ts';

type Body = (...args: never[]) => unknown;
export interface Test {
  readonly name: string;
  readonly run: () => unknown;
}

export const tests: Test[] = [];
let prefix = '';

export function describe(name: string, body: () => void): void {
  const before = prefix;
  prefix = `${prefix}${name} > `;
  body();
  prefix = before;
}

const context = { skip: () => undefined };
const add = (name: string, run: () => unknown) => tests.push({ name: `${prefix}${name}`, run });
const call = (body: Body, args: readonly unknown[]) => body(...(args as never[]));

export const it = Object.assign((name: string, body: Body) => add(name, () => call(body, [context])), {
  each: (rows: readonly unknown[]) => (name: string, body: Body) =>
    rows.forEach((row, i) =>
      add(`${name} (${i})`, () => call(body, Array.isArray(row) ? (row as unknown[]) : [row])),
    ),
  for: (rows: readonly unknown[]) => (name: string, body: Body) =>
    rows.forEach((row, i) => add(`${name} (${i})`, () => call(body, [row, context]))),
});

export const beforeAll = (body: () => unknown): void => {
  throw new Error(`hooks are not supported here: ${body.name}`);
};
