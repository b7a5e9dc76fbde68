/** What a text is: a policy, a bundle, a receipt, or an answer that carries one. */
import { fail, ok, type Failure, type Result } from '@tussah/protocol/errors';

type Json = { readonly [name: string]: unknown };

export type Recognised =
  | { readonly kind: 'policy' }
  | { readonly kind: 'bundle' }
  | {
      readonly kind: 'receipt';
      readonly tier: 'public' | 'private';
      readonly receipt: Json;
      readonly answer: Json | null;
    };

export function recognise(text: string): Result<Recognised> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail(notJson);
  }
  if (!isObject(value)) return fail(unknown);
  if ('statement' in value && 'machine' in value) return ok({ kind: 'bundle' });
  if ('images' in value && 'lifetimeMaxMs' in value) return ok({ kind: 'policy' });
  if ('object' in value || 'tussah' in value) return inAnswer(value);
  return receiptOf(value, null);
}

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function inAnswer(answer: Json): Result<Recognised> {
  const { tussah } = answer;
  const receipt = isObject(tussah) ? tussah['receipt'] : undefined;
  return isObject(receipt) ? receiptOf(receipt, answer) : fail(noReceipt);
}

function receiptOf(receipt: Json, answer: Json | null): Result<Recognised> {
  if (!('signature' in receipt) || !('coordinator' in receipt)) return fail(unknown);
  // Only a private receipt carries a node's own.
  const tier = 'node' in receipt ? 'private' : 'public';
  return ok({ kind: 'receipt', tier, receipt, answer });
}

const notJson: Failure = {
  code: 'not_json',
  message: 'This is not JSON.',
  remedy:
    'Take a receipt, an answer, a bundle or a policy as it was downloaded, whole; of a stream its last chunk, without the “data:” before it.',
};
const unknown: Failure = {
  code: 'not_recognised',
  message: 'This is neither a receipt, nor an answer, a bundle or a policy.',
  remedy:
    'Look at what it begins with: a receipt has “signature” and “coordinator”, a bundle “statement” and “machine”, a policy “images”.',
};
const noReceipt: Failure = {
  code: 'no_receipt',
  message: 'There is no receipt in this answer.',
  remedy: 'In a stream it is the last chunk before [DONE] that carries it.',
};
