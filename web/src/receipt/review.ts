/** A receipt as a reader meets it: each check by name with what it proves, and one verdict over all of them. */
import type { Usage } from '@tussah/protocol/chat-response';
import { verifyReceipt, type Receipt, type ReceiptCheck } from '@tussah/protocol/receipts';
import { claimOfCheck } from './claims.ts';

export interface ReviewCheck extends ReceiptCheck {
  /** What holds if the check passed. */
  readonly claim: string;
}
export interface Review {
  readonly valid: boolean;
  readonly verdict: string;
  readonly checks: readonly ReviewCheck[];
}

/** What the page itself saw of the answer that the receipt is for. */
export interface Seen {
  readonly jobId: string | null;
  readonly usage: Usage | null;
  /** The key that this coordinator names in /v1/network; undefined while it was not read. */
  readonly coordinator: string | undefined;
}

function claimOf({ name }: ReceiptCheck, { segments }: Receipt): string {
  const part = /^segment (\d+) signature$/.exec(name)?.[1];
  if (part === undefined) return claimOfCheck(name);
  return segments[Number(part) - 1]?.signature === null
    ? 'This part broke off, so nobody could sign for it.'
    : 'The contributor of this part signed for its tokens.';
}

export async function reviewReceipt(receipt: Receipt, seen: Seen): Promise<Review> {
  const verdict = await verifyReceipt(receipt, seen.coordinator);
  const [shape, ...others] = verdict.checks;
  const checks = [...(shape === undefined ? [] : [shape]), belongs(receipt, seen), ...others];
  const passed = checks.filter((check) => check.ok).length;
  const valid = verdict.valid && passed === checks.length;
  return {
    valid,
    verdict: valid
      ? `This browser checked it: ${passed} of ${checks.length} passed.`
      : `Do not rely on it: ${checks.length - passed} of ${checks.length} checks failed.`,
    checks: checks.map((check) => ({ ...check, claim: claimOf(check, receipt) })),
  };
}

function belongs(receipt: Receipt, { jobId, usage }: Seen): ReceiptCheck {
  const sameTokens =
    usage === null ||
    (usage.prompt_tokens === receipt.usage.promptTokens &&
      usage.completion_tokens === receipt.usage.completionTokens);
  return { name: 'this answer', ok: receipt.jobId === jobId && sameTokens, detail: receipt.jobId };
}
