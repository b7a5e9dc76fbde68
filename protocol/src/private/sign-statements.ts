/** Signing and checking what a node's receipt key says, and the coordinator's heads, each in its own domain. */
import { domains, sign, verifySignature, type Identity } from '../signatures.ts';
import type { DirectoryHead } from './directory.ts';
import type { NodeOffer, NodeReceipt, NodeRefusal, SignedNodeReceipt, SignedRefusal } from './statements.ts';

export const signOffer = (receiptKey: Identity, offer: NodeOffer): Promise<string> =>
  sign(receiptKey, domains.nodeOffer, offer);

/** `receiptKey`, here and below, is hexadecimal and comes from verified evidence. */
export const verifyOffer = (receiptKey: string, offer: NodeOffer, signature: string): Promise<boolean> =>
  verifySignature(receiptKey, domains.nodeOffer, offer, signature);

export async function signRefusal(receiptKey: Identity, refusal: NodeRefusal): Promise<SignedRefusal> {
  return { refusal, signature: await sign(receiptKey, domains.nodeRefusal, refusal) };
}

export const verifyRefusal = (receiptKey: string, { refusal, signature }: SignedRefusal): Promise<boolean> =>
  verifySignature(receiptKey, domains.nodeRefusal, refusal, signature);

export async function signNodeReceipt(
  receiptKey: Identity,
  receipt: NodeReceipt,
): Promise<SignedNodeReceipt> {
  return { receipt, signature: await sign(receiptKey, domains.nodeReceipt, receipt) };
}

export const verifyNodeReceipt = (
  receiptKey: string,
  { receipt, signature }: SignedNodeReceipt,
): Promise<boolean> => verifySignature(receiptKey, domains.nodeReceipt, receipt, signature);

export async function signHead(
  coordinator: Identity,
  head: Pick<DirectoryHead, 'size' | 'rootHash' | 'atMs'>,
): Promise<DirectoryHead> {
  const { size, rootHash, atMs } = head;
  const statement = { coordinator: coordinator.publicKey, size, rootHash, atMs };
  return { ...statement, signature: await sign(coordinator, domains.directory, statement) };
}

/** By the key that the head names: whether it is the right one is for `checkHeads`. */
export function verifyHead({ signature, ...statement }: DirectoryHead): Promise<boolean> {
  return verifySignature(statement.coordinator, domains.directory, statement, signature);
}
