/** Asks as OpenAI's own client does, and keeps what matters of the stream. */
import type OpenAI from 'openai';
import { MODEL } from '../network-under-test.ts';
import type { Body } from './requests.ts';

type Chunk = OpenAI.ChatCompletionChunk & { readonly tussah?: unknown };
export type Logprob = OpenAI.ChatCompletionTokenLogprob;

export interface Answer {
  readonly text: string;
  readonly finishReason: string | null;
  readonly logprobs: readonly Logprob[];
  /** It carries the receipt. */
  readonly lastChunk: Chunk;
}

export async function askStreaming(
  client: OpenAI,
  { question, ...settings }: Body,
  stop: string | null,
  onText: (text: string) => void,
): Promise<Answer> {
  const request: OpenAI.ChatCompletionCreateParamsStreaming = {
    model: MODEL,
    messages: [{ role: 'user', content: question }],
    stream: true,
    stream_options: { include_usage: true },
    stop,
    ...settings,
  };
  let text = '';
  let finishReason: string | null = null;
  let lastChunk: Chunk | undefined;
  const logprobs: Logprob[] = [];
  for await (const chunk of await client.chat.completions.create(request)) {
    const choice = chunk.choices[0];
    const piece = choice?.delta.content ?? '';
    text += piece;
    onText(piece);
    logprobs.push(...(choice?.logprobs?.content ?? []));
    finishReason = choice?.finish_reason ?? finishReason;
    lastChunk = chunk;
  }
  if (lastChunk === undefined) throw new Error('an empty stream');
  return { text, finishReason, logprobs, lastChunk };
}
