/** Reads an upstream's streamed completion. Of what it says, only text, counts and the reason of the end are taken. */
import type { IncomingMessage } from 'node:http';
import { EventTooLarge, SseParser } from '@tussah/client/sse';
import * as v from 'valibot';
import type { UpstreamEnd } from '../ports.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const ChunkSchema = v.object({
  choices: v.pipe(
    v.array(
      v.object({
        delta: v.optional(v.object({ content: v.nullish(v.string()) })),
        finish_reason: v.nullish(v.string()),
      }),
    ),
    v.maxLength(1),
  ),
  usage: v.nullish(v.object({ prompt_tokens: count, completion_tokens: count })),
});

const failed: UpstreamEnd = { how: 'failed', code: 'upstream_failed' };

export interface AnswerBounds {
  readonly pieces: number;
  readonly characters: number;
}

/** Rejects when the connection breaks. An answer beyond its bounds has failed. */
export async function readAnswer(
  response: IncomingMessage,
  onText: (text: string) => void,
  bounds: AnswerBounds,
): Promise<UpstreamEnd> {
  const parser = new SseParser();
  let pieces = 0;
  let characters = 0;
  let finish: string | undefined;
  let usage: v.InferOutput<typeof ChunkSchema>['usage'];
  try {
    for await (const part of response as AsyncIterable<Buffer>)
      for (const { data } of parser.push(part)) {
        if (data === '[DONE]') return endOf(finish, usage);
        const chunk = v.safeParse(ChunkSchema, parse(data));
        if (!chunk.success) return failed;
        const [choice] = chunk.output.choices;
        const text = choice?.delta?.content ?? '';
        characters += text.length;
        pieces += text === '' ? 0 : 1;
        if (characters > bounds.characters || pieces > bounds.pieces) return failed;
        if (text !== '') onText(text);
        finish = choice?.finish_reason ?? finish;
        usage = chunk.output.usage ?? usage;
      }
  } catch (error) {
    if (error instanceof EventTooLarge) return failed;
    throw error;
  } finally {
    response.destroy();
  }
  // The stream has to say that it is whole.
  return failed;
}

function endOf(finish: string | undefined, usage: v.InferOutput<typeof ChunkSchema>['usage']): UpstreamEnd {
  if ((finish !== 'stop' && finish !== 'length') || usage === undefined || usage === null) return failed;
  return {
    how: 'complete',
    finishReason: finish,
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
