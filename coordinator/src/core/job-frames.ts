/** Frames about a job, as `job-events.ts` allows them. */
import { hashOfIds } from '@tussah/protocol/bytes';
import { onLeaseBegun } from './checkpoints.ts';
import { settleOrEnd } from './job-endings.ts';
import { heldBy, jobFrames, takes, type JobFrame } from './job-events.ts';
import { enter } from './job-phases.ts';
import { endLease, loseLease, release, schedule } from './jobs.ts';
import type { Contributor, Job, Lease } from './state.ts';
import { note, type Turn } from './turn.ts';

type Frame<Type extends JobFrame['type']> = Extract<JobFrame, { type: Type }>;

/** Acts on a frame; returns a sentence when it is a breach of the protocol. */
export function onJobFrame(turn: Turn, contributor: Contributor, frame: JobFrame): string | undefined {
  const held = heldBy(turn.state, contributor, frame.jobId);
  const verdict = jobFrames[held.holding][frame.type];
  if (verdict === 'late') return undefined;
  if (held.holding === 'over' || held.holding === 'none')
    return `${frame.type} about a job that this contributor does not hold`;
  if (verdict === 'illegal') return `${frame.type} about a job that is ${held.holding}`;
  const { job, lease } = held;
  switch (frame.type) {
    case 'job-accept':
      return onAccept(turn, job, lease);
    case 'job-decline':
      loseLease(turn, job, 'failed', frame.reason, false);
      return undefined;
    case 'text-delta':
      return onDelta(turn, job, lease, frame);
    case 'job-done':
      return onDone(turn, job, lease, frame);
    case 'job-failed':
      loseLease(turn, job, 'failed', frame.code);
      return undefined;
    default:
      return frame satisfies never;
  }
}

function onAccept(turn: Turn, job: Job, lease: Lease): undefined {
  enter(job, 'running');
  lease.acceptedAtMs = turn.atMs;
  lease.lastFrameMs = turn.atMs;
  note(turn, { kind: 'job-started', jobId: job.request.id, model: job.request.model });
  onLeaseBegun(turn, job);
  schedule(turn, job);
}

function onDelta(turn: Turn, job: Job, lease: Lease, frame: Frame<'text-delta'>): string | undefined {
  const fault = deltaFault(turn, job, frame);
  if (fault !== undefined) {
    loseLease(turn, job, 'refused', fault);
    return fault;
  }
  const first = lease.ids.length === 0;
  if (first) lease.firstTokenMs = turn.atMs;
  if (job.ids.length === 0) job.ttftMs = turn.atMs - job.submittedAtMs;
  lease.lastFrameMs = turn.atMs;
  for (const id of frame.ids) {
    lease.ids.push(id);
    job.ids.push(id);
  }
  lease.text += frame.text;
  job.text.push(frame.text);
  job.endSaid = frame.finishReason ?? null;
  // From now on there is less patience than there was for the prompt to be read.
  if (first) schedule(turn, job);
  const { jobId, position, ids, text, logprobs } = frame;
  turn.effects.push({ type: 'deliver', jobId, position, ids, text, logprobs });
  return undefined;
}

function deltaFault(turn: Turn, job: Job, frame: Frame<'text-delta'>): string | undefined {
  if (job.endSaid !== null) return 'text after the end of the answer';
  if (frame.position !== job.ids.length)
    return `text at position ${frame.position}, expected ${job.ids.length}`;
  if (job.ids.length + frame.ids.length > job.maxTokens) return 'more tokens than asked for';
  if (
    job.request.topLogprobs === null
      ? frame.logprobs !== undefined
      : (frame.logprobs?.length ?? 0) > frame.ids.length
  )
    return 'log probabilities that were not asked for';
  const text = turn.codecs.codecOf(job.request.model)?.textOf(frame.ids);
  return text === frame.text ? undefined : 'token ids that do not decode to the text';
}

function onDone(turn: Turn, job: Job, lease: Lease, frame: Frame<'job-done'>): string | undefined {
  const idsHash = hashOfIds(lease.ids);
  if (frame.tokens !== lease.ids.length || frame.idsHash !== idsHash) {
    loseLease(turn, job, 'refused', 'a signed count or hash that differs from what was delivered');
    return 'a signed count or hash that differs from what was delivered';
  }
  if (job.endSaid !== null && job.endSaid !== frame.finishReason) {
    loseLease(turn, job, 'refused', 'another end than was said with the last text');
    return 'another end than was said with the last text';
  }
  lease.idsHash = idsHash;
  enter(job, 'checking');
  job.done = { finishReason: frame.finishReason, signature: frame.signature };
  turn.effects.push({
    type: 'check-segment',
    jobId: frame.jobId,
    publicKey: lease.publicKey,
    signature: frame.signature,
    facts: {
      jobId: frame.jobId,
      contributor: lease.publicKey,
      model: job.request.model,
      build: lease.build,
      seedRoot: job.request.seedRoot,
      promptHash: job.request.promptHash,
      firstPosition: lease.firstPosition,
      tokens: lease.ids.length,
      idsHash,
      end: frame.finishReason,
    },
  });
  return undefined;
}

/** The signature under a finished segment was checked. Returns whether the contributor may stay. */
export function onSegmentChecked(turn: Turn, jobId: string, publicKey: string, valid: boolean): boolean {
  const job = turn.state.jobs.get(jobId);
  if (!takes(job, 'segment-checked') || job.lease === null || job.done === null) return true;
  if (!valid) {
    loseLease(turn, job, 'refused', 'a bad signature');
    return false;
  }
  const { lease, done } = job;
  const contributor = turn.state.contributors.get(publicKey);
  if (contributor !== undefined) rememberSuccess(turn, contributor, lease);
  endLease(turn, job, done.finishReason, done.signature);
  settleOrEnd(turn, job, { kind: 'complete', finishReason: done.finishReason });
  if (contributor !== undefined) release(turn, contributor, job);
  return true;
}

/** Smooths speed and time to the first token over jobs: a fifth of the new value each time. */
function rememberSuccess(turn: Turn, contributor: Contributor, lease: Lease): void {
  const { record } = contributor;
  const smooth = (old: number | null, now: number) => (old === null ? now : old + (now - old) / 5);
  contributor.failuresInRow = 0;
  record.jobsDone += 1;
  contributor.classed = false;
  record.tokens += lease.ids.length;
  if (lease.ids.length === 0) return;
  contributor.ttftMs = smooth(contributor.ttftMs, lease.firstTokenMs - lease.acceptedAtMs);
  const seconds = (lease.lastFrameMs - lease.firstTokenMs) / 1000;
  // Shorter answers say nothing about speed.
  if (lease.ids.length >= 8 && seconds > 0)
    record.tokensPerSecond = smooth(record.tokensPerSecond, (lease.ids.length - 1) / seconds);
}
