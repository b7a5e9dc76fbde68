/** The pieces of one answer as the engine made them, kept until its job is settled so that any of them can be sent again. */
import type { TextDeltaSchema } from '@tussah/protocol/contributor-frames';
import { limits } from '@tussah/protocol/limits';
import type { FinishReason, Logprob } from '@tussah/protocol/sampling';
import type * as v from 'valibot';

/** A piece of an answer: `ids` decode to exactly `text`; `position` is the first id's, over the whole answer. */
export interface AnswerDelta {
  readonly position: number;
  readonly ids: readonly number[];
  readonly text: string;
  readonly logprobs?: readonly Logprob[];
  /** With the last piece of the answer, where its end is known by then. */
  readonly finishReason?: FinishReason;
}

/** Newest first, so that appending shares everything that was there before. */
export interface DeltaLog {
  readonly firstPosition: number;
  readonly endPosition: number;
  readonly newest: Entry | null;
}
interface Entry {
  readonly delta: AnswerDelta;
  readonly before: Entry | null;
}

export const emptyLog = (firstPosition: number): DeltaLog => ({
  firstPosition,
  endPosition: firstPosition,
  newest: null,
});

/** The log with one more piece; undefined when the piece doesn't follow the last one or is larger than a frame may be. */
export function appendDelta(log: DeltaLog, delta: AnswerDelta, endBound: number): DeltaLog | undefined {
  const endPosition = delta.position + delta.ids.length;
  const fits =
    delta.position === log.endPosition &&
    delta.ids.length > 0 &&
    delta.ids.length <= limits.idsPerDelta &&
    delta.text.length <= limits.textPerDelta &&
    (delta.logprobs?.length ?? 0) <= limits.idsPerDelta &&
    endPosition <= endBound;
  if (!fits) return undefined;
  return { ...log, endPosition, newest: { delta, before: log.newest } };
}

/** The pieces from `position` on, oldest first; undefined when no piece begins there. */
export function deltasFrom(log: DeltaLog, position: number): AnswerDelta[] | undefined {
  if (position > log.endPosition || position < log.firstPosition) return undefined;
  const deltas: AnswerDelta[] = [];
  for (let entry = log.newest; entry !== null && entry.delta.position >= position; entry = entry.before)
    deltas.push(entry.delta);
  deltas.reverse();
  return (deltas[0]?.position ?? log.endPosition) === position ? deltas : undefined;
}

/** Bounds of one frame made of several pieces; far below the wire's own, so that its JSON stays under 64 KiB. */
export const merged = { ids: 128, textUnits: 4096, logprobs: 32 } as const;

type TextDelta = v.InferOutput<typeof TextDeltaSchema>;

/** As few `text-delta` frames as the bounds allow; a frame always ends where a piece ends. */
export function framesOf(jobId: string, deltas: readonly AnswerDelta[]): TextDelta[] {
  const frames: TextDelta[] = [];
  let open: { position: number; ids: number[]; text: string; logprobs: Logprob[] } | undefined;
  const close = () => {
    if (open === undefined) return;
    const { position, ids, text, logprobs } = open;
    const given = logprobs.length === 0 ? {} : { logprobs };
    frames.push({ type: 'text-delta', jobId, position, ids, text, ...given });
    open = undefined;
  };
  for (const { position, ids, text, logprobs = [] } of deltas) {
    const full =
      open !== undefined &&
      (open.ids.length + ids.length > merged.ids ||
        open.text.length + text.length > merged.textUnits ||
        open.logprobs.length + logprobs.length > merged.logprobs);
    if (full) close();
    open ??= { position, ids: [], text: '', logprobs: [] };
    open.ids.push(...ids);
    open.text += text;
    open.logprobs.push(...logprobs);
  }
  close();
  const last = frames.at(-1);
  const finishReason = deltas.at(-1)?.finishReason;
  if (last !== undefined && finishReason !== undefined) last.finishReason = finishReason;
  return frames;
}
