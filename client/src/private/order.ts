/** The order of candidates is the client's: each one passed by has refused under its own key, or has left the directory since. */
import { ok, type Result } from '@tussah/protocol/errors';
import { isProven } from '@tussah/protocol/private/directory-heads';
import type { Departure, Skip } from '@tussah/protocol/private/sealed-events';
import { verifyRefusal } from '@tussah/protocol/private/sign-statements';
import type { RefusalCode, SignedRefusal } from '@tussah/protocol/private/statements';
import type { DirectoryHead } from '@tussah/protocol/private/directory';
import type { Directory } from './directory.ts';
import { refusedWith } from './failures.ts';
import type { SealedJob } from './job.ts';
import type { VerifiedNode } from './nodes.ts';

/** Why a candidate did not take the job, proven. */
export type SkipReason = Exclude<RefusalCode, Tampered> | 'left';

/**
 * A node that has verified evidence says these only of a job that somebody has changed, sent twice or called off. They are its own word,
 * and no reason to pass it by: whoever can bring them about would choose among the candidates.
 */
const tampered = [
  'unopenable',
  'header_mismatch',
  'replayed',
  'cancelled',
] as const satisfies readonly RefusalCode[];
type Tampered = (typeof tampered)[number];
const isTampered = (code: RefusalCode): code is Tampered => tampered.some((each) => each === code);

export interface OrderContext {
  readonly job: SealedJob;
  /** The head that the candidates were chosen from. */
  readonly chosenFrom: DirectoryHead;
  readonly directory: Directory;
  readonly signal: AbortSignal;
}

/** The reasons of the first candidates, in order; `order_ignored` unless each is proven. */
export async function checkSkips(
  skipped: readonly Skip[],
  context: OrderContext,
): Promise<Result<readonly SkipReason[]>> {
  const reasons: SkipReason[] = [];
  for (const [i, skip] of skipped.entries()) {
    const node = context.job.nodes[i];
    if (node === undefined) return refusedWith('order_ignored', 'more nodes passed by than there are');
    const reason = await ('refusal' in skip
      ? checkRefusal(skip, node, context)
      : checkDeparture(skip, node, context));
    if (!reason.ok) return reason;
    reasons.push(reason.value);
  }
  return ok(reasons);
}

async function checkRefusal(
  signed: SignedRefusal,
  node: VerifiedNode,
  { job }: OrderContext,
): Promise<Result<SkipReason>> {
  const { refusal } = signed;
  const { bundle, statement } = node;
  if (refusal.jobId !== job.header.jobId || refusal.bundle !== bundle)
    return refusedWith('order_ignored', 'the refusal is of another job or node');
  if (!(await verifyRefusal(statement.receiptKey, signed)))
    return refusedWith('order_ignored', 'the refusal is not signed by the node');
  if (isTampered(refusal.code)) return refusedWith(refusal.code);
  // The node has seen this job under another header.
  return refusal.headerHash === job.headerHash ? ok(refusal.code) : refusedWith('unopenable');
}

async function checkDeparture(
  departure: Departure,
  node: VerifiedNode,
  { chosenFrom, directory, signal }: OrderContext,
): Promise<Result<SkipReason>> {
  const { head, entry, index } = departure;
  if (entry.kind !== 'left' || entry.bundle !== node.bundle)
    return refusedWith('order_ignored', "the entry is not this node's departure");
  if (index < chosenFrom.size) return refusedWith('order_ignored', 'the departure is older than the choice');
  if (!isProven(departure, head))
    return refusedWith('order_ignored', 'the departure is not in the directory');
  const taken = await directory.take(head, chosenFrom, signal);
  return taken.ok ? ok('left') : taken;
}
