import { TextDeltaSchema } from '@tussah/protocol/contributor-frames';
import { limits } from '@tussah/protocol/limits';
import * as fc from 'fast-check';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { type AnswerDelta, appendDelta, deltasFrom, type DeltaLog, emptyLog, framesOf } from './deltas.ts';
import { jobId } from './session-fixtures.ts';

/** Pieces that follow each other from `first` on. */
const pieces = (first: number, sizes: readonly { ids: number; text: string; logprobs: boolean }[]) => {
  let position = first;
  return sizes.map(({ ids, text, logprobs }): AnswerDelta => {
    const delta = {
      position,
      ids: Array.from({ length: ids }, (_, i) => position + i),
      text,
      ...(logprobs ? { logprobs: [{ token: text, logprob: -1, bytes: null, top_logprobs: [] }] } : {}),
    };
    position += ids;
    return delta;
  });
};
const logOf = (first: number, deltas: readonly AnswerDelta[]) => {
  let log: DeltaLog | undefined = emptyLog(first);
  for (const delta of deltas) log = log && appendDelta(log, delta, 1_000_000);
  return log;
};
const sizes = fc.array(
  fc.record({
    ids: fc.integer({ min: 1, max: 9 }),
    text: fc.string({ maxLength: 2000 }),
    logprobs: fc.boolean(),
  }),
  { maxLength: 60 },
);

test('frames hold every piece once, in order, within the bounds of the protocol', () => {
  fc.assert(
    fc.property(fc.nat(50), sizes, fc.nat(60), (first, sizes, from) => {
      const deltas = pieces(first, sizes);
      const log = logOf(first, deltas);
      const start = deltas[from % (deltas.length + 1)]?.position ?? log?.endPosition ?? 0;
      const wanted = log && deltasFrom(log, start);
      const rest = deltas.filter(({ position }) => position >= start);
      expect(wanted).toEqual(rest);
      const frames = framesOf(jobId(1), rest);
      expect(frames.flatMap(({ ids }) => ids)).toEqual(rest.flatMap(({ ids }) => ids));
      expect(frames.map(({ text }) => text).join('')).toBe(rest.map(({ text }) => text).join(''));
      for (const frame of frames) {
        expect(v.safeParse(TextDeltaSchema, frame).success).toBe(true);
        expect(new TextEncoder().encode(JSON.stringify(frame)).length).toBeLessThan(
          limits.contributorFrameBytes,
        );
        expect(deltas.some(({ position }) => position === frame.position)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test('the end goes with the last frame', () => {
  const deltas: AnswerDelta[] = [
    { position: 0, ids: Array.from({ length: 100 }, () => 1), text: 'a' },
    { position: 100, ids: Array.from({ length: 100 }, () => 1), text: 'b', finishReason: 'stop' },
  ];
  expect(framesOf('job', deltas).map((frame) => frame.finishReason)).toEqual([undefined, 'stop']);
  expect(framesOf('job', deltas.slice(0, 1)).map((frame) => frame.finishReason)).toEqual([undefined]);
});

test.each([
  ['a gap', { position: 1, ids: [1], text: 'x' }],
  ['no ids', { position: 0, ids: [], text: 'x' }],
  ['more ids than a frame holds', { position: 0, ids: Array.from({ length: 513 }, () => 1), text: '' }],
  ['more text than a frame holds', { position: 0, ids: [1], text: 'x'.repeat(limits.textPerDelta + 1) }],
  ['more than the answer may have', { position: 0, ids: [1, 2, 3], text: 'x' }],
])('refused: %s', (_, delta) => {
  expect(appendDelta(emptyLog(0), delta, 2)).toBeUndefined();
});

test('a position inside a piece, before the first or after the last is nowhere', () => {
  const log = logOf(5, pieces(5, [{ ids: 3, text: 'x', logprobs: false }]));
  expect([4, 5, 6, 8, 9].map((position) => log && deltasFrom(log, position)?.length)).toEqual([
    undefined,
    1,
    undefined,
    0,
    undefined,
  ]);
});
