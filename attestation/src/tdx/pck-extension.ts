/** What a PCK certificate says of its platform: Intel SGX PCK Certificate and CRL Profile Specification, section 1.3.5. */
import { hexOf } from '@tussah/protocol/bytes';
import type { Bytes } from '../bytes/bytes.ts';
import { DerReader, wholeSequence, type Element } from '../der/der.ts';
import { octets, oid, smallInteger } from '../der/values.ts';
import { demand } from '../malformed.ts';
import type { Certificate } from '../x509/certificate.ts';

const SGX = '1.2.840.113741.1.13.1';
const COMPONENTS = 16;

export interface PckPlatform {
  /** Lowercase hexadecimal: 16, 6 and 2 bytes. */
  readonly ppid: string;
  readonly fmspc: string;
  readonly pceId: string;
  readonly pceSvn: number;
  /** The 16 SGX TCB components. */
  readonly components: readonly number[];
}

/** Throws `Malformed`. */
export function pckPlatform(certificate: Certificate): PckPlatform {
  const extension = certificate.extensions.get(SGX);
  demand(extension !== undefined, 'PCK certificate: no SGX extension');
  const members = keyed(extension.value, SGX);
  const tcb = keyed(member(members, '2').raw, `${SGX}.2`);
  const svn = (number: number, max: number) => {
    const value = smallInteger(member(tcb, String(number)), 'TCB component');
    demand(value <= max, `PCK certificate: TCB component ${number} above ${max}`);
    return value;
  };
  return {
    ppid: fixed(member(members, '1'), 16),
    pceId: fixed(member(members, '3'), 2),
    fmspc: fixed(member(members, '4'), 6),
    components: Array.from({ length: COMPONENTS }, (_, i) => svn(i + 1, 0xff)),
    pceSvn: svn(COMPONENTS + 1, 0xffff),
  };
}

/** SEQUENCE OF SEQUENCE { OBJECT IDENTIFIER, value }: values by the last part of their identifiers. */
function keyed(der: Bytes, parent: string): ReadonlyMap<string, Element> {
  const what = 'SGX extension';
  const found = new Map<string, Element>();
  for (const list = wholeSequence(der, what); !list.done;) {
    const pair: DerReader = list.sequence(what);
    const id = oid(pair.next(what), what);
    demand(id.startsWith(`${parent}.`), `${what}: ${id} does not belong there`);
    const key = id.slice(parent.length + 1);
    demand(!found.has(key), `${what}: ${id} twice`);
    found.set(key, pair.next(what));
    pair.end(what);
  }
  return found;
}

function member(members: ReadonlyMap<string, Element>, key: string): Element {
  const element = members.get(key);
  demand(element !== undefined, `SGX extension: no member ${key}`);
  return element;
}

function fixed(element: Element, length: number): string {
  const bytes = octets(element, 'SGX extension');
  demand(bytes.length === length, `SGX extension: ${bytes.length} bytes instead of ${length}`);
  return hexOf(bytes);
}
