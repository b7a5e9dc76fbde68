import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FileHeads } from './file-heads.ts';
import { ask, clientOf, codeOf, network } from './testing/asking.ts';

function path(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tussah-heads-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'heads.json');
}

describe('heads in a file', () => {
  it('outlive the process, each coordinator by itself, with nothing left behind', async () => {
    const file = path();
    const { coordinator } = await network([{}, {}]);
    const head = await coordinator.head();
    const writer = new FileHeads(file);
    expect(await writer.load('a')).toBeUndefined();
    await Promise.all([writer.save('a', head), writer.save('b', head), writer.save('a', head)]);
    const reader = new FileHeads(file);
    expect(await reader.load('a')).toEqual(head);
    expect(await reader.load('b')).toEqual(head);
    expect(await reader.load('toString')).toBeUndefined();
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
