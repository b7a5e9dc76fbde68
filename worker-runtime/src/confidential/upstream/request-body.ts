/** A private request as each kind of upstream wants it, and what each can't honour. */
import type { InnerRequest } from '@tussah/protocol/private/inner-request';
import type { UpstreamKind } from '../ports.ts';

const UINT32_MAX = 0xff_ff_ff_ff;

/** The first thing that this kind would not honour. */
export function unsupportedBy(kind: UpstreamKind, inner: InnerRequest): string | undefined {
  const { seed, messages, continuation } = inner;
  const assistantLast = messages.at(-1)?.role === 'assistant';
  if (assistantLast && (continuation !== null || kind === 'llama-server')) return 'messages';
  if (seed === null) return undefined;
  // SGLang reads it over unless it runs in its deterministic mode.
  if (kind === 'sglang') return 'seed';
  // llama.cpp takes 32 bits, and the largest number for "none".
  const bits32 = kind === 'llama-server' || kind === 'tussah-embedded';
  return bits32 && (seed < 0 || seed >= UINT32_MAX) ? 'seed' : undefined;
}

/** Body of `POST /v1/chat/completions`. */
export function completionBody(kind: UpstreamKind, model: string, inner: InnerRequest): object {
  const { maxTokens, sampling, stop, seed } = inner;
  return {
    model,
    ...promptOf(kind, inner),
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: maxTokens,
    temperature: sampling.temperature,
    top_p: sampling.topP,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    ...(stop.length === 0 ? {} : { stop }),
    ...(seed === null ? {} : { seed }),
    ...alone(kind, inner),
  };
}

/**
 * Cached prompts of others would show in the time to the first token. SGLang has no word for it in a request: the runbook
 * starts it without its cache.
 */
function alone(kind: UpstreamKind, { jobId }: InnerRequest): object {
  if (kind === 'vllm') return { cache_salt: jobId };
  return kind === 'llama-server' ? { cache_prompt: false } : {};
}

/** The messages, with the answer so far as the last one when it is to be gone on with. */
export function promptOf(kind: UpstreamKind, { messages, continuation }: InnerRequest): object {
  if (continuation === null) return { messages };
  const all = [...messages, { role: 'assistant', content: continuation.text }];
  // llama-server goes on with a last message of the assistant by itself.
  return kind === 'llama-server'
    ? { messages: all }
    : { messages: all, continue_final_message: true, add_generation_prompt: false };
}
