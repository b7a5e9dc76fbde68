/** Certificates and CRLs of simulated vendors. All of them name the organisation SIMULATED. */
import type { Bytes } from '../bytes/bytes.ts';
import { tags } from '../der/der.ts';
import {
  bitString,
  derTrue,
  explicitly,
  integer,
  octetString,
  oidOf,
  sequence,
  set,
  text,
  timeOf,
} from './der-writer.ts';
import { signatureIds, signDer, type SimulatedKey } from './keys.ts';

export const DAY_MS = 86_400_000;

export interface ExtensionSpec {
  readonly id: string;
  readonly critical?: boolean;
  readonly value: Bytes;
}

export interface CertificateSpec {
  readonly commonName: string;
  readonly issuerName: string;
  readonly key: SimulatedKey;
  readonly issuerKey: SimulatedKey;
  readonly serial: number;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Undefined leaves basic constraints out. */
  readonly ca?: boolean | undefined;
  readonly pathLength?: number | undefined;
  /** Bits of KeyUsage; undefined leaves it out. */
  readonly usage?: readonly number[] | undefined;
  readonly extensions?: readonly ExtensionSpec[];
}

/** What a test changes in a certificate. */
export type CertificateChange = Partial<CertificateSpec>;

const COMMON_NAME = '2.5.4.3';
const ORGANISATION = '2.5.4.10';

export const nameDer = (commonName: string): Bytes =>
  sequence(attribute(COMMON_NAME, commonName), attribute(ORGANISATION, 'SIMULATED'));

const attribute = (id: string, value: string): Bytes =>
  set(sequence(oidOf(id), text(tags.utf8String, value)));

export async function makeCertificate(spec: CertificateSpec): Promise<Bytes> {
  const extensions = [
    ...(spec.ca === undefined ? [] : [basicConstraints(spec.ca, spec.pathLength)]),
    ...(spec.usage === undefined ? [] : [keyUsage(spec.usage)]),
    ...(spec.extensions ?? []),
  ];
  const tbs = sequence(
    explicitly(0, integer(2)),
    integer(spec.serial),
    signatureIds[spec.issuerKey.kind],
    nameDer(spec.issuerName),
    sequence(timeOf(spec.notBeforeMs), timeOf(spec.notAfterMs)),
    nameDer(spec.commonName),
    spec.key.spki,
    explicitly(3, extensionsDer(extensions)),
  );
  return signed(tbs, spec.issuerKey);
}

const signed = async (tbs: Bytes, key: SimulatedKey): Promise<Bytes> =>
  sequence(tbs, signatureIds[key.kind], bitString(await signDer(key, tbs)));

export const extensionsDer = (extensions: readonly ExtensionSpec[]): Bytes =>
  sequence(
    ...extensions.map(({ id, critical = false, value }) =>
      sequence(oidOf(id), ...(critical ? [derTrue()] : []), octetString(value)),
    ),
  );

const basicConstraints = (ca: boolean, pathLength: number | undefined): ExtensionSpec => ({
  id: '2.5.29.19',
  critical: true,
  value: sequence(...(ca ? [derTrue()] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])),
});

const keyUsage = (bits: readonly number[]): ExtensionSpec => {
  const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  const unused = byte === 0 ? 0 : 7 - Math.max(...bits);
  return { id: '2.5.29.15', critical: true, value: bitString(Uint8Array.of(byte), unused) };
};

export interface CrlSpec {
  readonly issuerName: string;
  readonly issuerKey: SimulatedKey;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly revoked: readonly number[];
  readonly extensions: readonly ExtensionSpec[];
}
export type CrlChange = Partial<CrlSpec>;

export const crlNumber: ExtensionSpec = { id: '2.5.29.20', value: integer(1) };

export async function makeCrl(spec: CrlSpec): Promise<Bytes> {
  const entries = spec.revoked.map((serial) => sequence(integer(serial), timeOf(spec.thisUpdateMs)));
  const tbs = sequence(
    integer(1),
    signatureIds[spec.issuerKey.kind],
    nameDer(spec.issuerName),
    timeOf(spec.thisUpdateMs),
    timeOf(spec.nextUpdateMs),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    explicitly(0, extensionsDer(spec.extensions)),
  );
  return signed(tbs, spec.issuerKey);
}

export function pem(label: string, der: Uint8Array): string {
  const base64 = btoa(Array.from(der, (byte) => String.fromCharCode(byte)).join(''));
  const lines = base64.match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

export const pemChain = (ders: readonly Uint8Array[]): string =>
  ders.map((der) => pem('CERTIFICATE', der)).join('');
