/** One job as the contributor that has it sees it, and the frames that it makes of it, true or not. */
import { canonicalText } from '@tussah/protocol/canonical';
import { hashOfIds } from '@tussah/protocol/bytes';
import type { ContributorFrame, CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import { segmentStatement } from '@tussah/protocol/receipts';
import { answerOf, signatureOf, textOf, type RightAnswer } from './language.ts';
import type { Lie } from './lies.ts';
import type { Random } from './random.ts';

export type Offer = Extract<CoordinatorFrame, { type: 'job-offer' }>;

export interface Work {
  readonly offer: Offer;
  readonly answer: RightAnswer;
  /** Well-formed nonsense instead of the right answer. */
  readonly forged: boolean;
  readonly first: number;
  /** Its own part of the answer. */
  readonly ids: number[];
  /** Its last frame; kept until the receipt, so that it can be sent again. */
  last: ContributorFrame | null;
}

export const workOn = (offer: Offer, forged: boolean): Work => ({
  offer,
  answer: answerOf(offer.seedRoot, hashOfIds(offer.prompt.ids), offer.build),
  forged,
  first: offer.prefix.ids.length,
  ids: [],
  last: null,
});

/** Makes the next tokens; false when there are no more after them. */
export function goOn({ offer, answer, forged, first, ids }: Work, tokens: number, random: Random): boolean {
  const end = Math.min(answer.length, offer.maxTokens);
  const from = first + ids.length;
  for (let position = from; position < Math.min(end, from + tokens); position++)
    ids.push(forged ? 1 + random.below(20) : answer.tokenAt(position));
  return first + ids.length < end;
}

/** What was made from `index` on, if anything. */
export function deltaOf({ offer, first, ids }: Work, index: number): ContributorFrame | undefined {
  const own = ids.slice(index);
  if (own.length === 0) return undefined;
  const logprob = { token: 'x', logprob: -1, bytes: null, top_logprobs: [] };
  return {
    type: 'text-delta',
    jobId: offer.jobId,
    position: first + index,
    ids: own,
    text: textOf(own) ?? '',
    // Who wants them may get them for a part.
    ...(offer.topLogprobs !== null && index % 2 === 0 ? { logprobs: own.map(() => logprob) } : {}),
  };
}

/** The end of its part, signed; `lie` says what of it is false. */
export function doneOf(
  { offer, answer, first, ids }: Work,
  publicKey: string,
  lie: Lie | null,
): ContributorFrame {
  const { jobId, model, build, seedRoot, maxTokens } = offer;
  const finishReason = answer.length < maxTokens ? 'stop' : 'length';
  const idsHash = hashOfIds(ids);
  const statement = segmentStatement({
    jobId,
    contributor: publicKey,
    model,
    build,
    seedRoot,
    promptHash: hashOfIds(offer.prompt.ids),
    firstPosition: first,
    tokens: ids.length,
    idsHash,
    end: finishReason,
  });
  return {
    type: 'job-done',
    jobId,
    finishReason,
    tokens: ids.length + (lie === 'count' ? 1 : 0),
    idsHash: lie === 'hash' ? hashOfIds([...ids, 1]) : idsHash,
    signature: lie === 'signature' ? 'forged' : signatureOf(publicKey, canonicalText(statement)),
  };
}

/** A false piece of the answer; some pass where so many tokens, or log probabilities, were asked for. */
export function falseDelta(work: Work, lie: Exclude<Lie, 'hash' | 'count' | 'signature'>): ContributorFrame {
  const position = work.first + work.ids.length;
  const frame = { type: 'text-delta' as const, jobId: work.offer.jobId, position, ids: [1], text: 'a' };
  switch (lie) {
    case 'ids':
      return { ...frame, ids: [0] };
    case 'text':
      return { ...frame, text: 'something else' };
    case 'position':
      return { ...frame, position: position + 1 };
    case 'too-many':
      return { ...frame, ids: Array.from({ length: 512 }, () => 1), text: 'a'.repeat(512) };
    case 'logprobs':
      return { ...frame, logprobs: [] };
    default:
      return lie satisfies never;
  }
}
