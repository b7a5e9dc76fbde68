/**
 * Time to the first token on both paths, each from the call of our client library to the text, in turns. Nobody thinks: the
 * contributor and the node's upstream answer at once. The node is the real one in a process of its own, and was verified before.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { streamChat } from '@tussah/client/chat-stream';
import { PrivateClient } from '@tussah/client/private/private-client';
import { scriptedServer } from '@tussah/worker-runtime/confidential/testing/scripted-server';
import { median, metric, type Metric } from '../harness.ts';
import { MODEL, requestBody } from '../relay/load.ts';
import type { Coordinator } from './coordinator-cpu.ts';
import { startNode, stopNode, type World } from './node.ts';

const PAIRS = 60;
const WARM_UP_PAIRS = 10;
/** Before each question: the books of the last one are being written. */
const REST_MS = 20;
const ADDED_MS_MAX = 15;
const TEXT = 'red blue green river';

/** In place of vLLM. */
function instantUpstream() {
  const event = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
  const choices = [{ index: 0, delta: { content: TEXT }, finish_reason: 'stop' }];
  const usage = { prompt_tokens: 36, completion_tokens: 4 };
  const text = `${event({ choices })}${event({ choices: [], usage })}data: [DONE]\n\n`;
  return scriptedServer({
    'GET /version': { version: '0.0.0' },
    'GET /v1/models': { data: [{ id: MODEL, max_model_len: 4_096 }] },
    'POST /tokenize': { count: 36 },
    'POST /v1/chat/completions': (response) => void response.writeHead(200).end(text),
  });
}

/** Reads an answer to its end; milliseconds until its first text. */
async function timed(events: AsyncIterable<{ readonly type: string }>): Promise<number> {
  const startMs = performance.now();
  let firstMs: number | undefined;
  let last = '';
  for await (const { type } of events) {
    if (type === 'text-delta') firstMs ??= performance.now() - startMs;
    last = type;
  }
  if (firstMs === undefined || last !== 'finished') throw new Error(`an answer ended with ${last}`);
  return firstMs;
}

/** There must be contributors that answer at once. */
export async function firstToken(
  { url, key }: Coordinator,
  world: World,
  say: (line: string) => void,
): Promise<Record<string, Metric>> {
  const upstream = await instantUpstream();
  const { address, port } = upstream.to;
  const node = await startNode(url, world, `http://${address}:${port}`);
  try {
    const options = { baseURL: `${url}/v1`, apiKey: key };
    const client = new PrivateClient({ ...options, policy: world.policy });
    const { messages } = requestBody;
    const question = { model: MODEL, messages: messages.map(({ role, content }) => ({ role, content })) };
    const open = () => timed(streamChat(question as Parameters<typeof streamChat>[0], options));
    const sealed = () => timed(client.chat(question as Parameters<typeof client.chat>[0]));
    const opens: number[] = [];
    const sealeds: number[] = [];
    for (let i = -WARM_UP_PAIRS; i < PAIRS; i++) {
      await pause(REST_MS);
      const openMs = await open();
      await pause(REST_MS);
      const sealedMs = await sealed();
      if (i < 0) continue;
      opens.push(openMs);
      sealeds.push(sealedMs);
    }
    const [floor, value] = [median(opens), median(sealeds)];
    say(`first token: public ${floor.toFixed(1)} ms, sealed ${value.toFixed(1)} ms`);
    return {
      'first token, verified, p50': metric(value, 'ms', {
        floor,
        target: `at most the public path + ${ADDED_MS_MAX} ms`,
        pass: value - floor <= ADDED_MS_MAX,
      }),
      'first token, added, p50': metric(value - floor, 'ms'),
    };
  } finally {
    await stopNode(node);
    await upstream.close();
  }
}
