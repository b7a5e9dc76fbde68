/** A conversation: its turns, what of them is sent, and how it outlives a reload in this tab's own storage. */
import { UsageSchema } from '@tussah/protocol/chat-response';
import { FailureSchema } from '@tussah/protocol/errors';
import { ReceiptSchema } from '@tussah/protocol/receipts';
import { FinishReasonSchema, TierSchema, type Tier } from '@tussah/protocol/sampling';
import * as v from 'valibot';
import { MachineSchema, ProofSchema } from '../private/proof.ts';
import { isEnded, step, type Answer } from './answer.ts';
import type { Question } from './ask.ts';

export interface Turn {
  readonly id: number;
  readonly question: string;
  readonly model: string;
  readonly tier: Tier;
  /** The turns before this one are not sent any more. */
  readonly fresh: boolean;
  readonly answer: Answer;
}

/** Whether a question of this tier has to leave all earlier turns behind. */
export const partsWith = (turns: readonly Turn[], tier: Tier): boolean =>
  tier === 'public' && turns.at(-1)?.tier === 'private';

/**
 * What is sent for the last turn: the answered turns since the last fresh one, and the last question. A public question never
 * takes along what was asked or answered in private, nor anything before it.
 */
export function messagesOf(turns: readonly Turn[]): Question['messages'] {
  const start = Math.max(
    0,
    turns.findLastIndex((turn) => turn.fresh),
    turns.at(-1)?.tier === 'private' ? 0 : turns.findLastIndex((turn) => turn.tier === 'private') + 1,
  );
  return turns.slice(start).flatMap(({ question, answer }, i, sent) => {
    const asks = { role: 'user', content: question } as const;
    if (i === sent.length - 1) return [asks];
    return answer.text === '' ? [] : [asks, { role: 'assistant', content: answer.text } as const];
  });
}

const at = v.nullable(v.number());
const TimingSchema = v.object({ askedAtMs: v.number(), firstAtMs: at, lastAtMs: at });
const common = {
  text: v.string(),
  timing: TimingSchema,
  jobId: v.nullable(v.string()),
  machines: v.array(MachineSchema),
};
const AnswerSchema = v.variant('phase', [
  v.object({ ...common, phase: v.literal('waiting') }),
  v.object({ ...common, phase: v.literal('streaming') }),
  v.object({ ...common, phase: v.literal('stopped') }),
  v.object({
    ...common,
    phase: v.literal('done'),
    finishReason: FinishReasonSchema,
    usage: v.nullable(UsageSchema),
    receipt: v.nullable(ReceiptSchema),
    proof: v.nullable(ProofSchema),
  }),
  v.object({
    ...common,
    phase: v.literal('failed'),
    failure: v.object({
      ...v.omit(FailureSchema, ['param']).entries,
      retryAfterSeconds: v.exactOptional(v.number()),
    }),
  }),
]);
const SavedSchema = v.object({
  version: v.literal(2),
  turns: v.array(
    v.object({
      id: v.number(),
      question: v.string(),
      model: v.string(),
      tier: TierSchema,
      fresh: v.boolean(),
      answer: AnswerSchema,
    }),
  ),
});

export const saved = (turns: readonly Turn[]): string => JSON.stringify({ version: 2, turns });

/** The turns of a saved conversation; none where it can't be read. An answer that was streaming is a stopped one. */
export function restored(text: string | null): readonly Turn[] {
  if (text === null) return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const parsed = v.safeParse(SavedSchema, value);
  if (!parsed.success) return [];
  return parsed.output.turns.map((turn) =>
    isEnded(turn.answer) ? turn : { ...turn, answer: step(turn.answer, { type: 'stopped' }) },
  );
}
