/** The server behind the gateways, in a process of its own: OpenAI's streaming chat, one fixed answer, no model. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MODEL } from '../relay/load.ts';
import { sendBatches, setPacing, type Pacing } from './pacing.ts';

const common = JSON.stringify({
  id: 'chatcmpl-0123456789',
  object: 'chat.completion.chunk',
  created: 1_750_000_000,
  model: MODEL,
  system_fingerprint: 'upstream',
}).slice(0, -1);

const event = (delta: object, finishReason: 'stop' | null = null): string =>
  `data: ${common},"choices":${JSON.stringify([{ index: 0, delta, finish_reason: finishReason }])}}\n\n`;

async function answerTo(response: ServerResponse): Promise<void> {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  });
  await sendBatches(({ position, text }) => {
    const opening = position === 0 ? event({ role: 'assistant', content: '' }) : '';
    response.write(opening + event({ content: text }));
  });
  response.end(`${event({}, 'stop')}data: [DONE]\n\n`);
}

const server = createServer((request, response) => {
  request.resume().on('end', () => void answerTo(response));
});
// Gateways keep their connections; closing idle ones would race with their next request.
server.keepAliveTimeout = 600_000;
server.listen(0, '127.0.0.1', () =>
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
process.on('message', (pacing: Pacing) => setPacing(pacing));
process.on('disconnect', () => process.exit());
