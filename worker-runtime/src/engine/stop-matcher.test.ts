import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StopMatcher } from './stop-matcher.ts';

/** Delivers as the matcher allows; returns what was delivered after each piece. */
function deliver(stops: readonly string[], earlier: string, pieces: readonly string[]) {
  const matcher = new StopMatcher(stops, earlier);
  const text = pieces.join('');
  const shown: string[] = [];
  let stopAt: number | null = null;
  for (const piece of pieces) {
    const state = matcher.push(piece);
    shown.push(text.slice(0, state.safe));
    stopAt = state.stopAt;
  }
  return { shown, stopAt, text };
}

describe('stop strings', () => {
  test('text that might become a stop string is held back and released when it does not', () => {
    expect(deliver(['END'], '', ['aE', 'N', 'x']).shown).toEqual(['a', 'a', 'aENx']);
  });

  test('the stop string and what follows is not delivered', () => {
    expect(deliver(['END'], '', ['one E', 'ND two'])).toMatchObject({ shown: ['one ', 'one '], stopAt: 4 });
  });

  test('a match may begin in what was delivered before', () => {
    expect(deliver(['stop'], 'st', ['o', 'p', '!'])).toMatchObject({ stopAt: 0, shown: ['', '', ''] });
  });

  test('a match that lies wholly in the earlier text is over', () => {
    expect(deliver(['stop'], 'stop', ['x']).stopAt).toBeNull();
  });

  test('the match that ends first wins, also inside a longer one', () => {
    expect(deliver(['abcd', 'bc'], '', ['abcd']).stopAt).toBe(1);
  });

  test('no stop strings hold nothing back', () => {
    expect(deliver([], 'x', ['a', 'b']).shown).toEqual(['a', 'ab']);
  });
});

const letters = (max: number) => fc.string({ unit: fc.constantFrom('a', 'b', 'é'), maxLength: max });

test('the result does not depend on how the text is cut, and nothing delivered is taken back', () => {
  fc.assert(
    fc.property(
      fc.array(letters(4), { maxLength: 3 }),
      letters(4),
      fc.array(letters(4), { minLength: 1, maxLength: 8 }),
      (stops, earlier, pieces) => {
        const cut = deliver(stops, earlier, pieces);
        const single = deliver(stops, earlier, [...cut.text]);
        const whole = deliver(stops, earlier, [cut.text]);
        if (cut.text !== '') expect(single.stopAt).toBe(whole.stopAt);
        expect(cut.stopAt).toBe(whole.stopAt);
        for (let i = 1; i < cut.shown.length; i++)
          expect(cut.shown[i]?.startsWith(cut.shown[i - 1] ?? '')).toBe(true);
        const end = cut.shown.at(-1) ?? '';
        for (const stop of stops) if (stop !== '') expect(end.includes(stop)).toBe(false);
        if (cut.stopAt === null) {
          const held = cut.text.length - end.length;
          const all = earlier + cut.text;
          const begins = (length: number) =>
            stops.some((stop) => stop.length > length && stop.startsWith(all.slice(-length)));
          const lengths = Array.from({ length: all.length }, (_, i) => i + 1);
          expect(held === 0 || lengths.some((length) => length >= held && begins(length))).toBe(true);
        }
      },
    ),
    { numRuns: 3000 },
  );
});
