/** How an answer is sent, the same by the upstream and by the scripted contributors: in batches of tokens, in a rhythm. */
import { answer } from '../relay/load.ts';

export interface Pacing {
  /**
   * `full`: a batch of each running answer in turn, as fast as they are taken. `paced`: a batch each 25 ms, as contributors
   * send them. `held`: nothing after the first batch until this changes.
   */
  readonly rhythm: 'full' | 'paced' | 'held';
  /** The first token is always alone, since contributors send it at once. */
  readonly batchTokens: number;
}

/** At a batch each 25 ms, what a contributor of 40 tokens a second sends, and what most model servers send at any speed. */
export const oneToken = 1;
/** What one of 320 tokens a second sends. */
export const eightTokens = 8;
const BATCH_MS = 25;

export const pacingSettings = `${answer.length} tokens, one a batch unless it is said; in rhythm a batch each ${BATCH_MS} ms`;

/** From the first token to the last, in rhythm and one by one. */
export const ANSWER_MS = (answer.length - 1) * BATCH_MS;
export const answerText = answer.map(({ text }) => text).join('');

interface Batch {
  readonly position: number;
  readonly ids: number[];
  readonly text: string;
}

function batchesOf(tokens: number): readonly Batch[] {
  const starts = [0];
  for (let start = 1; start < answer.length; start += tokens) starts.push(start);
  return starts.map((position, i) => {
    const pieces = answer.slice(position, starts[i + 1]);
    return { position, ids: pieces.map(({ id }) => id), text: pieces.map(({ text }) => text).join('') };
  });
}

const now = {
  rhythm: 'full' as Pacing['rhythm'],
  batches: batchesOf(oneToken),
  changed: Promise.withResolvers<void>(),
};

export function setPacing({ rhythm, batchTokens }: Pacing): void {
  now.rhythm = rhythm;
  now.batches = batchesOf(batchTokens);
  now.changed.resolve();
  now.changed = Promise.withResolvers();
}

/** Resolves when the next batch of an answer may leave. */
async function pause(): Promise<void> {
  while (now.rhythm === 'held') await now.changed.promise;
  if (now.rhythm === 'paced') await new Promise((done) => setTimeout(done, BATCH_MS));
  else await new Promise((done) => setImmediate(done));
}

/** Sends an answer's batches in the rhythm of the moment. */
export async function sendBatches(send: (batch: Batch) => void): Promise<void> {
  for (const [i, batch] of now.batches.entries()) {
    if (i > 0) await pause();
    send(batch);
  }
}
