/** Ed25519 (RFC 8032) over WebCrypto: identities of contributors and coordinators, in browsers and Node alike. */
import { bytesOfHex, hexOf } from './bytes.ts';
import { signedBytes, type Canonical } from './canonical.ts';

/** What is signed, so that a signature over one kind of statement is worthless for another. */
export const domains = {
  hello: 'tussah-hello/1',
  segment: 'tussah-segment/1',
  receipt: 'tussah-receipt/1',
  nodeHello: 'tussah-node-hello/1',
  nodeOffer: 'tussah-node-offer/1',
  nodeRefusal: 'tussah-node-refusal/1',
  nodeReceipt: 'tussah-node-receipt/1',
  directory: 'tussah-directory/1',
  siteRelease: 'tussah-site-release/1',
} as const;

export interface Identity {
  /** 64 hexadecimal digits. */
  readonly publicKey: string;
  readonly privateKey: CryptoKey;
}

/** A new key pair; the private key can't leave this process or browser unless `extractable`. */
export async function newIdentity(extractable = false): Promise<Identity> {
  const pair = await crypto.subtle.generateKey('Ed25519', extractable, ['sign', 'verify']);
  const raw = await crypto.subtle.exportKey('raw', pair.publicKey);
  return { publicKey: hexOf(new Uint8Array(raw)), privateKey: pair.privateKey };
}

/** Signature over domain and canonical value, 128 hexadecimal digits. */
export async function sign(identity: Identity, domain: string, value: Canonical): Promise<string> {
  const signature = await crypto.subtle.sign('Ed25519', identity.privateKey, signedBytes(domain, value));
  return hexOf(new Uint8Array(signature));
}

/** Whether `signature` is `publicKey`'s over this domain and value; false for anything malformed. */
export async function verifySignature(
  publicKey: string,
  domain: string,
  value: Canonical,
  signature: string,
): Promise<boolean> {
  const rawKey = bytesOfHex(publicKey);
  const rawSignature = bytesOfHex(signature);
  if (rawKey?.length !== 32 || rawSignature?.length !== 64) return false;
  try {
    const key = await crypto.subtle.importKey('raw', rawKey, 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', key, rawSignature, signedBytes(domain, value));
  } catch {
    return false;
  }
}
