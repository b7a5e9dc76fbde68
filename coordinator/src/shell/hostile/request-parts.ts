/** What hostile requests are made of: honest ones. */
import type { Sending } from './raw-client.ts';

export interface HostileRequest extends Sending {
  readonly kind: string;
  /** A server may close without a word: the request was cut, or asks for a tunnel. */
  readonly silent?: boolean;
}

export interface Credentials {
  readonly key: string;
  readonly revokedKey: string;
  readonly model: string;
}

/** Every field a chat request may have, at values that are accepted together. */
export const wholeRequest = (model: string) => ({
  model,
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'text', text: 'What is 12 + 7?' }] },
    { role: 'assistant', content: 'x', refusal: null, annotations: [], tool_calls: [], audio: null },
    { role: 'user', content: 'And now?' },
  ],
  stream: true,
  stream_options: { include_usage: true, include_obfuscation: false },
  temperature: 0.7,
  top_p: 0.9,
  max_tokens: 12,
  max_completion_tokens: 12,
  stop: ['never', 'ever'],
  seed: 7,
  presence_penalty: 0.5,
  frequency_penalty: -0.5,
  logprobs: true,
  top_logprobs: 2,
  user: 'somebody',
  n: 1,
  response_format: { type: 'text' },
  tools: [],
  tool_choice: 'none',
  parallel_tool_calls: true,
  logit_bias: {},
  store: false,
  service_tier: 'auto',
  modalities: ['text'],
  tussah: {
    tier: 'public',
    maxPriceNano: '900000',
    maxTtftMs: 60_000,
    minTokensPerSecond: 0,
    maxWaitMs: 400,
  },
});
export const smallRequest = (model: string) => ({
  model,
  messages: [{ role: 'user', content: 'What is 12 + 7?' }],
  max_tokens: 8,
  tussah: { maxWaitMs: 400 },
});

export interface Head {
  method: string;
  path: string;
  version: string;
  headers: [string, string][];
}

export const render = ({ method, path, version, headers }: Head): string =>
  `${method} ${path} ${version}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;

export const CHAT = '/v1/chat/completions';
export const baseHeaders: [string, string][] = [
  ['host', 'localhost'],
  ['connection', 'close'],
];

export function chatHead(given: Credentials, body: Buffer): Head {
  return {
    method: 'POST',
    path: CHAT,
    version: 'HTTP/1.1',
    headers: [
      ...baseHeaders,
      ['authorization', `Bearer ${given.key}`],
      ['content-type', 'application/json'],
      ['content-length', String(body.length)],
    ],
  };
}
export const setHeader = (head: Head, name: string, value: string | undefined): void => {
  head.headers = head.headers.filter(([existing]) => existing !== name);
  if (value !== undefined) head.headers.push([name, value]);
};
/** A request with nothing wrong in it, for a contributor of at least this speed. */
export function plainRequest(given: Credentials, minTokensPerSecond: number): Sending {
  const tussah = { maxWaitMs: 400, minTokensPerSecond };
  const body = Buffer.from(JSON.stringify({ ...smallRequest(given.model), tussah }));
  return { parts: [Buffer.from(render(chatHead(given, body))), body] };
}
