/** Simulated GPU evidence: an SPDM report, a chain of five certificates, OCSP responses and tokens, under a root of its own. */
import { hexOf, sha256Hex } from '@tussah/protocol/bytes';
import { concatBytes, utf8, type Bytes } from '../bytes/bytes.ts';
import { toBase64 } from '../bytes/text-encodings.ts';
import type { NrasKey } from '../policy/policy.ts';
import type { DetachedEat, Revocation } from '../nvidia/revocation.ts';
import {
  DAY_MS,
  makeCertificate,
  pemChain,
  type CertificateChange,
  type CertificateSpec,
  type ExtensionSpec,
} from './certificates.ts';
import { integer, octetString, oidOf, sequence } from './der-writer.ts';
import { u16 } from './fixed-bytes.ts';
import { newKey, signRaw, type SimulatedKey } from './keys.ts';
import { makeOcsp, type OcspChange } from './ocsp.ts';

export interface SimulatedNvidia {
  /** Leaf, device, provisioner, identity, root. */
  readonly keys: readonly SimulatedKey[];
  readonly responderKey: SimulatedKey;
  readonly tokenKey: SimulatedKey;
  /** What a policy lists in `nrasKeys`. */
  readonly nrasKey: NrasKey;
  readonly root: Bytes;
  readonly madeAtMs: number;
}

const names = [
  'GH100 A01 GSP FMC LF',
  'GH100 A01 GSP BROM',
  'NVIDIA GH100 Provisioner ICA 1',
  'NVIDIA GH100 Identity',
  'NVIDIA Device Identity CA',
] as const;
const LEAF_SERIAL = 0x6002;

export async function newSimulatedNvidia(nowMs: number): Promise<SimulatedNvidia> {
  const [responderKey, tokenKey, ...keys] = await Promise.all(
    Array.from({ length: 7 }, () => newKey('p384')),
  );
  if (responderKey === undefined || tokenKey === undefined) throw new Error('no keys were made');
  const jwk = await publicJwk(tokenKey);
  const simulated = { keys, responderKey, tokenKey, nrasKey: jwk, root: new Uint8Array(), madeAtMs: nowMs };
  return { ...simulated, root: await makeCertificate(specOf(simulated, 4)) };
}

async function publicJwk({ privateKey }: SimulatedKey): Promise<NrasKey> {
  const { x = '', y = '' } = await crypto.subtle.exportKey('jwk', privateKey);
  return { kty: 'EC', crv: 'P-384', kid: 'simulated', x, y };
}

export interface GpuChanges {
  /** By position in the chain, leaf first. */
  readonly certificates?: Readonly<Record<number, CertificateChange>>;
  readonly chain?: (chain: readonly Bytes[]) => readonly Bytes[];
  readonly nonce?: Uint8Array;
  readonly measurements?: Readonly<Record<number, Uint8Array>>;
  readonly opaque?: Readonly<Record<number, Uint8Array | undefined>>;
  /** In the leaf. */
  readonly fwid?: Uint8Array;
  /** Another chip's. */
  readonly deviceKey?: SimulatedKey | undefined;
  readonly reportKey?: SimulatedKey;
  readonly ocsp?: OcspChange;
  /** Positions of the certificates for which there is an OCSP response. */
  readonly covered?: readonly number[];
  /** A token instead of OCSP responses. */
  readonly nras?: NrasChanges;
  readonly withoutRevocation?: boolean;
}

export interface NrasChanges {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly overall?: Readonly<Record<string, unknown>>;
  readonly gpu?: Readonly<Record<string, unknown>>;
  readonly key?: SimulatedKey;
  /** Instead of the real digest. */
  readonly digest?: string;
}

export interface SimulatedGpu {
  readonly report: Bytes;
  readonly certificates: Bytes;
  readonly nonce: Bytes;
  readonly revocation: Revocation | undefined;
}

export const simulatedDriver = '590.12';
export const simulatedVbios = '96.00.A5.00.01';
export const simulatedGpuMeasurement = 'b6'.repeat(48);
const MEASUREMENTS = 64;
const fwid = new Uint8Array(48).fill(0xf1);

export async function makeGpu(vendor: SimulatedNvidia, changes: GpuChanges = {}): Promise<SimulatedGpu> {
  const { deviceKey } = changes;
  const nvidia = deviceKey === undefined ? vendor : { ...vendor, keys: vendor.keys.with(1, deviceKey) };
  const specs = names.map((_, i): CertificateSpec => ({
    ...specOf(nvidia, i, changes.fwid),
    ...changes.certificates?.[i],
  }));
  const made = await Promise.all(
    specs.map(async (spec, i) =>
      i === 4 && changes.certificates?.[4] === undefined ? nvidia.root : makeCertificate(spec),
    ),
  );
  const nonce = (changes.nonce ?? new Uint8Array(32).fill(0x9c)) as Bytes;
  return {
    report: await makeReport(nvidia, nonce, changes),
    certificates: utf8(pemChain((changes.chain ?? ((same) => same))(made))),
    nonce,
    revocation: await makeRevocation(nvidia, specs, nonce, changes),
  };
}

function specOf(nvidia: SimulatedNvidia, i: number, leafFwid: Uint8Array = fwid): CertificateSpec {
  const key = keyAt(nvidia, i);
  const isLeaf = i === 0;
  return {
    commonName: names[i] ?? '',
    issuerName: names[Math.min(i + 1, 4)] ?? '',
    key,
    issuerKey: keyAt(nvidia, Math.min(i + 1, 4)),
    serial: isLeaf ? LEAF_SERIAL : 0x7000 + i,
    notBeforeMs: nvidia.madeAtMs - 365 * DAY_MS,
    // "99991231235959Z": no expiry, RFC 5280 section 4.1.2.5.
    notAfterMs: Date.UTC(9999, 11, 31, 23, 59, 59),
    ca: isLeaf ? undefined : true,
    usage: isLeaf ? [0] : [5, 6],
    extensions: isLeaf ? [fwidExtension(key, leafFwid)] : [],
  };
}

function keyAt({ keys }: SimulatedNvidia, i: number): SimulatedKey {
  const key = keys[i];
  if (key === undefined) throw new RangeError(`there is no certificate ${i}`);
  return key;
}

const fwidExtension = (key: SimulatedKey, digest: Uint8Array): ExtensionSpec => ({
  id: '2.23.133.5.4.1',
  value: sequence(integer(1), key.spki, sequence(oidOf('2.16.840.1.101.3.4.2.2'), octetString(digest))),
});

async function makeReport(nvidia: SimulatedNvidia, nonce: Bytes, changes: GpuChanges): Promise<Bytes> {
  const blocks = Array.from({ length: MEASUREMENTS }, (_, i) => {
    const value = changes.measurements?.[i + 1] ?? new Uint8Array(48).fill(0xb6);
    return concatBytes(
      Uint8Array.of(i + 1, 1),
      u16(value.length + 3),
      Uint8Array.of(1),
      u16(value.length),
      value,
    );
  });
  const record = concatBytes(...blocks);
  const fields = Object.entries({ ...opaqueFields, ...changes.opaque }).flatMap(([id, value]) =>
    value === undefined ? [] : [concatBytes(u16(Number(id)), u16(value.length), value)],
  );
  const opaque = concatBytes(...fields);
  const signed = concatBytes(
    Uint8Array.of(0x11, 0xe0, 1, 0xff),
    nonce,
    Uint8Array.of(0, 0x11, 0x60, 0, 0, blocks.length),
    Uint8Array.of(record.length & 0xff, (record.length >> 8) & 0xff, record.length >> 16),
    record,
    new Uint8Array(32).fill(0x4e),
    u16(opaque.length),
    opaque,
  );
  return concatBytes(signed, await signRaw(changes.reportKey ?? keyAt(nvidia, 0), signed));
}

const opaqueFields: Readonly<Record<number, Uint8Array>> = {
  3: utf8(`${simulatedDriver}\0`),
  6: Uint8Array.of(0, 0xa5, 0, 0x96, 1, 0, 0, 0),
  11: Uint8Array.of(0x55),
  20: fwid,
  21: Uint8Array.of(0x55),
  36: Uint8Array.of(0, 0),
};

async function makeRevocation(
  nvidia: SimulatedNvidia,
  specs: readonly CertificateSpec[],
  nonce: Bytes,
  changes: GpuChanges,
): Promise<Revocation | undefined> {
  if (changes.withoutRevocation === true) return undefined;
  if (changes.nras !== undefined) return { nras: await makeTokens(nvidia, nonce, changes.nras) };
  const covered = changes.covered ?? [1, 2, 3];
  const responses = covered.flatMap((i) => {
    const [spec, issuer] = [specs[i], specs[i + 1]];
    return spec === undefined || issuer === undefined
      ? []
      : [
          makeOcsp(
            { subject: spec, issuer, responderKey: nvidia.responderKey, nowMs: nvidia.madeAtMs },
            changes.ocsp,
          ),
        ];
  });
  return { ocsp: (await Promise.all(responses)).map(toBase64) };
}

const base64Url = (bytes: Uint8Array): string =>
  toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');

async function makeToken(key: SimulatedKey, header: object, payload: object): Promise<string> {
  const input = [header, payload].map((part) => base64Url(utf8(JSON.stringify(part)))).join('.');
  return `${input}.${base64Url(await signRaw(key, utf8(input)))}`;
}

async function makeTokens(nvidia: SimulatedNvidia, nonce: Bytes, changes: NrasChanges): Promise<DetachedEat> {
  const key = changes.key ?? nvidia.tokenKey;
  const header = { alg: 'ES384', kid: 'simulated', ...changes.header };
  const seconds = Math.floor(nvidia.madeAtMs / 1000);
  const common = {
    iss: 'https://nras.attestation.nvidia.com',
    eat_nonce: hexOf(nonce),
    iat: seconds - 60,
    nbf: seconds - 60,
    exp: seconds + 3540,
  };
  const gpu = await makeToken(key, header, {
    ...common,
    ueid: String(LEAF_SERIAL),
    measres: 'success',
    dbgstat: 'disabled',
    secboot: true,
    'x-nvidia-gpu-attestation-report-cert-chain': {
      'x-nvidia-cert-status': 'valid',
      'x-nvidia-cert-ocsp-status': 'good',
    },
    ...changes.gpu,
  });
  const overall = await makeToken(key, header, {
    ...common,
    'x-nvidia-overall-att-result': true,
    submods: { 'GPU-0': ['DIGEST', ['SHA-256', changes.digest ?? sha256Hex(gpu)]] },
    ...changes.overall,
  });
  return [['JWT', overall], { 'GPU-0': gpu }];
}
