import { describe, expect, it } from 'vitest';
import { speed } from './question.ts';

describe('the speed of an answer', () => {
  it('counts the tokens after the first over the time after the first text', () => {
    expect(speed(1000, [1200, 1300, 1700], 11)).toEqual({ ttftMs: 200, tokensPerSecond: 20 });
  });

  it('is over the whole time where the answer came nearly at once', () => {
    expect(speed(1000, [1499, 1500], 10)).toEqual({ ttftMs: 499, tokensPerSecond: 20 });
  });

  it('is nothing where nothing came', () => {
    expect(speed(1000, [], 0)).toEqual({ ttftMs: 0, tokensPerSecond: 0 });
  });
});
