/**
 * Clients of a coordinator that is killed under them. Each asks numbered questions whose answers are known, and writes down
 * what it got: the resumable one through our own client, the others through OpenAI's.
 */
import OpenAI, { APIError } from 'openai';
import { streamChat } from '@tussah/client/chat-stream';
import type { Receipt } from '@tussah/protocol/receipts';
import { MODEL } from '../testing/harness.ts';
import { pause } from '../scripted-contributor.ts';

export type ClientKind = 'resumable' | 'stream' | 'repeated stream' | 'repeated once';

/** What one question came to. */
export interface Asked {
  readonly question: number;
  readonly kind: ClientKind;
  /** All text received; of a repeated stream, one for each time it was asked. */
  readonly texts: readonly string[];
  /** The one that came with the end of a whole answer. */
  readonly receipt: Receipt | null;
  /** The code of what ended it without a whole answer; `cut` for a broken connection. */
  readonly code: string | null;
  /** How often a connection was lost and the answer went on. */
  readonly resumed: number;
}

export interface Client {
  readonly url: string;
  readonly key: string;
}

export const textOf = (question: number): string => `Question ${question}: what do wild silk moths eat?`;

const messagesOf = (question: number) => [{ role: 'user' as const, content: textOf(question) }];

/** How long a client without pauses of its own waits after a failure. */
const AGAIN_MS = 50;

export async function askResumably({ url, key }: Client, question: number): Promise<Asked> {
  const kind = 'resumable';
  let text = '';
  let resumed = 0;
  const options = {
    baseURL: `${url}/v1`,
    apiKey: key,
    reconnecting: { baseMs: 50, capMs: 400, totalMs: 60_000, firstTotalMs: 60_000 },
  };
  for await (const event of streamChat({ model: MODEL, messages: messagesOf(question) }, options)) {
    if (event.type === 'text-delta') text += event.text;
    else if (event.type === 'resumed') resumed += 1;
    else if (event.type === 'finished')
      return { question, kind, texts: [text], receipt: event.receipt, code: null, resumed };
    else if (event.type === 'failed')
      return { question, kind, texts: [text], receipt: event.receipt, code: event.failure.code, resumed };
  }
  throw new Error('a stream without a last event');
}

/** A plain stream: when it is cut, that was it, and it takes a while until the next question. */
export async function askPlainly(client: Client, question: number): Promise<Asked> {
  const { text, receipt, code } = await streamOnce(client, question, undefined);
  if (code !== null) await pause(AGAIN_MS);
  return { question, kind: 'stream', texts: [text], receipt, code, resumed: 0 };
}

/** A plain stream that is asked again from the start, under the same key, until it comes whole or was charged already. */
export async function askAgainAndAgain(client: Client, question: number): Promise<Asked> {
  const texts: string[] = [];
  for (;;) {
    const { text, receipt, code } = await streamOnce(client, question, `stream-${question}`);
    texts.push(text);
    if (code === null || isSettled(code))
      return { question, kind: 'repeated stream', texts, receipt, code, resumed: 0 };
    await pause(AGAIN_MS);
  }
}

/** An answer in one piece, under a key, until it comes or was charged already. */
export async function askOnce({ url, key }: Client, question: number): Promise<Asked> {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
  const body = { model: MODEL, messages: messagesOf(question) };
  for (;;) {
    try {
      const answer = await openai.chat.completions.create(body, headersOf(`once-${question}`));
      const { receipt } = (answer as unknown as { tussah: { receipt: Receipt } }).tussah;
      const texts = [answer.choices[0]?.message.content ?? ''];
      return { question, kind: 'repeated once', texts, receipt, code: null, resumed: 0 };
    } catch (error) {
      const code = codeOf(error);
      if (isSettled(code))
        return { question, kind: 'repeated once', texts: [], receipt: null, code, resumed: 0 };
    }
    await pause(AGAIN_MS);
  }
}

async function streamOnce(
  { url, key }: Client,
  question: number,
  idempotencyKey: string | undefined,
): Promise<{ readonly text: string; readonly receipt: Receipt | null; readonly code: string | null }> {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
  let text = '';
  try {
    const stream = await openai.chat.completions.create(
      { model: MODEL, messages: messagesOf(question), stream: true },
      idempotencyKey === undefined ? {} : headersOf(idempotencyKey),
    );
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      const { tussah } = chunk as { tussah?: { receipt: Receipt } };
      if (tussah !== undefined) return { text, receipt: tussah.receipt, code: null };
    }
    return { text, receipt: null, code: 'cut' };
  } catch (error) {
    return { text, receipt: null, code: codeOf(error) };
  }
}

const headersOf = (idempotencyKey: string) => ({ headers: { 'idempotency-key': idempotencyKey } });

/** Written down as whole before the crash, but not said: it was charged, and is not kept. */
const isSettled = (code: string): boolean => code === 'idempotency_result_expired';

function codeOf(error: unknown): string {
  if (error instanceof APIError && typeof error.code === 'string') return error.code;
  // What fetch and the stream of its body throw when the connection breaks.
  if (error instanceof Error) return 'cut';
  throw new Error('not an error', { cause: error });
}
