import type { ModelObject } from '@tussah/protocol/network';
import { describe, expect, it } from 'vitest';
import { modelState, preferredModel, showAge, showCount } from './model-state.ts';

const model = (id: string, contributors: number, idle: number): ModelObject => ({
  id,
  object: 'model',
  created: 0,
  owned_by: 'tussah',
  tussah: {
    name: id,
    family: 'f',
    parameters: 1,
    contextTokens: 1,
    capabilities: [],
    licence: { name: 'l', url: 'https://example.com' },
    price: { promptNanoPerMillion: '1', completionNanoPerMillion: '1' },
    engines: ['wllama'],
    contributors,
    idle,
  },
});

describe('modelState', () => {
  it.each([
    [3, 2, 'ready', 'ready, 2 free'],
    [1, 0, 'busy', 'busy, 1 contributor at work'],
    [0, 0, 'unserved', 'nobody serves it now'],
  ])('%i contributors, %i free: %s', (contributors, idle, state, words) => {
    expect(modelState(model('a', contributors, idle))).toEqual({ state, words });
  });
});

describe('preferredModel', () => {
  const models = [model('none', 0, 0), model('busy', 2, 0), model('free', 1, 1)];
  it.each([
    ['the wanted one', models, 'none', 'none'],
    ['a free one', models, null, 'free'],
    ['a free one in place of one that is gone', models, 'gone', 'free'],
    ['a busy one before one that nobody serves', models.slice(0, 2), null, 'busy'],
    ['the first', models.slice(0, 1), null, 'none'],
    ['none of none', [], 'a', undefined],
  ])('is %s', (_, list, wanted, id) => {
    expect(preferredModel(list, wanted)).toBe(id);
  });
});

it.each([
  [690_000, '690k'],
  [1_230_000_000, '1.2B'],
  [135_000_000, '135M'],
  [4096, '4.1k'],
  [1024, '1k'],
  [512, '512'],
])('shows %i as %s', (count, text) => {
  expect(showCount(count)).toBe(text);
});

it.each([
  [0, '0 s'],
  [-50, '0 s'],
  [59_000, '59 s'],
  [61_000, '1 min'],
  [7_200_000, '2 h'],
  [172_800_000, '2 d'],
])('shows an age of %i ms as %s', (ms, text) => {
  expect(showAge(ms)).toBe(text);
});
