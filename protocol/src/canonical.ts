/**
 * Canonical bytes for signing and hashing: the JSON Canonicalization Scheme (RFC 8785), restricted to what needs no
 * interpretation: null, booleans, strings, safe integers, arrays and plain objects. Money is a decimal string.
 */
export type Canonical =
  | null
  | boolean
  | number
  | string
  | readonly Canonical[]
  | { readonly [key: string]: Canonical | undefined };

/**
 * RFC 8785 text of a value; members that are undefined are left out. Throws on a number that is not a safe integer and on
 * a lone surrogate.
 */
export function canonicalText(value: Canonical): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') {
    // RFC 8785 section 3.2.2.2: lone surrogates are an error.
    if (!value.isWellFormed()) throw new RangeError('a lone surrogate cannot be canonicalised');
    return JSON.stringify(value);
  }
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError('only safe integers can be canonicalised');
    return Object.is(value, -0) ? '0' : String(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalText(item as Canonical)).join(',')}]`;
  // The types forbid these, but as `{}` they would be signed without a trace.
  if (typeof value !== 'object') throw new RangeError(`a ${typeof value} cannot be canonicalised`);
  const record = value as { readonly [key: string]: Canonical | undefined };
  // RFC 8785 section 3.2.3: sorted by UTF-16 code units, which is JavaScript's default order.
  const members = Object.keys(record)
    .sort()
    .flatMap((key) => {
      const member = record[key];
      return member === undefined ? [] : [`${canonicalText(key)}:${canonicalText(member)}`];
    });
  return `{${members.join(',')}}`;
}

const encoder = new TextEncoder();

/** The bytes that are signed: a domain line, so that no statement can pass for one of another kind, then the JSON. */
export const signedBytes = (domain: string, value: Canonical): Uint8Array<ArrayBuffer> =>
  encoder.encode(`${domain}\n${canonicalText(value)}`);
