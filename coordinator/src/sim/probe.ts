/** Tells the core what its shell never would, or what comes too late: it must refuse, and change nothing. */
import type { Receipt } from '@tussah/protocol/receipts';
import type { Effect, Event } from '../core/events.ts';
import { jobEvents, type JobEvent } from '../core/job-events.ts';
import type { JobRequest } from '../core/state.ts';
import { step } from '../core/step.ts';
import { codecs } from './language.ts';
import type { Surroundings } from './parts.ts';

/** Tries one pair of the table that is not legal, of a job there is, or of one there is not. */
export function probe(world: Surroundings): void {
  const { process, random } = world;
  if (process === null) return;
  const job = [...process.state.jobs.values()][random.below(process.state.jobs.size + 1)];
  const phase = job?.phase ?? 'ended';
  const name = random.pick(Object.keys(jobEvents[phase]) as JobEvent[]);
  const verdict = jobEvents[phase][name];
  const event = strayEvent(name, job?.request ?? null);
  if (event === undefined || verdict === 'legal') return;
  world.watch.coverage.record('job events', phase, name);
  let effects: readonly Effect[] | undefined;
  try {
    effects = step(process.state, { ...event, atMs: process.atMs }, codecs).effects;
  } catch {
    effects = undefined;
  }
  const quiet = effects?.every(({ type }) => type === 'resume-refused') ?? false;
  if (verdict === 'late' ? !quiet : effects !== undefined)
    world.complain(`the core did not take ${name} for a job that is ${phase} as ${verdict}`);
}

/** An event about a job, at no particular time; undefined for those that are not told from outside. */
function strayEvent(name: JobEvent, request: JobRequest | null): Event | undefined {
  const jobId = request?.id ?? 'job_unheard_of';
  switch (name) {
    case 'job-submitted':
      return request === null ? undefined : { type: name, request };
    case 'job-resumed': {
      const { flow, prompt, promptHash, stop } = request ?? nobodysRequest;
      return { type: name, resumption: { jobId, requestHash: '', flow, prompt, promptHash, stop, ids: [] } };
    }
    case 'job-abandoned':
      return { type: name, jobId, code: 'client_gone' };
    case 'segment-checked':
      return { type: name, jobId, publicKey: 'nobody', valid: true };
    case 'settled':
      // Nothing of the receipt may be read.
      return { type: name, jobId, receipt: {} as Receipt };
    case 'settlement-failed':
      return { type: name, jobId };
    case 'contributor-left':
    case 'deadline':
      return undefined;
    default:
      return name satisfies never;
  }
}

const nobodysRequest = { flow: '', prompt: { text: '', ids: [] }, promptHash: '', stop: [] };
