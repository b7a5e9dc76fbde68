/** What can be seen of a sealed answer: sizes and times of its chunks, as the node's own pacing lets them leave. */
import { padmeBytes } from '@tussah/client/sealing/padding';
import type { Padding } from '@tussah/protocol/private/header';
import {
  beatOf,
  startPacing,
  stepPacing,
  type Pacing,
  type PacingEvent,
} from '@tussah/worker-runtime/confidential/job/pacing';
import type { Answering } from './prompts.ts';

const TAG_BYTES = 16;
/** Of the inner request beside the prompt. */
const INNER_BYTES = 330;

export interface Trace {
  readonly requestBytes: number;
  readonly chunks: readonly { readonly atMs: number; readonly bytes: number }[];
}

export function traceOf({ promptBytes, tokens }: Answering, padding: Padding): Trace {
  let pacing = startPacing(padding);
  const chunks: { atMs: number; bytes: number }[] = [];
  const step = (event: PacingEvent, nowMs: number): void => {
    const { departures, pacing: next } = stepPacing(pacing, event, nowMs);
    pacing = next;
    for (const { plaintextBytes } of departures)
      chunks.push({ atMs: nowMs, bytes: eventBytes(chunks.length, plaintextBytes + TAG_BYTES) });
  };
  for (const { atMs, text } of tokens) {
    beats(atMs, () => pacing, step);
    step({ type: 'text', text }, atMs);
  }
  const endMs = tokens.at(-1)?.atMs ?? 0;
  const counts = { promptTokens: Math.ceil(promptBytes / 4), completionTokens: tokens.length };
  step({ type: 'end', end: { end: { finishReason: 'stop', ...counts } } }, endMs);
  beats(Infinity, () => pacing, step);
  return { requestBytes: padmeBytes(INNER_BYTES + promptBytes) + TAG_BYTES, chunks };
}

/** All that leave before this time. */
function beats(
  untilMs: number,
  pacing: () => Pacing,
  step: (event: PacingEvent, nowMs: number) => void,
): void {
  for (let beatMs = beatOf(pacing()); beatMs !== null && beatMs < untilMs; beatMs = beatOf(pacing()))
    step({ type: 'time' }, beatMs);
}

/** A chunk as the coordinator sends it on. */
const eventBytes = (index: number, sealedBytes: number): number =>
  `data: {"type":"chunk","index":${index},"data":"","last":false}\n\n`.length +
  4 * Math.ceil(sealedBytes / 3);
