/** Receipts of both tiers, checked offline by the shape that they have. */
import { checkPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import { verifyReceipt, type ReceiptVerdict } from '@tussah/protocol/receipts';

/** A private receipt is known by the node's own receipt inside it. */
export const isPrivateReceipt = (input: object): boolean => 'node' in input;

/** `coordinator` is the key that the reader expects. */
export const verifyEitherReceipt = (input: object, coordinator?: string): Promise<ReceiptVerdict> =>
  isPrivateReceipt(input)
    ? checkPrivateReceipt(input, coordinator === undefined ? {} : { coordinator })
    : verifyReceipt(input, coordinator);
