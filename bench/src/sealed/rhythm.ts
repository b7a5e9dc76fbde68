/** How both paths of this bench send the same answer: when a contributor's tokens leave, and when a node's chunks do. */
import { setTimeout as pause } from 'node:timers/promises';

export interface Rhythm {
  /** One token after another, each awaited before it leaves. */
  readonly token: (position: number) => Promise<unknown> | undefined;
  readonly chunk: (index: number) => Promise<unknown> | undefined;
  /** Chunks of the sealed answer. */
  readonly chunks: number;
  /** Of a chunk's plaintext. */
  readonly plaintextBytes: number;
}

const nextTurn = (): Promise<void> => new Promise((done) => setImmediate(done));

const TOKENS = 64;
const bucketed = { chunks: TOKENS, plaintextBytes: 64 } as const;

/** One of each running answer in turn, as fast as they are taken. */
const full: Rhythm = { token: nextTurn, chunk: nextTurn, ...bucketed };

/** Four tokens each 25 ms, the rhythm of a contributor of 160 tokens a second. */
const fourAtOnce = (position: number) => (position > 0 && position % 4 === 0 ? pause(25) : undefined);
const inRhythm: Rhythm = { token: fourAtOnce, chunk: fourAtOnce, ...bucketed };

/** The default: 20 tokens a second, in chunks that leave each 100 ms whatever there is. 32 beats, and no cover after them. */
const paced: Rhythm = {
  token: (position) => (position > 0 ? pause(50) : undefined),
  chunk: (index) => (index > 0 ? pause(100) : undefined),
  chunks: TOKENS / 2,
  plaintextBytes: 256,
};

export const rhythms = { full, 'in rhythm': inRhythm, paced } as const;
