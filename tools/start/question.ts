/** Asks one question over HTTP, as any client would, and checks the receipt that comes with the answer. */
import { fail, ok, type Failure, type Result } from '@tussah/protocol/errors';
import type { EngineName } from '@tussah/protocol/engine-profile';
import { verifyReceipt, type Receipt } from '@tussah/protocol/receipts';
import { measure } from '../../web/src/chat/answer.ts';
import { ask } from '../../web/src/chat/ask.ts';

export interface Question {
  readonly url: string;
  readonly text: string;
  readonly model: string;
  /** Public key that the receipt must be signed with. */
  readonly coordinator: string;
}

export interface Answered {
  readonly answer: string;
  readonly model: string;
  readonly build: string;
  readonly tier: 'public';
  readonly engine: EngineName;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
  readonly ttftMs: number;
  readonly tokensPerSecond: number;
  readonly receipt: Receipt;
}

/** `onText` gets the answer as it streams. */
export async function askQuestion(
  question: Question,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<Result<Answered>> {
  const request = {
    model: question.model,
    messages: [{ role: 'user', content: question.text }],
    tussah: { tier: 'public' },
  } as const;
  const options = {
    fetch: (path: string, init: RequestInit) => fetch(`${question.url}${path}`, init),
    apiKey: null,
    signal,
    now: () => performance.now(),
  };
  const askedAtMs = performance.now();
  const times: number[] = [];
  let answer = '';
  for await (const event of ask(request, options)) {
    switch (event.type) {
      case 'text-delta':
        times.push(event.atMs);
        answer += event.text;
        onText(event.text);
        break;
      case 'assigned':
        // Only the private tier says beforehand who will answer.
        break;
      case 'failed':
        return fail(event.failure);
      case 'stopped':
        return fail(interrupted);
      case 'finished':
        return check(
          question,
          answer,
          event.receipt,
          speed(askedAtMs, times, event.usage?.completion_tokens ?? 0),
        );
    }
  }
  return fail(noReceipt);
}

async function check(
  question: Question,
  answer: string,
  receipt: Receipt | null,
  measured: ReturnType<typeof speed>,
): Promise<Result<Answered>> {
  const segment = receipt?.segments.at(-1);
  if (receipt === null || segment === undefined) return fail(noReceipt);
  const verdict = await verifyReceipt(receipt, question.coordinator);
  const wrong = verdict.checks.filter((each) => !each.ok).map((each) => `${each.name}: ${each.detail}`);
  if (!verdict.valid)
    return fail({
      code: 'receipt_invalid',
      message: `The receipt ${receipt.id} does not hold: ${wrong.join('; ')}.`,
      remedy: 'Do not trust this coordinator; `npm run verify -- receipt FILE` checks it again.',
    });
  return ok({
    answer,
    model: receipt.model,
    build: segment.build,
    tier: 'public',
    engine: segment.profile.engine,
    usage: {
      prompt_tokens: receipt.usage.promptTokens,
      completion_tokens: receipt.usage.completionTokens,
    },
    ...measured,
    receipt,
  });
}

/** On the asker's clock. Where the text came nearly at once, too little time lies in it: the speed is over the whole. */
export function speed(
  askedAtMs: number,
  times: readonly number[],
  tokens: number,
): { readonly ttftMs: number; readonly tokensPerSecond: number } {
  const first = times[0] ?? askedAtMs;
  const last = times.at(-1) ?? askedAtMs;
  const whole = last - askedAtMs;
  const timing = { askedAtMs, firstAtMs: first, lastAtMs: last };
  const perSecond = measure(timing, tokens).tokensPerSecond ?? (whole > 0 ? (1000 * tokens) / whole : 0);
  return { ttftMs: round(first - askedAtMs), tokensPerSecond: round(perSecond) };
}

const round = (value: number): number => Math.round(value * 10) / 10;

export const interrupted: Failure<'interrupted'> = {
  code: 'interrupted',
  message: 'Interrupted before the end.',
  remedy: 'Run the command again.',
};

const noReceipt: Failure<'receipt_missing'> = {
  code: 'receipt_missing',
  message: 'The answer came without a receipt.',
  remedy: 'Ask again; look at the log of the coordinator if it stays so.',
};
