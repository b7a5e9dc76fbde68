/** The two suites of HPKE (RFC 9180, base mode), and the keys of nodes. The same in browsers and in Node. */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { bytesOfHex, hexOf } from '@tussah/protocol/bytes';
import type { SuiteName } from '@tussah/protocol/private/header';
import { NativeXWing, x25519, x25519BasePoint } from './x-wing.ts';

const suiteOf = (kem: ConstructorParameters<typeof CipherSuite>[0]['kem']): CipherSuite =>
  new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() });

export const suites: Readonly<Record<SuiteName, CipherSuite>> = {
  'xwing-hkdf-sha256-aes256gcm': suiteOf(new NativeXWing()),
  'x25519-hkdf-sha256-aes256gcm': suiteOf(new DhkemX25519HkdfSha256()),
};

/** A node's HPKE keys of one epoch. */
export interface NodeKeys {
  readonly suite: SuiteName;
  /** Hexadecimal. */
  readonly publicKey: string;
  /** X25519's cannot be extracted. X-Wing's is an object of the library that has the bytes; `destroyNodeKeys` overwrites them. */
  readonly privateKey: CryptoKey;
}

export async function newNodeKeys(suite: SuiteName): Promise<NodeKeys> {
  if (suite === 'xwing-hkdf-sha256-aes256gcm')
    return nodeKeysFrom(suite, crypto.getRandomValues(new Uint8Array(32)));
  const pair = await crypto.subtle.generateKey('X25519', false, ['deriveBits']);
  return { suite, publicKey: await publicKeyOf(suite, pair.publicKey), privateKey: pair.privateKey };
}

/**
 * From the 32 bytes of a private key, for X-Wing its seed: for known answers. The bytes may become the key itself; do not use them
 * afterwards.
 */
export async function nodeKeysFrom(suite: SuiteName, secret: Uint8Array<ArrayBuffer>): Promise<NodeKeys> {
  const { kem } = suites[suite];
  if (kem instanceof NativeXWing) {
    const pair = await kem.generateKeyPairDerand(secret);
    return { suite, publicKey: await publicKeyOf(suite, pair.publicKey), privateKey: pair.privateKey };
  }
  const publicKey = hexOf(await x25519(secret, x25519BasePoint));
  return { suite, publicKey, privateKey: await kem.deserializePrivateKey(secret) };
}

async function publicKeyOf(suite: SuiteName, key: CryptoKey): Promise<string> {
  return hexOf(new Uint8Array(await suites[suite].kem.serializePublicKey(key)));
}

/** A pair as the library wants it: without the public half it would have to extract the private one. */
export async function pairOf({ suite, publicKey, privateKey }: NodeKeys): Promise<CryptoKeyPair> {
  return { privateKey, publicKey: await publicKeyFrom(suite, publicKey) };
}

/** Throws for what is no key of the suite. */
export async function publicKeyFrom(suite: SuiteName, publicKey: string): Promise<CryptoKey> {
  const bytes = bytesOfHex(publicKey);
  if (bytes === undefined) throw new RangeError('a public key is hexadecimal');
  return suites[suite].kem.deserializePublicKey(bytes);
}

/** Whether anything can be sealed to it. One of the right length may be none: a point of low order, or beyond the modulus. */
export async function isUsableKey(suite: SuiteName, publicKey: string): Promise<boolean> {
  try {
    const recipientPublicKey = await publicKeyFrom(suite, publicKey);
    await suites[suite].createSenderContext({ recipientPublicKey });
    return true;
  } catch {
    return false;
  }
}

/** After the end of an epoch: overwrites what JavaScript can overwrite. Drop the keys too. */
export function destroyNodeKeys({ privateKey }: NodeKeys): void {
  if ('key' in privateKey && privateKey.key instanceof Uint8Array) privateKey.key.fill(0);
}
