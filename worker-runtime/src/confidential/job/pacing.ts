/**
 * When which chunk of an answer leaves, as a pure machine: text comes in as the upstream writes it, payloads come out with
 * their number and time decided by the padding alone (docs/private-tier.md, The answer).
 */
import {
  chunkPlaintextBytes,
  pacedChunkCount,
  payloadBytes,
  splitText,
} from '@tussah/client/sealing/padding';
import type { Padding } from '@tussah/protocol/private/header';
import type { ChunkPayload } from '@tussah/protocol/private/inner-request';
import { privateLimits } from '@tussah/protocol/private/private-limits';

export const BEAT_MS = 100;
const SPACING_MS = privateLimits.chunkSpacingMs;
/** More chunks than these do not wait for the next beat. */
const BACKLOG_MAX = 2;

/** How the answer ends, as its last payload that is not cover says it. */
export type End = Pick<ChunkPayload, 'end' | 'failed'>;

export interface Pacing {
  readonly padding: Padding;
  /** Payloads that have not left yet. */
  readonly waiting: readonly ChunkPayload[];
  /** Half of a surrogate pair, whose other half is still to come. */
  readonly half: string;
  readonly ended: boolean;
  /** How many chunks there will be; known once the end has left. */
  readonly total: number | null;
  readonly sent: number;
  /** Before this nothing leaves, and under `paced` something does then; null before the first. */
  readonly beatMs: number | null;
}

export interface Departure {
  readonly payload: ChunkPayload;
  readonly plaintextBytes: number;
  readonly last: boolean;
}

export type PacingEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'end'; readonly end: End }
  | { readonly type: 'time' };

export interface PacingStep {
  readonly pacing: Pacing;
  readonly departures: readonly Departure[];
}

export const startPacing = (padding: Padding): Pacing => ({
  padding,
  waiting: [],
  half: '',
  ended: false,
  total: null,
  sent: 0,
  beatMs: null,
});

/** Everything has left. */
export const isOver = ({ sent, total }: Pacing): boolean => total !== null && sent >= total;

/** When to come again with `time`; null when nothing leaves by itself. */
export function beatOf(pacing: Pacing): number | null {
  const idle = pacing.padding !== 'paced' && pacing.waiting.length === 0;
  return idle || isOver(pacing) ? null : pacing.beatMs;
}

/** Throws when something comes after the end: that is a bug of whoever calls. */
export function stepPacing(pacing: Pacing, event: PacingEvent, nowMs: number): PacingStep {
  const next = take(pacing, event);
  return pacing.padding === 'paced' ? leavePaced(next, nowMs) : leaveAll(next, nowMs);
}

function take(pacing: Pacing, event: PacingEvent): Pacing {
  if (event.type === 'time') return pacing;
  if (pacing.ended) throw new Error(`${event.type} after the end`);
  if (event.type === 'end') {
    const flushed = addText(pacing, pacing.half);
    return { ...flushed, half: '', ended: true, waiting: addEnd(flushed, event.end) };
  }
  const text = pacing.half + event.text;
  const half = /[\ud800-\udbff]$/.exec(text)?.[0] ?? '';
  return { ...addText(pacing, text.slice(0, text.length - half.length)), half };
}

/** What waits is filled up first. */
function addText(pacing: Pacing, text: string): Pacing {
  if (text === '') return pacing;
  const { padding, waiting } = pacing;
  const open = waiting.at(-1)?.text ?? '';
  const pieces = splitText(padding, open + text).map((piece) => ({ text: piece }));
  return { ...pacing, waiting: [...waiting.slice(0, -1), ...pieces] };
}

/** With the last text where both fit. */
function addEnd({ padding, waiting }: Pacing, end: End): readonly ChunkPayload[] {
  const last = waiting.at(-1);
  const both = { ...last, ...end };
  return last !== undefined && fits(padding, both) ? [...waiting.slice(0, -1), both] : [...waiting, end];
}

function fits(padding: Padding, payload: ChunkPayload): boolean {
  try {
    return chunkPlaintextBytes(padding, payloadBytes(payload)) > 0;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** As it comes, but what comes too fast for the coordinator leaves together; the end is the last chunk. */
function leaveAll(pacing: Pacing, nowMs: number): PacingStep {
  const { waiting, ended, padding, beatMs } = pacing;
  if (waiting.length === 0 || (beatMs !== null && nowMs < beatMs)) return { pacing, departures: [] };
  const sent = pacing.sent + waiting.length;
  const departures = waiting.map((payload, i) =>
    departure(padding, payload, ended && i === waiting.length - 1),
  );
  const total = ended ? sent : null;
  return { pacing: { ...pacing, waiting: [], sent, total, beatMs: nowMs + SPACING_MS }, departures };
}

function leavePaced(pacing: Pacing, nowMs: number): PacingStep {
  const { waiting, beatMs, padding } = pacing;
  const due = beatMs === null ? waiting.length > 0 : nowMs >= beatMs;
  if (!due || isOver(pacing)) return { pacing, departures: [] };
  const count = waiting.length > BACKLOG_MAX ? waiting.length : 1;
  const payloads = waiting.length === 0 ? [{}] : waiting.slice(0, count);
  const sent = pacing.sent + payloads.length;
  const left = waiting.slice(payloads.length);
  const endLeft = pacing.ended && left.length === 0;
  const total = pacing.total ?? (endLeft ? pacedChunkCount(sent) : null);
  // Beats that a busy process has missed are not made up for.
  const next = Math.max((beatMs ?? nowMs) + BEAT_MS, nowMs + 1);
  return {
    pacing: { ...pacing, waiting: left, sent, total, beatMs: next },
    departures: payloads.map((payload, i) =>
      departure(padding, payload, total === sent && i === payloads.length - 1),
    ),
  };
}

const departure = (padding: Padding, payload: ChunkPayload, last: boolean): Departure => ({
  payload,
  plaintextBytes: chunkPlaintextBytes(padding, payloadBytes(payload)),
  last,
});
