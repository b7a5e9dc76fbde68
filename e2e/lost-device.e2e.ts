/** A browser whose GPU process dies while it contributes: the engine is started anew, and the next question is answered. */
import {
  formatContributeHash,
  readSnapshot,
  CONTRIBUTE_PATH,
} from '@tussah/worker-runtime/contributor/host-bridge';
import type { ContributorSnapshot } from '@tussah/worker-runtime/contributor/snapshot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MODEL, NetworkUnderTest } from './network-under-test.ts';

let network: NetworkUnderTest;
beforeAll(async () => {
  network = await NetworkUnderTest.start();
});
afterAll(async () => {
  await network.stop();
});

test('a lost GPU is recovered from', async () => {
  const browser = await network.browser();
  const context = await browser.newContext();
  const page = await context.newPage();
  const seen: ContributorSnapshot[] = [];
  await page.exposeFunction('tussahHost', (text: string) => {
    const snapshot = readSnapshot(text);
    if (snapshot !== undefined) seen.push(snapshot);
  });
  const hash = formatContributeHash({ auto: true, model: MODEL, engine: 'webllm', wallet: null });
  await page.goto(`${network.url}${CONTRIBUTE_PATH}${hash}`);
  const phase = () => seen.at(-1)?.phase;
  await expect.poll(phase, { timeout: 60_000 }).toBe('ready');
  const client = await network.client();
  const ask = async () => {
    const answer = await client.chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: 'What is 12 + 7?' }],
      temperature: 0,
      tussah: { maxWaitMs: 60_000 },
    } as never);
    return (answer as { choices: { message: { content: string } }[] }).choices[0]?.message.content;
  };
  expect(await ask()).toBe('12 + 7 = 19.');

  const before = seen.length;
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const gpu = processInfo.find(({ type }) => type.toLowerCase() === 'gpu');
  if (gpu === undefined) throw new Error('this browser has no GPU process');
  process.kill(gpu.id, 'SIGKILL');
  await expect
    .poll(() => seen.slice(before).some(({ phase }) => phase !== 'ready'), { timeout: 60_000 })
    .toBe(true);
  expect(await ask()).toBe('12 + 7 = 19.');
  expect(seen.at(-1)?.engine).toBe('webllm');
}, 150_000);
