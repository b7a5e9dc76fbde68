/**
 * Twenty kinds of questions as an observer may want to tell them apart: how long they and their answers are, how large and how
 * evenly their tokens come. Lengths are log-normal, by median and by the standard deviation of the logarithm. They are
 * chosen by us, as wide apart as such kinds are; no user was watched.
 */
export interface Kind {
  readonly name: string;
  readonly promptBytes: readonly [median: number, sigma: number];
  readonly tokens: readonly [median: number, sigma: number];
  /** Of a token's text, on average; what varies about it is a share of this. */
  readonly tokenBytes: number;
  readonly spread: number;
}

const kind = (
  name: string,
  promptBytes: Kind['promptBytes'],
  tokens: Kind['tokens'],
  tokenBytes: number,
  spread = 0.5,
): Kind => ({ name, promptBytes, tokens, tokenBytes, spread });

export const kinds: readonly Kind[] = [
  kind('yes or no', [90, 0.4], [2, 0.3], 3),
  kind('label of a text', [700, 0.6], [3, 0.3], 6),
  kind('sum', [60, 0.3], [10, 0.3], 2, 0.3),
  kind('fact', [70, 0.4], [25, 0.4], 4.5),
  kind('fields of a text', [900, 0.5], [60, 0.3], 3, 0.7),
  kind('Russian sentence', [140, 0.5], [35, 0.4], 6.5),
  kind('German sentence', [140, 0.5], [32, 0.4], 3.8),
  kind('Chinese sentence', [140, 0.5], [28, 0.4], 3.6, 0.2),
  kind('summary', [6_000, 0.6], [120, 0.3], 4.8),
  kind('list of ten', [90, 0.4], [180, 0.3], 4.2),
  kind('letter', [220, 0.5], [230, 0.3], 4.6),
  kind('function', [250, 0.6], [220, 0.5], 3.2, 0.9),
  kind('query', [500, 0.5], [55, 0.4], 3.6, 0.8),
  kind('pattern', [150, 0.4], [30, 0.5], 2.2, 0.6),
  kind('essay', [160, 0.5], [750, 0.25], 4.9),
  kind('story', [120, 0.5], [600, 0.3], 4.4),
  kind('proof by steps', [300, 0.5], [320, 0.4], 2.9, 0.6),
  kind('table', [260, 0.5], [240, 0.4], 2.6, 0.9),
  kind('records', [400, 0.5], [420, 0.4], 2.8, 0.8),
  kind('poem', [80, 0.4], [130, 0.4], 4.3, 0.4),
];

/** Numbers between 0 and 1 from a seed (mulberry32): the same in each run. */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller. */
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const logNormal = ([median, sigma]: readonly [number, number], random: () => number): number =>
  median * Math.exp(sigma * normal(random));

export interface Answering {
  readonly promptBytes: number;
  /** Texts of tokens as the upstream says them, in milliseconds from the question on. */
  readonly tokens: readonly { readonly atMs: number; readonly text: string }[];
}

/** A machine of about 40 tokens a second that reads about 5,000 bytes of prompt in 100 ms, and is not always as busy. */
export function answering(
  { promptBytes, tokens, tokenBytes, spread }: Kind,
  random: () => number,
): Answering {
  const bytes = Math.max(20, Math.round(logNormal(promptBytes, random)));
  const count = Math.max(1, Math.round(logNormal(tokens, random)));
  const tokenMs = logNormal([25, 0.1], random);
  let atMs = logNormal([60, 0.2], random) + bytes / 50;
  const said: { atMs: number; text: string }[] = [];
  for (let i = 0; i < count; i++) {
    const size = Math.max(1, Math.round(tokenBytes * (1 + spread * normal(random))));
    said.push({ atMs, text: 'x'.repeat(size) });
    atMs += tokenMs * logNormal([1, 0.15], random);
  }
  return { promptBytes: bytes, tokens: said };
}
