/**
 * What report and certificates say of the device. Fields of the opaque data: NVIDIA's local GPU verifier (nvtrust),
 * `spdm_msrt_resp_msg.py`, and its attestation SDK, `evidence.h`; FWID: TCG DICE.
 */
import { hexOf } from '@tussah/protocol/bytes';
import type { Bytes } from '../bytes/bytes.ts';
import { tags, wholeSequence } from '../der/der.ts';
import { octets, oid, smallInteger } from '../der/values.ts';
import { demand } from '../malformed.ts';
import type { GpuMode } from '../policy/policy.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { SpdmReport } from './spdm.ts';

const fields = { driver: 3, vbios: 6, nvdec0: 11, fwid: 20, protectedPcie: 21, feature: 36 } as const;
const ENABLED = 0xaa;
const DISABLED = 0x55;

export interface Device {
  readonly driver: string;
  readonly vbios: string;
  readonly fwid: Bytes;
  /** Undefined for a mode that is not known here. */
  readonly mode: GpuMode | undefined;
  /** Whether the first video decoder works; if not, one measurement means nothing. */
  readonly nvdec0: boolean;
}

/** Throws `Malformed`. */
export function readDevice({ opaque }: SpdmReport): Device {
  const field = (id: number, what: string): Bytes => {
    const value = opaque.get(id);
    demand(value !== undefined, `report: no ${what}`);
    return value;
  };
  return {
    driver: driverText(field(fields.driver, 'driver version')),
    vbios: vbiosText(field(fields.vbios, 'VBIOS version')),
    fwid: field(fields.fwid, 'FWID'),
    mode: modeOf(opaque),
    nvdec0: opaque.get(fields.nvdec0)?.[0] !== DISABLED,
  };
}

/** Zero-terminated ASCII. */
function driverText(value: Bytes): string {
  const text = new TextDecoder().decode(value).replace(/\0+$/, '');
  demand(/^[0-9.]{1,32}$/.test(text), 'report: not a driver version');
  return text;
}

/** Eight bytes, of which NVIDIA shows five: `96.00.9F.00.01`. */
function vbiosText(value: Bytes): string {
  demand(value.length === 8, 'report: not a VBIOS version');
  const [b0 = 0, b1 = 0, b2 = 0, b3 = 0, b4 = 0] = value;
  return [b3, b2, b1, b0, b4].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('.');
}

/**
 * Field 36 says it on newer firmware: 2 is protected PCIe, which field 21 says, too. 0 and 1 are passed through, one GPU or
 * several of them: which is which, NVIDIA's two verifiers disagree about, so they are one mode here.
 */
function modeOf(opaque: ReadonlyMap<number, Bytes>): GpuMode | undefined {
  const feature = opaque.get(fields.feature);
  const protectedPcie = opaque.get(fields.protectedPcie);
  const number = feature === undefined ? undefined : (feature[0] ?? 0) + 256 * (feature[1] ?? 0);
  const isProtected = protectedPcie?.length === 1 ? protectedPcie[0] : undefined;
  if (isProtected === ENABLED && (number === undefined || number === 2)) return 'protected-pcie';
  if (isProtected !== DISABLED) return undefined;
  return number === undefined || number === 0 || number === 1 ? 'passthrough' : undefined;
}

const FWID_EXTENSION = '2.23.133.5.4.1';
const SHA384 = '2.16.840.1.101.3.4.2.2';

/**
 * The digest of the firmware that the certified key belongs to: CompositeDeviceID ::= SEQUENCE { version, deviceID,
 * FWID { hashAlg, fwid } }, TCG "Hardware Requirements for a Device Identifier Composition Engine". Throws `Malformed`.
 */
export function certifiedFwid(leaf: Certificate): Bytes {
  const what = 'FWID extension';
  const extension = leaf.extensions.get(FWID_EXTENSION);
  demand(extension !== undefined, `${what}: missing`);
  const reader = wholeSequence(extension.value, what);
  demand(smallInteger(reader.next(what), what) === 1, `${what}: not of version 1`);
  reader.expect(tags.sequence, what);
  const fwid = reader.sequence(what);
  demand(oid(fwid.next(what), what) === SHA384, `${what}: not a SHA-384 digest`);
  const digest = octets(fwid.next(what), what);
  fwid.end(what);
  reader.end(what);
  return digest;
}

/** What NVIDIA certifies about the chip. The leaf below says more, but that is the device's own word. */
export interface Chip {
  /** Such as `GH100`: the first word of the certificate's name. */
  readonly model: string;
  /** SHA-256 of the certified key (SubjectPublicKeyInfo) in hexadecimal: the same whatever firmware runs. */
  readonly id: string;
}

/** Out of a chain, leaf first: its second certificate is the device's. */
export async function chipOf([, device]: readonly Certificate[]): Promise<Chip | undefined> {
  if (device === undefined) return undefined;
  const id = new Uint8Array(await crypto.subtle.digest('SHA-256', device.key.spki));
  return { model: device.commonName.split(' ')[0] ?? '', id: hexOf(id) };
}
