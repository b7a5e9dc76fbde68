/** What `npm start` prints for people. */
import { formatTon } from '@tussah/protocol/money';
import type { Answered } from './question.ts';

/** Speed and receipt under an answer. */
export function answerReport(answered: Answered): string {
  const { model, build, engine, tier, usage, receipt } = answered;
  const tokens = receipt.segments.reduce((sum, segment) => sum + segment.tokens, 0);
  const pay = receipt.segments.reduce((sum, segment) => sum + BigInt(segment.payNano), 0n);
  return [
    `  ${model} on ${engine} (${build}), ${tier} tier`,
    `  first text after ${(answered.ttftMs / 1000).toFixed(2)} s, ${answered.tokensPerSecond} tokens/s`,
    `  receipt ${receipt.id}, verified`,
    `  ${usage.prompt_tokens} prompt and ${usage.completion_tokens} answer tokens billed (${tokens} delivered)`,
    `  ${formatTon(pay)} TON paid to the contributor, ${formatTon(BigInt(receipt.networkFeeNano))} TON network fee`,
  ].join('\n');
}

export const stayingReport = (url: string): string =>
  [
    `Site                ${url}`,
    `OpenAI base URL     ${url}/v1   (without a key, or with the key guest, you ask as a guest)`,
    'Stop                Ctrl-C',
  ].join('\n');
