/** What `npm start` prints for people. */
import { formatTon } from '@tussah/protocol/money';
import type { AnsweredPrivately } from './private-question.ts';
import type { Answered } from './question.ts';

/** Speed and receipt under an answer. */
export const answerReport = (answered: Answered | AnsweredPrivately): string =>
  answered.tier === 'private' ? privateReport(answered) : publicReport(answered);

function publicReport(answered: Answered): string {
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

function privateReport(answered: AnsweredPrivately): string {
  const { model, attestation, node, usage, receipt } = answered;
  const simulated = attestation === 'simulated';
  return [
    `  ${model} on ${node.machine} with ${node.gpus.join(', ') || 'no GPU'}, image ${node.image}, private tier`,
    ...(simulated
      ? ['  SIMULATED: this machine proves nothing, and whoever runs it can read the question']
      : []),
    `  first text after ${(answered.ttftMs / 1000).toFixed(2)} s, ${answered.tokensPerSecond} tokens/s`,
    `  receipt ${receipt.id}, verified`,
    `  ${usage.prompt_tokens} prompt and ${usage.completion_tokens} answer tokens billed`,
    `  ${formatTon(BigInt(receipt.payNano))} TON paid to the node, ${formatTon(BigInt(receipt.networkFeeNano))} TON network fee`,
  ].join('\n');
}

/** `privateTier` says what became of the simulated node. */
export const stayingReport = (url: string, privateTier: string): string =>
  [
    `Site                ${url}`,
    `OpenAI base URL     ${url}/v1   (without a key, or with the key guest, you ask as a guest)`,
    `Private tier        ${privateTier}`,
    'Stop                Ctrl-C',
  ].join('\n');
