import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attachToHost, formatContributeHash, readContributeHash, readSnapshot } from './host-bridge.ts';
import { initialView, present } from './present.ts';
import { initialState } from './session-state.ts';

const snapshot = present(
  { coordinatorUrl: 'http://x', model: 'tiny', engine: 'auto', wallet: null, ask: null },
  { ...initialView, failure: { code: 'a', message: 'A.', remedy: 'B.' } },
  initialState,
);

describe('the address', () => {
  test('carries every setting there and back', () => {
    const text = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' });
    const wallet = fc.stringMatching(/^[A-Za-z0-9_-]{48}$/);
    fc.assert(
      fc.property(
        fc.record({
          auto: fc.boolean(),
          model: fc.option(text),
          engine: fc.constantFrom('auto', 'webllm', 'wllama'),
          wallet: fc.option(wallet),
        }),
        (parameters) => {
          expect(readContributeHash(formatContributeHash(parameters))).toEqual({
            ok: true,
            value: parameters,
          });
        },
      ),
    );
  });

  test('an empty one has defaults; a bare auto starts', () => {
    expect(readContributeHash('')).toMatchObject({ value: { auto: false, model: null, engine: 'auto' } });
    expect(readContributeHash('#auto&model=m')).toMatchObject({ value: { auto: true, model: 'm' } });
  });

  test.each(['#engine=gpu', '#wallet=mine', '#model=', '#auto=yes'])('refused: %s', (hash) => {
    expect(readContributeHash(hash)).toMatchObject({ ok: false, failure: { code: 'bad_address' } });
  });
});

describe('snapshots', () => {
  test('cross as JSON', () => {
    expect(readSnapshot(JSON.stringify(snapshot))).toEqual(snapshot);
  });

  test.each([
    ['no text', 7],
    ['no JSON', '{'],
    ['another phase', JSON.stringify({ ...snapshot, phase: 'dancing' })],
    ['too long', JSON.stringify({ ...snapshot, sentence: 'x'.repeat(70_000) })],
  ])('ignored: %s', (_, json) => {
    expect(readSnapshot(json)).toBeUndefined();
  });

  test('the page reports each to a host, offers its controls, and takes them back', () => {
    const reported: string[] = [];
    let tell: (next: typeof snapshot) => void = () => {};
    const nothing = () => Promise.resolve();
    const contributor = {
      snapshot,
      subscribe(listener: typeof tell) {
        tell = listener;
        return () => {
          tell = () => {};
        };
      },
      pause() {},
      resume() {},
      finishThenStop: nothing,
      stop: nothing,
    };
    const target: Parameters<typeof attachToHost>[1] = { tussahHost: (json) => reported.push(json) };
    const detach = attachToHost(contributor, target);
    tell({ ...snapshot, jobsDone: 1 });
    expect(reported.map((json) => readSnapshot(json)?.jobsDone)).toEqual([0, 1]);
    expect(target.tussahContributor).toBeDefined();
    detach();
    tell(snapshot);
    expect(reported).toHaveLength(2);
    expect(target.tussahContributor).toBeUndefined();
  });
});
