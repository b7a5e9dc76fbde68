import { describe, expect, it } from 'vitest';
import { accuracyOf, type Seen } from './observer.ts';
import { answering, kinds, randomFrom } from './prompts.ts';
import { traceOf } from './traces.ts';

const seenWith = (labelled: (kind: number, random: () => number) => number): Seen[] => {
  const random = randomFrom(7);
  return Array.from({ length: 15 }, (_, n) =>
    kinds.map((each, kind) => ({
      kind: labelled(kind, random),
      fold: n % 5,
      trace: traceOf(answering(each, random), 'none'),
    })),
  ).flat();
};

describe('the observer', () => {
  it('names kinds that differ, better than by chance', () => {
    expect(
      accuracyOf(
        seenWith((kind) => kind),
        'answer',
      ),
    ).toBeGreaterThan(0.3);
  });

  it('names no kind that was drawn by lot', () => {
    const drawn = seenWith((_, random) => Math.floor(random() * kinds.length));
    expect(accuracyOf(drawn, 'answer')).toBeLessThan(0.12);
  });

  it('is certain of what is always the same', () => {
    const alike = kinds.map((_, kind) => ({
      requestBytes: 1_040,
      chunks: Array.from({ length: kind + 1 }, (_, i) => ({ atMs: i * 25, bytes: 100 })),
    }));
    const seen = [0, 1, 2, 3].flatMap((fold) => alike.map((trace, kind) => ({ kind, fold, trace })));
    expect(accuracyOf(seen, 'answer')).toBe(1);
    expect(accuracyOf(seen, 'request')).toBeLessThanOrEqual(2 / kinds.length);
  });
});

describe('a trace', () => {
  const [summary] = kinds.filter(({ name }) => name === 'summary');
  if (summary === undefined) throw new Error('no summaries');
  const said = answering(summary, randomFrom(1));

  it('shows the sizes of tokens only without padding', () => {
    const sizes = (padding: 'none' | 'buckets' | 'paced') =>
      new Set(traceOf(said, padding).chunks.map(({ bytes }) => bytes)).size;
    expect(sizes('none')).toBeGreaterThan(5);
    // The number of the chunk is in the event, too.
    expect(sizes('paced')).toBeLessThanOrEqual(3);
  });

  it('paced, is at the beat, and its chunks have few significant bits', () => {
    const { chunks } = traceOf(said, 'paced');
    const gaps = chunks.slice(1).map(({ atMs }, i) => atMs - (chunks[i]?.atMs ?? 0));
    expect(gaps.every((gap) => Math.abs(gap - 100) < 1e-6)).toBe(true);
    expect(chunks.length.toString(2).replace(/0+$/, '').length).toBeLessThanOrEqual(3);
  });
});
