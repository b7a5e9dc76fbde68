/**
 * What may happen to a job, and when. The core goes by these tables, and the simulator measures its reach by them; which
 * phase may follow which is in `job-phases.ts`.
 */
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import type { Contributor, Job, JobPhase, Lease, State } from './state.ts';

/** `legal` is acted on; `late` is about what has just ended, and means nothing; `illegal` is a breach, or a bug of ours. */
export type Verdict = 'legal' | 'late' | 'illegal';

export type JobFrame = Extract<
  ContributorFrame,
  { type: 'job-accept' | 'job-decline' | 'text-delta' | 'job-done' | 'job-failed' }
>;

/** What a contributor has to do with a job: it holds its lease in one of three phases, held it lately, or does not. */
export type Holding = 'offered' | 'running' | 'checking' | 'over' | 'none';

/** Frames about a job. An illegal one ends the connection. */
export const jobFrames: Readonly<Record<Holding, Readonly<Record<JobFrame['type'], Verdict>>>> = {
  offered: {
    'job-accept': 'legal',
    'job-decline': 'legal',
    'text-delta': 'illegal',
    'job-done': 'illegal',
    'job-failed': 'legal',
  },
  running: {
    'job-accept': 'illegal',
    'job-decline': 'illegal',
    'text-delta': 'legal',
    'job-done': 'legal',
    'job-failed': 'legal',
  },
  checking: {
    'job-accept': 'illegal',
    'job-decline': 'illegal',
    'text-delta': 'illegal',
    'job-done': 'illegal',
    'job-failed': 'illegal',
  },
  over: {
    'job-accept': 'late',
    'job-decline': 'late',
    'text-delta': 'late',
    'job-done': 'late',
    'job-failed': 'late',
  },
  none: {
    'job-accept': 'illegal',
    'job-decline': 'illegal',
    'text-delta': 'illegal',
    'job-done': 'illegal',
    'job-failed': 'illegal',
  },
};

export type JobEvent =
  | 'job-submitted'
  | 'job-resumed'
  | 'job-abandoned'
  | 'segment-checked'
  | 'settled'
  | 'settlement-failed'
  | 'contributor-left'
  | 'deadline';

/** Everything else that happens to a job; one that is not known is `ended`. What is illegal here is a bug of ours. */
export const jobEvents: Readonly<Record<JobPhase, Readonly<Record<JobEvent, Verdict>>>> = {
  queued: {
    'job-submitted': 'illegal',
    'job-resumed': 'late',
    'job-abandoned': 'legal',
    'segment-checked': 'illegal',
    settled: 'illegal',
    'settlement-failed': 'illegal',
    'contributor-left': 'illegal',
    deadline: 'legal',
  },
  offered: {
    'job-submitted': 'illegal',
    'job-resumed': 'late',
    'job-abandoned': 'legal',
    'segment-checked': 'illegal',
    settled: 'illegal',
    'settlement-failed': 'illegal',
    'contributor-left': 'legal',
    deadline: 'legal',
  },
  running: {
    'job-submitted': 'illegal',
    'job-resumed': 'late',
    'job-abandoned': 'legal',
    'segment-checked': 'illegal',
    settled: 'illegal',
    'settlement-failed': 'illegal',
    'contributor-left': 'legal',
    deadline: 'legal',
  },
  // Its end is known: whoever goes now is too late to change it.
  checking: {
    'job-submitted': 'illegal',
    'job-resumed': 'late',
    'job-abandoned': 'late',
    'segment-checked': 'legal',
    settled: 'illegal',
    'settlement-failed': 'illegal',
    'contributor-left': 'late',
    deadline: 'late',
  },
  settling: {
    'job-submitted': 'illegal',
    'job-resumed': 'late',
    'job-abandoned': 'late',
    'segment-checked': 'illegal',
    settled: 'legal',
    'settlement-failed': 'legal',
    'contributor-left': 'illegal',
    deadline: 'late',
  },
  interrupted: {
    'job-submitted': 'illegal',
    'job-resumed': 'legal',
    'job-abandoned': 'late',
    'segment-checked': 'illegal',
    settled: 'illegal',
    'settlement-failed': 'illegal',
    'contributor-left': 'illegal',
    deadline: 'legal',
  },
  ended: {
    'job-submitted': 'legal',
    'job-resumed': 'late',
    'job-abandoned': 'late',
    'segment-checked': 'late',
    settled: 'late',
    'settlement-failed': 'late',
    'contributor-left': 'late',
    deadline: 'late',
  },
};

/** Whether a known job takes an event; false when it is late. Throws where only a bug of ours can be the cause. */
export function takes(job: Job | undefined, event: JobEvent): job is Job {
  if (job === undefined) return false;
  const verdict = jobEvents[job.phase][event];
  if (verdict === 'illegal') throw new Error(`${event} for job ${job.request.id}, which is ${job.phase}`);
  return verdict === 'legal';
}

export type Held =
  | {
      readonly holding: Exclude<Holding, 'over' | 'none'>;
      readonly job: Job;
      readonly lease: Lease;
    }
  | { readonly holding: 'over' }
  | { readonly holding: 'none' };

/** What this contributor has to do with a job. */
export function heldBy(state: State, contributor: Contributor, jobId: string): Held {
  const job = state.jobs.get(jobId);
  if (contributor.jobId === jobId && job?.lease?.publicKey === contributor.publicKey) {
    const { phase: holding, lease } = job;
    if (holding === 'offered' || holding === 'running' || holding === 'checking')
      return { holding, job, lease };
  }
  return { holding: contributor.endedJobs.includes(jobId) ? 'over' : 'none' };
}
