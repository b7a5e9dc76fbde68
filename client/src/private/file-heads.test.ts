import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DirectoryHead } from '@tussah/protocol/private/directory';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FileHeads } from './file-heads.ts';
import { ask, clientOf, codeOf, network, NOW } from './testing/asking.ts';
import { random32 } from './testing/scripted-node.ts';

function path(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tussah-heads-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'heads.json');
}

describe('heads in a file', () => {
  it('outlive the process, each coordinator by itself, with nothing left behind', async () => {
    const file = path();
    const { coordinator } = await network([{}, {}]);
    const [one, two] = [await coordinator.head(1), await coordinator.head()];
    const [writer, other] = [new FileHeads(file), new FileHeads(file)];
    expect(await writer.load('a')).toBeUndefined();
    const saves = [writer.save('a', one, undefined), other.save('b', two, undefined)];
    expect(await Promise.all(saves)).toEqual([true, true]);
    const reader = new FileHeads(file);
    expect(await reader.load('a')).toEqual(one);
    expect(await reader.load('b')).toEqual(two);
    expect(await reader.load('toString')).toBeUndefined();
    expect(await other.save('a', two, undefined)).toBe(false);
    expect(await other.save('a', two, one)).toBe(true);
    expect(await writer.save('a', one, one)).toBe(false);
    expect(await reader.load('a')).toEqual(two);
    expect(readdirSync(join(file, '..'))).toEqual(['heads.json']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('show a rollback between two runs', async () => {
    const heads = new FileHeads(path());
    const { coordinator } = await network([{}, {}]);
    expect((await ask(clientOf(coordinator, { heads }))).last.type).toBe('finished');
    coordinator.cheats.head = () => coordinator.head(1);
    expect(await codeOf(clientOf(coordinator, { heads }))).toBe('directory_rolled_back');
  });

  it('are kept by one process at a time, and a lock that was left behind does not last', async () => {
    const file = path();
    const lock = `${file}.lock`;
    const { coordinator } = await network();
    const head = await coordinator.head();
    writeFileSync(lock, '');
    const saving = new FileHeads(file).save('a', head, undefined);
    const early = await Promise.race([saving, sleep(100, 'waiting')]);
    expect(early).toBe('waiting');
    const longAgo = new Date(Date.now() - 6_000);
    utimesSync(lock, longAgo, longAgo);
    expect(await saving).toBe(true);
    expect(readdirSync(join(file, '..'))).toEqual(['heads.json']);
  });

  it('of twenty writers at once are the newest', async () => {
    const file = path();
    const { coordinator } = await network();
    for (let i = 0; i < 20; i++)
      coordinator.append({ kind: 'left', atMs: NOW, bundle: random32(), reason: 'drained' });
    const heads = await Promise.all(Array.from({ length: 20 }, (_, i) => coordinator.head(i + 1)));
    const raise = async (head: DirectoryHead): Promise<void> => {
      const store = new FileHeads(file);
      for (;;) {
        const kept = await store.load('a');
        if ((kept?.size ?? 0) > head.size || (await store.save('a', head, kept))) return;
      }
    };
    await Promise.all(heads.map(raise));
    expect((await new FileHeads(file).load('a'))?.size).toBe(20);
  });

  it.each(['{', '{"version":2,"heads":{}}', '{"version":1,"heads":{"a":{}}}'])(
    'that can’t be understood are no reason to forget: %s',
    async (text) => {
      const file = path();
      writeFileSync(file, text);
      const { coordinator } = await network();
      expect(await codeOf(clientOf(coordinator, { heads: new FileHeads(file) }))).toBe('heads_unavailable');
      expect(coordinator.jobs).toEqual([]);
    },
  );
});
