/** What nodes say about sealed jobs. Each function returns what is wrong with the frame, if anything is. */
import { priceToWire } from '@tussah/protocol/money';
import type { NodeRefusal, SignedNodeReceipt } from '@tussah/protocol/private/statements';
import { note, type Turn } from '../turn.ts';
import { sealedFrames, sealedHeldBy, type SealedFrame } from './job-tables.ts';
import { endSealed, enter, schedule } from './jobs.ts';
import type { Epoch, NodeConnection, SealedJob } from './state.ts';
import { effect } from './turn.ts';

type Frame<Type extends SealedFrame['type']> = Extract<SealedFrame, { type: Type }>;

const jobIdOf = (frame: SealedFrame): string => {
  if (frame.type === 'sealed-refuse') return frame.refusal.jobId;
  return frame.type === 'sealed-done' ? frame.node.receipt.jobId : frame.jobId;
};

export function onSealedFrame(turn: Turn, node: NodeConnection, frame: SealedFrame): string | undefined {
  if (frame.type === 'sealed-done' && frame.jobId !== frame.node.receipt.jobId)
    return 'sealed-done with the receipt of another job';
  const held = sealedHeldBy(turn.state.private, node, jobIdOf(frame));
  const verdict = sealedFrames[held.holding][frame.type];
  if (verdict === 'illegal') return `${frame.type} for a job that is ${held.holding}`;
  if (verdict === 'late' || !('job' in held)) return undefined;
  const { job } = held;
  if (job.epoch === null) throw new Error(`sealed job ${job.id} is ${job.phase} without an epoch`);
  switch (frame.type) {
    case 'sealed-accept':
      return accept(turn, job, job.epoch, frame);
    case 'sealed-refuse':
      return refuse(turn, job, job.epoch, frame);
    case 'sealed-delta':
      return deliver(turn, job, frame);
    case 'sealed-done':
      return finish(turn, job, job.epoch, frame.node);
    default:
      return frame satisfies never;
  }
}

function accept(turn: Turn, job: SealedJob, { bundle }: Epoch, frame: Frame<'sealed-accept'>): undefined {
  enter(turn, job, 'running');
  job.startedAtMs = turn.atMs;
  job.lastChunkMs = turn.atMs;
  job.request.body = '';
  effect(turn, {
    type: 'assign',
    jobId: job.id,
    candidate: job.candidate,
    responseNonce: frame.responseNonce,
    skipped: job.skipped,
  });
  note(turn, { kind: 'sealed-job-started', jobId: job.id, bundle });
  schedule(turn, job);
}

function refuse(
  turn: Turn,
  job: SealedJob,
  epoch: Epoch,
  { refusal, signature }: Frame<'sealed-refuse'>,
): string | undefined {
  // The client has gone: nobody will look at the refusal.
  if (job.phase === 'cancelling') {
    endSealed(turn, job, job.abandoned ?? 'internal');
    return undefined;
  }
  if (!isOf(job, epoch, refusal)) return 'a refusal of another job or bundle';
  enter(turn, job, 'refusing');
  const { receiptKey } = epoch;
  effect(turn, { type: 'check-refusal', jobId: job.id, receiptKey, signed: { refusal, signature } });
  return undefined;
}

const isOf = (
  job: SealedJob,
  epoch: Epoch,
  { jobId, headerHash, bundle }: NodeRefusal | SignedNodeReceipt['receipt'],
) => jobId === job.id && headerHash === job.request.headerHash && bundle === epoch.bundle;

function deliver(turn: Turn, job: SealedJob, frame: Frame<'sealed-delta'>): string | undefined {
  const { index, data, last } = frame;
  if (index !== job.chunks) return `chunk ${index} in the place of ${job.chunks}`;
  job.chunks += 1;
  job.lastChunkMs = turn.atMs;
  job.firstChunkMs ??= turn.atMs;
  effect(turn, { type: 'deliver-chunk', jobId: job.id, index, data, last });
  if (!last) return undefined;
  enter(turn, job, 'closing');
  schedule(turn, job);
  return undefined;
}

function finish(turn: Turn, job: SealedJob, epoch: Epoch, signed: SignedNodeReceipt): string | undefined {
  const wrong = wrongIn(signed, job, epoch);
  if (wrong !== undefined) return `a receipt with ${wrong}`;
  enter(turn, job, 'checking');
  job.receipt = signed;
  effect(turn, { type: 'check-node-receipt', jobId: job.id, receiptKey: epoch.receiptKey, signed });
  return undefined;
}

/** What a node's receipt may not say; its signature is checked after this. */
function wrongIn({ receipt }: SignedNodeReceipt, job: SealedJob, epoch: Epoch): string | undefined {
  const { header } = job.request;
  if (!isOf(job, epoch, receipt)) return 'another job, header or bundle';
  if (receipt.identity !== epoch.offer.identity) return 'another identity';
  if (receipt.model !== header.model) return 'another model';
  const price = priceToWire(epoch.price);
  if (
    receipt.price.promptNanoPerMillion !== price.promptNanoPerMillion ||
    receipt.price.completionNanoPerMillion !== price.completionNanoPerMillion
  )
    return 'another price';
  if (receipt.promptTokens > header.maxPromptTokens || receipt.completionTokens > header.maxTokens)
    return 'more tokens than the header allows';
  // What it sent after it was told to stop was not counted here.
  if (job.phase === 'closing' && receipt.chunks !== job.chunks) return 'another number of chunks';
  if (job.phase === 'closing' && receipt.outcome === 'cancelled')
    return 'a cancellation that nobody asked for';
  return undefined;
}
