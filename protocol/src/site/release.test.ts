import { describe, expect, it } from 'vitest';
import { changedPaths, readRelease, releaseLimits, textOfRelease } from './release.ts';
import { release } from './release-fixture.ts';

const text = (change: object) => JSON.stringify({ ...release(), ...change });
const canonical = textOfRelease(release());

describe('readRelease', () => {
  it('reads the text that was written, and knows it by its hash', () => {
    const read = readRelease(canonical);
    expect(read).toMatchObject({ ok: true, value: { release: release(), text: canonical } });
    const other = readRelease(textOfRelease(release({ version: '1.0.1' })));
    expect(read.ok && other.ok && read.value.sha256 !== other.value.sha256).toBe(true);
  });

  const file = release().files[0];
  it.each<[string, string]>([
    ['no JSON', '<!doctype html>'],
    ['the same with another order of members', JSON.stringify(release())],
    ['a space more', `${canonical} `],
    ['an unknown member', textOfRelease({ ...release(), more: 1 } as never)],
    ['another format', text({ format: 'tussah-release/2' })],
    ['no page', textOfRelease(release({}, ['service-worker.js']))],
    ['no service worker', textOfRelease(release({}, ['index.html']))],
    ['the same path twice', textOfRelease(release({ files: [...release().files, ...release().files] }))],
    ['paths out of order', textOfRelease(release({ files: release().files.toReversed() }))],
    ['more keys than anybody needs', textOfRelease(release({ keys: Array(17).fill('a'.repeat(64)) }))],
    ['a key that is none', textOfRelease(release({ keys: ['a'] }))],
  ])('refuses %s', (_, text) => {
    expect(readRelease(text)).toMatchObject({ ok: false, failure: { code: 'malformed_release' } });
  });

  it.each(['/a', '../a', 'a/../b', 'a/./b', 'a//b', 'a/', '.a', 'a\\b', 'a b', 'a?b', 'a#b', '%61', 'ä'])(
    'refuses the path %s',
    (path) => {
      const files = [...release().files, { ...file, path }].sort((a, b) =>
        (a.path ?? '') < (b.path ?? '') ? -1 : 1,
      );
      expect(readRelease(textOfRelease(release({ files } as never))).ok).toBe(false);
    },
  );

  it.each([-1, 0.5, releaseLimits.fileBytes + 1])('refuses a size of %d', (size) => {
    expect(readRelease(text({ files: release().files.map((file) => ({ ...file, size })) })).ok).toBe(false);
  });
});

describe('changedPaths', () => {
  it('names what is other, gone and new', () => {
    const after = release({
      files: release().files.map((f, i) => (i === 0 ? { ...f, sha256: 'b'.repeat(64) } : f)),
    });
    expect(changedPaths(release(), release())).toEqual([]);
    expect(changedPaths(release(), after)).toEqual(['index.html']);
    expect(changedPaths(release({}, ['a', 'index.html']), release({}, ['b', 'index.html']))).toEqual([
      'a',
      'b',
    ]);
  });
});
