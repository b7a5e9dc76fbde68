/** A private receipt as a reader meets it: each check by name, against what this browser knows of the job by itself. */
import { checkPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import type { Proof } from '../private/proof.ts';
import { claimOfCheck } from './claims.ts';
import type { Review } from './review.ts';

/** What was wrong when the answer came weighs too: pieces and hashes of the answer are not there any more to compare. */
export async function reviewPrivateReceipt({ receipt, expected, failure }: Proof): Promise<Review> {
  const { valid, checks } = await checkPrivateReceipt(receipt, expected);
  const failed = checks.filter(({ ok }) => !ok).length;
  return {
    valid: valid && failure === null,
    verdict: verdictOf(checks.length, failed, failure),
    checks: checks.map((check) => ({ ...check, claim: claimOfCheck(check.name) })),
  };
}

function verdictOf(all: number, failed: number, failure: Proof['failure']): string {
  if (failed > 0) return `Do not rely on it: ${failed} of ${all} checks failed.`;
  if (failure !== null) return `Do not rely on it. ${failure.message}`;
  return `This browser checked it: ${all} of ${all} passed.`;
}
