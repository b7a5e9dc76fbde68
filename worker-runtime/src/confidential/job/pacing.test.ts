import { pacedChunkCount, payloadBytes } from '@tussah/client/sealing/padding';
import type { Padding } from '@tussah/protocol/private/header';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BEAT_MS,
  beatOf,
  isOver,
  startPacing,
  stepPacing,
  type Departure,
  type PacingEvent,
} from './pacing.ts';

interface Left extends Departure {
  readonly atMs: number;
}

/** Runs events at their times, with every beat in between, up to the end. */
function run(
  padding: Padding,
  events: readonly { readonly atMs: number; readonly event: PacingEvent }[],
): Left[] {
  let pacing = startPacing(padding);
  const left: Left[] = [];
  const at = (event: PacingEvent, atMs: number) => {
    const step = stepPacing(pacing, event, atMs);
    pacing = step.pacing;
    left.push(...step.departures.map((departure) => ({ ...departure, atMs })));
  };
  const beatsUntil = (endMs: number) => {
    for (let beat = beatOf(pacing); beat !== null && beat < endMs; beat = beatOf(pacing))
      at({ type: 'time' }, beat);
  };
  for (const { atMs, event } of events) {
    beatsUntil(atMs);
    at(event, atMs);
  }
  beatsUntil(Number.POSITIVE_INFINITY);
  expect(isOver(pacing)).toBe(true);
  return left;
}

const text = (atMs: number, value: string) => ({ atMs, event: { type: 'text', text: value } as const });
const finish = { finishReason: 'stop', promptTokens: 3, completionTokens: 2 } as const;
const end = (atMs: number) => ({ atMs, event: { type: 'end', end: { end: finish } } as const });
const textOf = (left: readonly Left[]) => left.map(({ payload }) => payload.text ?? '').join('');

describe.each(['none', 'buckets'] as const)('%s', (padding) => {
  it('lets everything leave as it comes, the end last', () => {
    const left = run(padding, [text(0, 'a'), text(27, 'bc'), end(59)]);
    expect(left.map(({ atMs, payload, last }) => [atMs, payload, last])).toEqual([
      [0, { text: 'a' }, false],
      [27, { text: 'bc' }, false],
      [59, { end: finish }, true],
    ]);
  });

  it('lets what comes faster than fifty times a second leave together', () => {
    const pieces = Array.from({ length: 1_000 }, (_, i) => text(i, 'x'));
    const left = run(padding, [...pieces, end(1_000)]);
    expect(textOf(left)).toBe('x'.repeat(1_000));
    expect(left).toHaveLength(51);
    expect(left[0]).toMatchObject({ atMs: 0, payload: { text: 'x' } });
    expect(left.every(({ atMs }, i) => atMs === 20 * i)).toBe(true);
  });

  it('waits for the other half of a character', () => {
    const [high, low] = ['\ud83d', '\ude00'];
    expect(
      run(padding, [text(0, `a${high}`), text(30, `${low}b`), end(60)]).map(({ payload }) => payload.text),
    ).toEqual(['a', '😀b', undefined]);
  });
});

it('none has the size of its payload, buckets the next multiple of 64', () => {
  const sizes = (padding: Padding) =>
    run(padding, [text(0, 'abc'), end(30)]).map((each) => each.plaintextBytes);
  expect(sizes('none')).toEqual([2 + payloadBytes({ text: 'abc' }), 2 + payloadBytes({ end: finish })]);
  expect(sizes('buckets')).toEqual([64, 128]);
});

describe('paced', () => {
  it('lets the first chunk leave at once, then one a beat, cover where there is nothing', () => {
    const left = run('paced', [text(40, 'a'), text(50, 'b'), text(60, 'c'), end(430)]);
    expect(left.slice(0, 5).map(({ atMs, payload }) => [atMs, payload])).toEqual([
      [40, { text: 'a' }],
      [140, { text: 'bc' }],
      [240, {}],
      [340, {}],
      [440, { end: finish }],
    ]);
    expect(left).toHaveLength(8);
    expect(left.at(-1)).toMatchObject({ payload: {}, last: true, atMs: 740 });
  });

  it('lets a backlog of more than two leave at once, and one of two at the beat', () => {
    const piece = 'x'.repeat(200);
    const two = run('paced', [text(0, 'a'), text(10, piece), text(20, piece), end(5_000)]);
    expect(two.filter(({ atMs }) => atMs === BEAT_MS)).toHaveLength(1);
    const many = run('paced', [text(0, 'a'), text(10, piece.repeat(5)), end(5_000)]);
    expect(many.filter(({ atMs }) => atMs === BEAT_MS).length).toBeGreaterThan(3);
  });

  it('puts the end with the last text where both fit', () => {
    const left = run('paced', [text(0, 'a'), text(1, 'b'), end(2)]);
    expect(left[1]?.payload).toEqual({ text: 'b', end: finish });
  });

  it('does not make up for beats that a busy process has missed', () => {
    const first = stepPacing(startPacing('paced'), { type: 'text', text: 'a' }, 0);
    const late = stepPacing(first.pacing, { type: 'time' }, 950);
    expect(late.departures).toHaveLength(1);
    expect(stepPacing(late.pacing, { type: 'time' }, 950).departures).toHaveLength(0);
  });
});

const padding = fc.constantFrom<Padding>('none', 'buckets', 'paced');
const deltas = fc.array(
  fc.tuple(
    fc.nat(300),
    fc.string({ unit: 'binary', maxLength: 400 }).filter((value) => value !== ''),
  ),
  { maxLength: 30 },
);

it('keeps the text, ends once and last, and under paced has one size and few possible numbers', () => {
  fc.assert(
    fc.property(padding, deltas, fc.nat(500), (padding, parts, pause) => {
      let atMs = 0;
      const events = parts.map(([delayMs, value]) => text((atMs += delayMs), value));
      const left = run(padding, [...events, end(atMs + pause)]);
      expect(textOf(left)).toBe(parts.map(([, value]) => value).join(''));
      expect(left.map(({ last }) => last)).toEqual(left.map((_, i) => i === left.length - 1));
      expect(left.filter(({ payload }) => payload.end !== undefined)).toHaveLength(1);
      const ended = left.findIndex(({ payload }) => payload.end !== undefined);
      expect(left.slice(ended + 1).every(({ payload }) => Object.keys(payload).length === 0)).toBe(true);
      if (padding !== 'paced') return;
      expect(left.every(({ plaintextBytes }) => plaintextBytes === 256)).toBe(true);
      expect(left).toHaveLength(pacedChunkCount(ended + 1));
      const times = [...new Set(left.map(({ atMs }) => atMs))];
      expect(times.slice(1).every((time, i) => time - (times[i] ?? 0) === BEAT_MS)).toBe(true);
    }),
  );
});

it('takes nothing after the end', () => {
  const ended = stepPacing(startPacing('none'), { type: 'end', end: { end: finish } }, 0).pacing;
  expect(() => stepPacing(ended, { type: 'text', text: 'more' }, 1)).toThrow('after the end');
});
