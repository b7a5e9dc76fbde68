/** A short generation that warms the engine up and says how fast it is. */
import type { AnswerPort } from '../engine/answer-port.ts';
import { EngineError } from '../engine/port.ts';
import type { Clock } from './ports.ts';

export const warmUp = {
  /** Any text does: only the speed of going on matters. */
  text: 'Once upon a time',
  tokens: 24,
  /** A slow engine is measured by what it made within this, its first token at the least. */
  enoughMs: 5_000,
  /** Without a token by then, the engine is no use. */
  giveUpMs: 120_000,
} as const;

/**
 * Tokens a second after the first token; over everything when the engine made only one. Rejects with what the engine threw,
 * with the signal's reason, or with `engine_failed` where no token came.
 */
export async function measureSpeed(
  port: Pick<AnswerPort, 'generate' | 'promptOf'>,
  clock: Clock,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  const prompt = await port.promptOf(warmUp.text);
  const ending = new AbortController();
  const stop = () => ending.abort();
  signal.addEventListener('abort', stop, { once: true });
  let tooSlow = false;
  const cancel = clock.after(warmUp.giveUpMs, () => {
    tooSlow = true;
    stop();
  });
  const startMs = clock.nowMs();
  let tokens = 0;
  let firstMs: number | undefined;
  let lastMs = startMs;
  let firstTokens = 0;
  try {
    signal.throwIfAborted();
    const job = {
      prompt,
      prefix: { text: '', ids: [] },
      sampling: { temperature: 0, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
      maxTokens: warmUp.tokens,
      seedRoot: 'warm-up',
      topLogprobs: null,
    };
    for await (const event of port.generate(job, ending.signal)) {
      if (event.type === 'end') break;
      lastMs = clock.nowMs();
      tokens += event.ids.length;
      if (firstMs === undefined) {
        firstMs = lastMs;
        firstTokens = tokens;
      }
      if (lastMs - startMs >= warmUp.enoughMs) break;
    }
  } catch (error) {
    throw tooSlow ? noToken() : error;
  } finally {
    cancel();
    signal.removeEventListener('abort', stop);
  }
  if (tokens === 0) throw noToken();
  const later = tokens - firstTokens;
  const [count, elapsedMs] =
    later > 0 && firstMs !== undefined ? [later, lastMs - firstMs] : [tokens, lastMs - startMs];
  // Clocks of browsers are coarse: never divide by less than a millisecond.
  return Math.min(100_000, (count * 1000) / Math.max(1, elapsedMs));
}

const noToken = () =>
  new EngineError({
    code: 'engine_failed',
    message: 'The engine made no token in its warm-up.',
    remedy: 'Choose a smaller model or the other engine.',
  });
