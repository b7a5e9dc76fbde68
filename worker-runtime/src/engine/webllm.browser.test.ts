import { expect, test } from 'vitest';
import { ModelFiles } from './download.ts';
import { engineContract } from './contract.ts';
import { codeOf, never } from './contract-tools.ts';
import { tinyMlc, tinySubject } from './tiny-subject.ts';
import { WebllmEngine } from './webllm-adapter.ts';

engineContract('WebLLM', async () => ({
  ...(await tinySubject(await tinyMlc())),
  create: () => new WebllmEngine(),
  dispose: (port) => port.unload(),
  cutTokens: 10,
}));

test('without an adapter nothing is downloaded', async () => {
  const build = await tinyMlc();
  for (const gpu of [undefined, { requestAdapter: async () => null } as unknown as GPU]) {
    const seen: unknown[] = [];
    const engine = new WebllmEngine({ gpu });
    expect(await codeOf(engine.load(build, (step) => seen.push(step), never()))).toBe('webgpu_unavailable');
    expect(seen).toEqual([]);
  }
});

test('the weights are checked against the list where the build names no hash of them', async () => {
  const build = await tinyMlc();
  const index = build.files.find(({ role }) => role === 'index');
  const list = (await (await fetch(index?.url ?? '')).json()) as { records: { md5sum?: string }[] };
  for (const record of list.records) record.md5sum = '0'.repeat(32);
  const spoiled = new Blob([JSON.stringify(list)]);
  const store = new ModelFiles({
    fetch: async (url, init) => (url === index?.url ? new Response(spoiled) : fetch(url, init)),
    openCache: async () => null,
    pause: async () => {},
  });
  const files = build.files
    .filter(({ role }) => role !== 'weights')
    .map((file) => (file.role === 'index' ? { ...file, bytes: null, sha256: null } : file));
  const engine = new WebllmEngine({ files: store });
  expect(await codeOf(engine.load({ ...build, files }, () => {}, never()))).toBe('file_corrupt');
});
