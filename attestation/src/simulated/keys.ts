/** Keys of simulated vendors and devices, and signatures as the real ones write them. */
import { bytesOfHex } from '@tussah/protocol/bytes';
import type { Bytes } from '../bytes/bytes.ts';
import { integer, sequence } from './der-writer.ts';

export type SimulatedKind = 'p256' | 'p384' | 'rsa';

export interface SimulatedKey {
  readonly kind: SimulatedKind;
  readonly privateKey: CryptoKey;
  readonly spki: Bytes;
}

const algorithms = {
  p256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  rsa: {
    name: 'RSA-PSS',
    hash: 'SHA-384',
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
    saltLength: 48,
  },
} as const;

/** AlgorithmIdentifiers of what `signDer` makes. */
export const signatureIds: Readonly<Record<SimulatedKind, Bytes>> = {
  p256: hex('300a06082a8648ce3d040302'),
  p384: hex('300a06082a8648ce3d040303'),
  rsa: hex(
    '304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130',
  ),
};

function hex(text: string): Bytes {
  return bytesOfHex(text) ?? new Uint8Array();
}

export async function newKey(kind: SimulatedKind): Promise<SimulatedKey> {
  const pair = await crypto.subtle.generateKey(algorithms[kind], true, ['sign', 'verify']);
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey));
  return { kind, privateKey: pair.privateKey, spki };
}

/** ECDSA: r and s, most significant byte first. */
export async function signRaw(key: SimulatedKey, data: Uint8Array): Promise<Bytes> {
  const signature = await crypto.subtle.sign(algorithms[key.kind], key.privateKey, data as Bytes);
  return new Uint8Array(signature);
}

/** As X.509 writes it. */
export async function signDer(key: SimulatedKey, data: Uint8Array): Promise<Bytes> {
  const raw = await signRaw(key, data);
  if (key.kind === 'rsa') return raw;
  const half = raw.length / 2;
  return sequence(integer(raw.subarray(0, half)), integer(raw.subarray(half)));
}

/** The uncompressed point, or the RSAPublicKey: what stands in the key's BIT STRING. */
export const pointOf = ({ kind, spki }: SimulatedKey): Bytes => {
  const sizes = { p256: 65, p384: 97, rsa: spki.length - 24 };
  return spki.slice(spki.length - sizes[kind]);
};
