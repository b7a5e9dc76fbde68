import type { DirectoryHead } from '@tussah/protocol/private/directory';
import { afterAll, expect, it } from 'vitest';
import { PrivateStore } from './private-store.ts';

const HOME = `https://${crypto.randomUUID()}.test/v1`;
const head = (size: number, atMs: number): DirectoryHead => ({
  coordinator: 'ab'.repeat(32),
  size,
  rootHash: 'cd'.repeat(32),
  atMs,
  signature: 'ef'.repeat(64),
});

afterAll(() => void indexedDB.deleteDatabase('tussah-private'));

it('keeps the newest head, whichever tab saves last', async () => {
  const [one, other] = [new PrivateStore(), new PrivateStore()];
  expect(await one.load(HOME)).toBeUndefined();
  await one.save(HOME, head(3, 300));
  expect(await other.load(HOME)).toEqual(head(3, 300));
  await Promise.all([one.save(HOME, head(5, 500)), other.save(HOME, head(4, 400))]);
  expect(await other.load(HOME)).toEqual(head(5, 500));
  await other.save(HOME, head(5, 600));
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
  await store.save(`${HOME}/bad`, { ...head(9, 900), size: -1 });
  await expect(store.load(`${HOME}/bad`)).rejects.toThrow('Expected >=0');
});
