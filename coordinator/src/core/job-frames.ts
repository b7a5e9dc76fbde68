/** Frames about a job. Each function returns a sentence when the frame is a breach of the protocol. */
import { hashOfIds } from '@tussah/protocol/bytes';
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import { settleOrEnd } from './job-endings.ts';
import { enter } from './job-phases.ts';
import { endLease, loseLease, release, schedule } from './jobs.ts';
import type { Contributor, Job, Lease } from './state.ts';
import { note, type Turn } from './turn.ts';

type Frame<Type extends ContributorFrame['type']> = Extract<ContributorFrame, { type: Type }>;
type Breach = string | undefined;

/** The job a frame is about, if the sender holds its lease; `ended` when it lately did. */
function leased(
  turn: Turn,
  contributor: Contributor,
  jobId: string,
): { job: Job; lease: Lease } | 'ended' | undefined {
  const job = turn.state.jobs.get(jobId);
  if (contributor.jobId === jobId && job?.lease?.publicKey === contributor.publicKey)
    return { job, lease: job.lease };
  return contributor.endedJobs.includes(jobId) ? 'ended' : undefined;
}

const notYours = 'a frame about a job that this contributor does not hold';

export function onAccept(turn: Turn, contributor: Contributor, frame: Frame<'job-accept'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  const { job, lease } = held;
  if (job.phase !== 'offered') return 'accepted twice';
  enter(job, 'running');
  lease.acceptedAtMs = turn.atMs;
  lease.lastFrameMs = turn.atMs;
  note(turn, { kind: 'job-started', jobId: frame.jobId, model: job.request.model });
  schedule(turn, job);
  return undefined;
}

export function onDecline(turn: Turn, contributor: Contributor, frame: Frame<'job-decline'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  if (held.job.phase !== 'offered') return 'declined after accepting';
  loseLease(turn, held.job, 'failed', frame.reason, false);
  return undefined;
}

export function onDelta(turn: Turn, contributor: Contributor, frame: Frame<'text-delta'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  const { job, lease } = held;
  const fault = deltaFault(turn, job, frame);
  if (fault !== undefined) {
    loseLease(turn, job, 'refused', fault);
    return fault;
  }
  if (lease.ids.length === 0) lease.firstTokenMs = turn.atMs;
  if (job.ids.length === 0) job.ttftMs = turn.atMs - job.submittedAtMs;
  lease.lastFrameMs = turn.atMs;
  for (const id of frame.ids) {
    lease.ids.push(id);
    job.ids.push(id);
  }
  lease.text += frame.text;
  job.text.push(frame.text);
  turn.effects.push({ type: 'deliver', jobId: frame.jobId, text: frame.text, logprobs: frame.logprobs });
  return undefined;
}

function deltaFault(turn: Turn, job: Job, frame: Frame<'text-delta'>): Breach {
  if (job.phase !== 'running') return 'text before the job was accepted or after it was done';
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

export function onDone(turn: Turn, contributor: Contributor, frame: Frame<'job-done'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  const { job, lease } = held;
  if (job.phase !== 'running') return 'done before the job was accepted';
  const idsHash = hashOfIds(lease.ids);
  if (frame.tokens !== lease.ids.length || frame.idsHash !== idsHash) {
    loseLease(turn, job, 'refused', 'a signed count or hash that differs from what was delivered');
    return 'a signed count or hash that differs from what was delivered';
  }
  lease.idsHash = idsHash;
  enter(job, 'checking');
  job.done = { finishReason: frame.finishReason, signature: frame.signature };
  turn.effects.push({
    type: 'check-segment',
    jobId: frame.jobId,
    publicKey: contributor.publicKey,
    signature: frame.signature,
    facts: {
      jobId: frame.jobId,
      contributor: contributor.publicKey,
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

export function onFailed(turn: Turn, contributor: Contributor, frame: Frame<'job-failed'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  if (held.job.phase === 'checking') return 'failed after it was done';
  loseLease(turn, held.job, 'failed', frame.code);
  return undefined;
}

/** The signature under a finished segment was checked. Returns whether the contributor may stay. */
export function onSegmentChecked(turn: Turn, jobId: string, publicKey: string, valid: boolean): boolean {
  const job = turn.state.jobs.get(jobId);
  if (
    job === undefined ||
    job.phase !== 'checking' ||
    job.lease?.publicKey !== publicKey ||
    job.done === null
  )
    return true;
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
  record.tokens += lease.ids.length;
  if (lease.ids.length === 0) return;
  contributor.ttftMs = smooth(contributor.ttftMs, lease.firstTokenMs - lease.acceptedAtMs);
  const seconds = (lease.lastFrameMs - lease.firstTokenMs) / 1000;
  // Shorter answers say nothing about speed.
  if (lease.ids.length >= 8 && seconds > 0)
    record.tokensPerSecond = smooth(record.tokensPerSecond, (lease.ids.length - 1) / seconds);
}
