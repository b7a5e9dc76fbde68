/** What a person needs to know before sending in private, in one sentence. */
import { remedyOf } from '../chat/remedy.ts';
import { showPrice } from '../money/format.ts';
import { showAge } from '../network/model-state.ts';
import type { Readiness } from './desk-api.ts';

export interface Summary {
  readonly tone: 'ready' | 'simulated' | 'refused';
  readonly sentence: string;
  /** What to do where nothing can be sent. */
  readonly remedy: string | null;
}

/** Evidence that ends within this can end before an answer does. */
const endsSoonMs = 120_000;

/** `nowMs`: milliseconds since 1970. */
export function summaryOf(readiness: Readiness, nowMs: number): Summary {
  const nodes = current(readiness, nowMs);
  if (nodes.length === 0) return refused(readiness);
  const all = nodes.length + readiness.rejected.length;
  const count = `${nodes.length === all ? nodes.length : `${nodes.length} of ${all}`} ${machines(all)} verified`;
  const agoMs = nowMs - readiness.atMs;
  const ago = agoMs < 1500 ? 'just now' : `${showAge(agoMs)} ago`;
  const oldestMs = Math.max(...nodes.map((node) => nowMs - node.joinedAtMs));
  const endsMs = Math.min(...nodes.map((node) => node.notAfterMs)) - nowMs;
  const end = endsMs < endsSoonMs ? `, ends in ${showAge(endsMs)}` : '';
  return {
    tone: nodes.some((node) => node.simulated) ? 'simulated' : 'ready',
    sentence: `${count} ${ago}, evidence ${showAge(oldestMs)} old${end}.`,
    remedy: null,
  };
}

/** What is worth telling when it changes: no ages. */
export function newsOf(readiness: Readiness): string {
  const { tone, sentence, remedy } = summaryOf(readiness, readiness.atMs);
  if (tone === 'refused') return `${sentence} ${remedy ?? ''}`.trim();
  const all = readiness.nodes.length + readiness.rejected.length;
  const simulated = tone === 'simulated' ? 'Simulated: it protects nothing.' : '';
  return `${readiness.nodes.length} of ${all} ${machines(all)} verified. ${simulated}`.trim();
}

/** Verified machines whose evidence has not ended since. */
export const current = ({ nodes }: Readiness, nowMs: number): Readiness['nodes'] =>
  nodes.filter((node) => node.notAfterMs > nowMs);

function refused({ failure, nodes, rejected, policy }: Readiness): Summary {
  if (nodes.length > 0)
    return {
      tone: 'refused',
      sentence: 'The evidence of all verified machines has ended.',
      remedy: 'New ones come with the next verification.',
    };
  if (policy.images.length === 0)
    return {
      tone: 'refused',
      sentence: `No machine can be verified: the policy “${policy.name}” names no image yet.`,
      remedy: 'Choose another policy.',
    };
  if (failure?.code === 'model_not_in_policy')
    return {
      tone: 'refused',
      sentence: `No machine is verified: the policy “${policy.name}” does not name this model.`,
      remedy: 'Choose another model or policy.',
    };
  if (failure?.code === 'evidence_rejected')
    return {
      tone: 'refused',
      sentence: `0 of ${rejected.length} ${machines(rejected.length)} verified: the policy “${policy.name}” rejects the evidence.`,
      remedy: 'Look at the failed steps.',
    };
  const lead = rejected.length > 0 ? `0 of ${rejected.length} ${machines(rejected.length)} verified. ` : '';
  return {
    tone: 'refused',
    sentence: `${lead}${failure?.message ?? 'No machine is verified.'}`,
    remedy: failure === null ? 'Try again.' : remedyOf(failure),
  };
}

const machines = (count: number) => (count === 1 ? 'machine' : 'machines');

/** What the verified machines ask, in TON per million tokens. */
export function pricesOf({ nodes }: Readiness): string {
  const byPrice = nodes.toSorted((a, b) => Number(outOf(a) - outOf(b)));
  const [first, ...others] = new Set(byPrice.map(({ price }) => showPrice(price)));
  if (first === undefined) return '';
  return others.length === 0
    ? `${first} TON per million tokens.`
    : `From ${first} to ${others.at(-1)} TON per million tokens.`;
}

const outOf = ({ price }: Readiness['nodes'][number]): bigint => BigInt(price.completionNanoPerMillion);
