/** Input that breaks its own format. Parsers throw it; the step that called the parser records it and refuses. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** What a parser insists on. Each call is one check, which `npm run mutate` removes and inverts. */
export function demand(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Malformed(problem);
}
