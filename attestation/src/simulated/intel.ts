/** The simulated Intel: its keys and names, and its root. */
import type { Bytes } from '../bytes/bytes.ts';
import { DAY_MS, makeCertificate, type CertificateSpec } from './certificates.ts';
import { newKey, type SimulatedKey } from './keys.ts';

/** Certificates are made anew for every piece of evidence. */
export interface SimulatedIntel {
  readonly rootKey: SimulatedKey;
  readonly authorityKey: SimulatedKey;
  readonly pckKey: SimulatedKey;
  readonly signerKey: SimulatedKey;
  readonly attestationKey: SimulatedKey;
  /** Fixed, so that the root stays the same. */
  readonly root: Bytes;
  readonly madeAtMs: number;
}

export const rootName = 'Intel SGX Root CA';
export const authorityName = 'Intel SGX PCK Platform CA';
/** Of the quoting enclave, in hexadecimal. */
export const qeVendor = '939a7233f79c4ca9940a0db3957f0607';
export const qeSigner = 'dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5';

export async function newSimulatedIntel(nowMs: number): Promise<SimulatedIntel> {
  const [rootKey, authorityKey, pckKey, signerKey, attestationKey] = await Promise.all([
    newKey('p256'),
    newKey('p256'),
    newKey('p256'),
    newKey('p256'),
    newKey('p256'),
  ]);
  const root = await makeCertificate(rootSpec(rootKey, nowMs));
  return { rootKey, authorityKey, pckKey, signerKey, attestationKey, root, madeAtMs: nowMs };
}

export const rootSpec = (key: SimulatedKey, nowMs: number): CertificateSpec => ({
  commonName: rootName,
  issuerName: rootName,
  key,
  issuerKey: key,
  serial: 1,
  notBeforeMs: nowMs - 365 * DAY_MS,
  notAfterMs: nowMs + 3650 * DAY_MS,
  ca: true,
  pathLength: 1,
  usage: [5, 6],
});
