import type { DirectoryHead } from '@tussah/protocol/private/directory';
import { afterAll, expect, it } from 'vitest';
import { PrivateStore } from './private-store.ts';

const HOME = `https://${crypto.randomUUID()}.test/v1`;
const head = (size: number, atMs: number): DirectoryHead => ({
  coordinator: 'ab'.repeat(32),
  size,
  rootHash: 'cd'.repeat(32),
  atMs,
  signature: `${size}${atMs}`.padStart(128, '0'),
});

afterAll(() => void indexedDB.deleteDatabase('tussah-private'));

it('keeps a head in the place of the one that it was compared with, and of no other', async () => {
  const [one, other] = [new PrivateStore(), new PrivateStore()];
  expect(await one.load(HOME)).toBeUndefined();
  expect(await one.save(HOME, head(3, 300), undefined)).toBe(true);
  expect(await other.load(HOME)).toEqual(head(3, 300));
  const saves = [one.save(HOME, head(5, 500), head(3, 300)), other.save(HOME, head(4, 400), head(3, 300))];
  expect(await Promise.all(saves)).toEqual([true, false]);
  expect(await other.load(HOME)).toEqual(head(5, 500));
  expect(await other.save(HOME, head(5, 600), head(5, 500))).toBe(true);
  expect(await one.load(HOME)).toEqual(head(5, 600));
  expect(await one.load('https://another.test/v1')).toBeUndefined();
  await other.forget(HOME);
  expect(await one.load(HOME)).toBeUndefined();
});

it('keeps settings, and forgets them', async () => {
  const store = new PrivateStore();
  await store.set('policy.own', '{"a":1}');
  expect(await new PrivateStore().get('policy.own')).toBe('{"a":1}');
  await store.set('policy.own', undefined);
  expect(await store.get('policy.own')).toBeUndefined();
});

it('rejects what is no head, so that a rollback does not go unseen', async () => {
  const store = new PrivateStore();
  await store.save(`${HOME}/bad`, { ...head(9, 900), size: -1 }, undefined);
  await expect(store.load(`${HOME}/bad`)).rejects.toThrow('Expected >=0');
});
