/**
 * What may happen to a sealed job, and when. `legal` is acted on; `late` is about what has just ended, and means nothing;
 * `illegal` is a breach by the node, or a bug of ours.
 */
import type { NodeFrame } from '@tussah/protocol/private/node-frames';
import type { NodeConnection, PrivateState, SealedJob, SealedJobPhase } from './state.ts';

export type Verdict = 'legal' | 'late' | 'illegal';

export type SealedFrame = Extract<
  NodeFrame,
  { type: 'sealed-accept' | 'sealed-refuse' | 'sealed-delta' | 'sealed-done' }
>;

/** Which phase may follow which. Anything else is a bug of ours. */
export const sealedTransitions: Readonly<Record<SealedJobPhase, readonly SealedJobPhase[]>> = {
  placing: ['offered', 'ended'],
  offered: ['refusing', 'running', 'placing', 'cancelling', 'ended'],
  refusing: ['placing', 'ended'],
  running: ['closing', 'cancelling', 'ended'],
  closing: ['checking', 'cancelling', 'ended'],
  cancelling: ['checking', 'ended'],
  checking: ['settling', 'ended'],
  settling: ['ended'],
  ended: [],
};

/** What a node has to do with a job: it has it in one of these phases, had it lately, or does not. */
export type SealedHolding =
  | Extract<SealedJobPhase, 'offered' | 'refusing' | 'running' | 'closing' | 'cancelling' | 'checking'>
  | 'over'
  | 'none';

/** Frames about a job. An illegal one ends the connection. */
export const sealedFrames: Readonly<Record<SealedHolding, Readonly<Record<SealedFrame['type'], Verdict>>>> = {
  offered: {
    'sealed-accept': 'legal',
    'sealed-refuse': 'legal',
    'sealed-delta': 'illegal',
    'sealed-done': 'illegal',
  },
  refusing: {
    'sealed-accept': 'illegal',
    'sealed-refuse': 'illegal',
    'sealed-delta': 'illegal',
    'sealed-done': 'illegal',
  },
  running: {
    'sealed-accept': 'illegal',
    'sealed-refuse': 'illegal',
    'sealed-delta': 'legal',
    'sealed-done': 'illegal',
  },
  closing: {
    'sealed-accept': 'illegal',
    'sealed-refuse': 'illegal',
    'sealed-delta': 'illegal',
    'sealed-done': 'legal',
  },
  // What was under way when it was told to stop.
  cancelling: {
    'sealed-accept': 'late',
    'sealed-refuse': 'legal',
    'sealed-delta': 'late',
    'sealed-done': 'legal',
  },
  checking: {
    'sealed-accept': 'illegal',
    'sealed-refuse': 'illegal',
    'sealed-delta': 'illegal',
    'sealed-done': 'illegal',
  },
  over: {
    'sealed-accept': 'late',
    'sealed-refuse': 'late',
    'sealed-delta': 'late',
    'sealed-done': 'late',
  },
  none: {
    'sealed-accept': 'illegal',
    'sealed-refuse': 'illegal',
    'sealed-delta': 'illegal',
    'sealed-done': 'illegal',
  },
};

export type SealedJobEvent =
  | 'sealed-job-submitted'
  | 'sealed-job-abandoned'
  | 'candidate-departed'
  | 'node-lost'
  | 'refusal-checked'
  | 'node-receipt-checked'
  | 'sealed-job-settled'
  | 'sealed-settlement-failed'
  | 'deadline';

const nothing: Readonly<Record<SealedJobEvent, Verdict>> = {
  'sealed-job-submitted': 'illegal',
  'sealed-job-abandoned': 'late',
  'candidate-departed': 'late',
  'node-lost': 'late',
  'refusal-checked': 'illegal',
  'node-receipt-checked': 'illegal',
  'sealed-job-settled': 'illegal',
  'sealed-settlement-failed': 'illegal',
  deadline: 'late',
};

/** Everything else that happens to a job; one that is not known is `ended`. What is illegal here is a bug of ours. */
export const sealedEvents: Readonly<Record<SealedJobPhase, Readonly<Record<SealedJobEvent, Verdict>>>> = {
  placing: {
    ...nothing,
    'sealed-job-abandoned': 'legal',
    'candidate-departed': 'legal',
    'node-lost': 'illegal',
    deadline: 'legal',
  },
  offered: { ...nothing, 'sealed-job-abandoned': 'legal', 'node-lost': 'legal', deadline: 'legal' },
  // The word that it waits for is on its way, whatever else happens.
  refusing: { ...nothing, 'sealed-job-abandoned': 'legal', 'refusal-checked': 'legal' },
  running: { ...nothing, 'sealed-job-abandoned': 'legal', 'node-lost': 'legal', deadline: 'legal' },
  closing: { ...nothing, 'sealed-job-abandoned': 'legal', 'node-lost': 'legal', deadline: 'legal' },
  cancelling: { ...nothing, 'node-lost': 'legal', deadline: 'legal' },
  checking: { ...nothing, 'node-receipt-checked': 'legal' },
  settling: { ...nothing, 'sealed-job-settled': 'legal', 'sealed-settlement-failed': 'legal' },
  ended: {
    ...nothing,
    'sealed-job-submitted': 'legal',
    'refusal-checked': 'late',
    'node-receipt-checked': 'late',
    'sealed-job-settled': 'late',
    'sealed-settlement-failed': 'late',
  },
};

/** Whether a known job takes an event; false when it is late. Throws where only a bug of ours can be the cause. */
export function takesSealed(job: SealedJob | undefined, event: SealedJobEvent): job is SealedJob {
  if (job === undefined) return false;
  const verdict = sealedEvents[job.phase][event];
  if (verdict === 'illegal') throw new Error(`${event} for sealed job ${job.id}, which is ${job.phase}`);
  return verdict === 'legal';
}

export type Held =
  | { readonly holding: Exclude<SealedHolding, 'over' | 'none'>; readonly job: SealedJob }
  | { readonly holding: 'over' | 'none' };

/** What this node has to do with a job. */
export function sealedHeldBy(tier: PrivateState, node: NodeConnection, jobId: string): Held {
  const job = tier.jobs.get(jobId);
  if (job !== undefined && node.jobs.has(jobId))
    switch (job.phase) {
      case 'offered':
      case 'refusing':
      case 'running':
      case 'closing':
      case 'cancelling':
      case 'checking':
        return { holding: job.phase, job };
      case 'placing':
      case 'settling':
      case 'ended':
        throw new Error(`a node holds job ${jobId}, which is ${job.phase}`);
      default:
        job.phase satisfies never;
    }
  return { holding: node.endedJobs.has(jobId) ? 'over' : 'none' };
}
