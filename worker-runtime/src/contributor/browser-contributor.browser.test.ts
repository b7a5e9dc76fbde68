/** The contributor as a tab runs it: the catalogue's bundled model, a real engine, a real key; only the socket is scripted. */
import { hashOfIds } from '@tussah/protocol/bytes';
import type { ContributorFrame, CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import { segmentStatement } from '@tussah/protocol/receipts';
import { domains, verifySignature } from '@tussah/protocol/signatures';
import { afterAll, expect, test } from 'vitest';
import { chat, tinyCodec } from '../engine/tiny-subject.ts';
import { InferenceClient } from '../engine/inference-client.ts';
import { browserContributor } from './browser-contributor.ts';
import { memoryIdentities } from './identity.ts';
import type { SocketHandlers } from './ports.ts';
import { frames, jobId, welcome } from './session-fixtures.ts';

const sent: ContributorFrame[] = [];
let coordinator: SocketHandlers | undefined;
const say = (frame: CoordinatorFrame) => coordinator?.onMessage(JSON.stringify(frame));
const came = <Type extends ContributorFrame['type']>(type: Type) =>
  sent.find((frame): frame is Extract<ContributorFrame, { type: Type }> => frame.type === type);

const contributor = browserContributor(
  { coordinatorUrl: location.origin, model: 'tussah-tiny', engine: 'wllama', wallet: null, ask: null },
  {
    engineFor: () => new InferenceClient({ engine: 'wllama' }),
    agent: 'test/1',
    identities: memoryIdentities(),
    openSocket: (_, handlers) => {
      coordinator = handlers;
      queueMicrotask(() => handlers.onOpen());
      return { send: (text) => void sent.push(JSON.parse(text) as ContributorFrame), close: () => undefined };
    },
  },
);
afterAll(() => contributor.stop());

test('answers a job with the bundled model and signs it', async () => {
  await contributor.start();
  expect(contributor.snapshot).toMatchObject({ failure: null, engine: 'wllama', model: 'tussah-tiny' });
  say(frames.challenge);
  await expect.poll(() => came('hello'), { timeout: 10_000 }).toBeDefined();
  say(welcome(1));
  const ready = came('model-ready');
  expect(ready?.tokensPerSecond).toBeGreaterThan(1);
  const codec = await tinyCodec();
  const text = chat('What is 2 + 3?');
  const prompt = { text, ids: codec.encode(text) };
  const { model = '', build = '' } = ready ?? {};
  say({ ...frames['job-offer'], model, build, prompt, maxTokens: 40 });
  await expect.poll(() => came('job-done'), { timeout: 30_000 }).toBeDefined();
  const deltas = sent.filter((frame) => frame.type === 'text-delta');
  const ids = deltas.flatMap((delta) => delta.ids);
  expect(deltas.map((delta) => delta.text).join('')).toContain('5');
  const done = came('job-done');
  expect(done).toMatchObject({ finishReason: 'stop', tokens: ids.length, idsHash: hashOfIds(ids) });
  const contributorKey = contributor.snapshot.publicKey ?? '';
  const statement = segmentStatement({
    jobId: jobId(1),
    contributor: contributorKey,
    model,
    build,
    seedRoot: 'root',
    promptHash: hashOfIds(prompt.ids),
    firstPosition: 0,
    tokens: ids.length,
    idsHash: hashOfIds(ids),
    end: 'stop',
  });
  expect(await verifySignature(contributorKey, domains.segment, statement, done?.signature ?? '')).toBe(true);
});
