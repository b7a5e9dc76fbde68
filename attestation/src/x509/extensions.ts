/** The certificate extensions that decide something here, RFC 5280 section 4.2. */
import type { Bytes } from '../bytes/bytes.ts';
import { DerReader, tags, wholeSequence } from '../der/der.ts';
import { boolean, namedBits, octets, oid, smallInteger } from '../der/values.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';

export const extensionIds = {
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

/** Bits of KeyUsage, section 4.2.1.3. */
export const keyUsages = { digitalSignature: 0, keyCertSign: 5, crlSign: 6 } as const;

export interface Extension {
  readonly critical: boolean;
  /** What the OCTET STRING holds. */
  readonly value: Bytes;
}
export type Extensions = ReadonlyMap<string, Extension>;

/** Extensions ::= SEQUENCE OF Extension; each of them at most once. */
export function readExtensions(der: Bytes, what: string): Extensions {
  const list = wholeSequence(der, what);
  const found = new Map<string, Extension>();
  while (!list.done) {
    const extension = list.sequence(what);
    const id = oid(extension.next(what), what);
    const flag = extension.optional(tags.boolean, what);
    const critical = flag !== undefined && boolean(flag, what);
    // DER leaves a default out (X.690 section 11.5).
    demand(flag === undefined || critical, `${what} ${id}: FALSE written out`);
    const value = octets(extension.next(what), what);
    extension.end(what);
    demand(!found.has(id), `${what} ${id}: twice`);
    demand(found.size < limits.extensions, `${what}: more than ${limits.extensions}`);
    found.set(id, { critical, value });
  }
  return found;
}

export interface BasicConstraints {
  readonly ca: boolean;
  /** Authorities that may follow below; undefined when unlimited. */
  readonly pathLength: number | undefined;
}

export function basicConstraints(extensions: Extensions): BasicConstraints {
  const extension = extensions.get(extensionIds.basicConstraints);
  if (extension === undefined) return { ca: false, pathLength: undefined };
  const what = 'basic constraints';
  const reader = wholeSequence(extension.value, what);
  const flag = reader.optional(tags.boolean, what);
  // Intel writes the default FALSE out.
  const ca = flag !== undefined && boolean(flag, what);
  const length = reader.optional(tags.integer, what);
  reader.end(what);
  demand(ca || length === undefined, `${what}: a path length without CA`);
  return { ca, pathLength: length === undefined ? undefined : smallInteger(length, what) };
}

/** Undefined when the extension is absent, which permits every use. */
export function keyUsage(extensions: Extensions): ReadonlySet<number> | undefined {
  const extension = extensions.get(extensionIds.keyUsage);
  if (extension === undefined) return undefined;
  const what = 'key usage';
  const reader = new DerReader(extension.value);
  const bits = namedBits(reader.next(what), what);
  reader.end(what);
  return bits;
}

/** Object identifiers of the purposes named; empty when the extension is absent. */
export function extendedKeyUsage(extensions: Extensions): readonly string[] {
  const extension = extensions.get(extensionIds.extendedKeyUsage);
  if (extension === undefined) return [];
  const what = 'extended key usage';
  const reader = wholeSequence(extension.value, what);
  const purposes: string[] = [];
  while (!reader.done) purposes.push(oid(reader.next(what), what));
  return purposes;
}
