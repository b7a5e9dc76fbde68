/** Asks in the public tier and turns its stream into an answer's events. Expected failures are events; it does not throw. */
import { streamChat, type Reconnecting } from '@tussah/client/chat-stream';
import type { AnswerEvent } from './answer.ts';

export interface Question {
  readonly model: string;
  readonly messages: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[];
}

export interface AskOptions {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Null asks as a guest. */
  readonly apiKey: string | null;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Bounds other than the client's own. */
  readonly reconnecting?: Partial<Reconnecting>;
}

/** OpenAI's default of 1 suits models of their size; small ones wander off. This is what Llama and Qwen advise. */
export const TEMPERATURE = 0.6;

/** Yields text as it comes, over broken connections too, then exactly one of `finished`, `failed` and `stopped`. */
export async function* ask(
  question: Question,
  { now, ...options }: AskOptions,
): AsyncGenerator<AnswerEvent, void, void> {
  for await (const event of streamChat({ ...question, temperature: TEMPERATURE }, options)) {
    if (event.type === 'text-delta') yield { ...event, atMs: now() };
    else if (event.type === 'failed') yield { type: 'failed', failure: event.failure };
    else if (event.type === 'finished') yield { ...event, proof: null };
    // An answer that goes on looks as if nothing had happened.
    else if (event.type !== 'resumed') yield event;
  }
}
