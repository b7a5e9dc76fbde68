import { expect, test } from 'vitest';
import { ModelFiles } from './download.ts';
import { codeOf, collect, jobFor, never } from './contract-tools.ts';
import { tinyMlc, tinySubject } from './tiny-subject.ts';
import { WebllmEngine } from './webllm-adapter.ts';

// The engine contract runs against it behind the worker: inference-client.browser.test.ts.

test('it is WebLLM that answers: the GPU is given work, and no other engine’s files are fetched', async () => {
  const build = await tinyMlc();
  const { codec, prompts } = await tinySubject(build);
  const { prototype } = GPUQueue;
  const submit = Object.getOwnPropertyDescriptor(prototype, 'submit') as { value: GPUQueue['submit'] };
  let submits = 0;
  prototype.submit = function (...buffers) {
    submits += 1;
    return submit.value.apply(this, buffers);
  };
  // From the network, not from what another test left in the cache.
  const files = new ModelFiles({
    fetch: (url, init) => fetch(url, init),
    openCache: async () => null,
    pause: async () => {},
  });
  const engine = new WebllmEngine({ files });
  try {
    performance.clearResourceTimings();
    await engine.load(build, () => {}, never());
    const whileLoading = submits;
    const { ids, end } = await collect(engine.generate(jobFor(codec, prompts.plain), never()));
    expect(end).toBe('eog');
    // Each token is a pass over the model: at least one submission.
    expect(submits - whileLoading).toBeGreaterThanOrEqual(ids.length);
    const fetched = performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname);
    const models = fetched.filter((path) => path.startsWith('/models/'));
    expect(new Set(models)).toEqual(new Set(build.files.map(({ url }) => new URL(url).pathname)));
    expect(fetched.filter((path) => /gguf|wllama/.test(path))).toEqual([]);
  } finally {
    Object.defineProperty(prototype, 'submit', submit);
    await engine.unload();
  }
});

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
