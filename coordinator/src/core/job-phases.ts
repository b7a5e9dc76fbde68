/** The phases of a job, and what all files about jobs need. */
import type { CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import type { Contributor, Job, JobPhase, Pool } from './state.ts';
import type { Turn } from './turn.ts';

/** Which phase may follow which. Anything else is a bug of ours. */
export const jobTransitions: Readonly<Record<JobPhase, readonly JobPhase[]>> = {
  queued: ['offered', 'settling', 'ended'],
  offered: ['running', 'queued', 'settling', 'ended'],
  running: ['checking', 'queued', 'settling', 'ended'],
  checking: ['settling', 'queued'],
  settling: ['ended'],
  interrupted: ['queued', 'settling', 'ended'],
  ended: [],
};

export function enter(job: Job, phase: JobPhase): void {
  if (!jobTransitions[job.phase].includes(phase))
    throw new Error(`job ${job.request.id} can't go from ${job.phase} to ${phase}`);
  job.phase = phase;
}

export const poolOf = (turn: Turn, job: Job): Pool => {
  const pool = turn.state.pools.get(job.request.model);
  if (pool === undefined) throw new Error(`no pool for ${job.request.model}`);
  return pool;
};

export function send(turn: Turn, contributor: Contributor, frame: CoordinatorFrame): void {
  if (contributor.connectionId !== null)
    turn.effects.push({ type: 'send', connectionId: contributor.connectionId, frame });
}
