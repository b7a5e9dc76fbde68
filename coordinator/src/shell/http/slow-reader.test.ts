/** Clients that read slowly or not at all. Log probabilities make answers of many megabytes out of few tokens. */
import { expect, it, vi } from 'vitest';
import { collect, MODEL, piecesOf, startNetwork } from '../testing/harness.ts';
import { openSocket } from '../testing/raw-http.ts';

vi.mock(import('@tussah/models/catalogue'), async (original) => {
  const actual = await original();
  const catalogue = actual.catalogue.map((model) => ({ ...model, capabilities: ['logprobs' as const] }));
  return { ...actual, catalogue, modelById: (id) => catalogue.find((model) => model.id === id) };
});

/** As large as a token's log probability may be: four of them nearly fill a frame. */
const probability = { token: 'x'.repeat(512), logprob: -1, bytes: Array.from({ length: 512 }, () => 200) };
const wide = { ...probability, top_logprobs: Array.from({ length: 5 }, () => probability) };
const IN_A_FRAME = 4;
const widePieces = (frames: number, delayMs = 1) => {
  const single = piecesOf('a'.repeat(IN_A_FRAME));
  const piece = { ids: single.flatMap(({ ids }) => ids), text: single.map(({ text }) => text).join('') };
  const logprobs = piece.ids.map(() => wide);
  return Array.from({ length: frames }, () => ({ ...piece, logprobs, delayMs }));
};
const body = { logprobs: true, messages: [{ role: 'user', content: 'x' }] };

it('that stops reading is left after a bounded number of bytes; others are served', async () => {
  const network = await startNetwork();
  const contributor = await network.contribute(() => widePieces(220));
  const socket = openSocket(network.url);
  const text = JSON.stringify({ ...body, model: MODEL, stream: true });
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
  );
  socket.pause();
  await contributor.frame('job-cancel');
  const settled = await contributor.frame('job-settled');
  // What the sockets of both sides hold, and 1 MiB of ours.
  expect(settled.tokens).toBeLessThan(800);
  await network.logged('job-ended', (line) => line['outcome'] === 'cancelled');
  const other = await network.contribute(() => piecesOf('19.'), {
    ask: { promptNanoPerMillion: '1', completionNanoPerMillion: '1' },
  });
  expect((await collect(await network.chat({ stream: true }))).text).toBe('19.');
  expect(other.offers).toHaveLength(1);
  socket.destroy();
}, 15_000);

it('that asks for a finished answer again gets all of it, however large', async () => {
  const network = await startNetwork();
  await network.contribute(() => widePieces(60, 0));
  const options = { headers: { 'idempotency-key': 'large' } };
  const first = await network.answer(body, options);
  const again = await network.chat({ ...body, stream: true }, options);
  expect(await collect(again)).toMatchObject({
    text: first.choices[0]?.message.content,
    finishReason: 'stop',
    tussah: first.tussah,
  });
});
