/** Certificate revocation lists, RFC 5280 section 5. */
import type { Bytes } from '../bytes/bytes.ts';
import { DerReader, explicit, tags, wholeSequence } from '../der/der.ts';
import { integerHex, nextTime, smallInteger, wholeBytes } from '../der/values.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';
import { rawEcdsa, signatureAlgorithm, type SignatureAlgorithm } from './algorithms.ts';
import { extensionIds, readExtensions } from './extensions.ts';

export interface RevocationList {
  readonly tbs: Bytes;
  readonly issuer: Bytes;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Serial numbers as in `Certificate`. */
  readonly revoked: ReadonlySet<string>;
  readonly algorithm: SignatureAlgorithm;
  readonly signature: Bytes;
}

/** Throws `Malformed`; `nextUpdate` must be there, and no extension that would narrow or move what the list says. */
export function parseCrl(raw: Bytes): RevocationList {
  const what = 'CRL';
  demand(raw.length <= limits.derBytes, `${what}: larger than ${limits.derBytes} bytes`);
  const outer = wholeSequence(raw, what);
  const tbsElement = outer.expect(tags.sequence, what);
  const algorithm = signatureAlgorithm(outer.expect(tags.sequence, what).raw, what);
  const signature = wholeBytes(outer.next(what), `${what} signature`);
  outer.end(what);
  if (algorithm !== 'rsa-pss-sha384') rawEcdsa(signature, algorithm === 'ecdsa-sha256' ? 32 : 48);

  const tbs = new DerReader(tbsElement.value);
  demand(smallInteger(tbs.next(what), what) === 1, `${what}: not of version 2`);
  const inner = signatureAlgorithm(tbs.expect(tags.sequence, what).raw, what);
  demand(inner === algorithm, `${what}: two different signature algorithms`);
  const issuer = tbs.expect(tags.sequence, `${what} issuer`).raw;
  const thisUpdateMs = nextTime(tbs, 'this update');
  const nextUpdateMs = nextTime(tbs, 'next update');
  const entries = tbs.optional(tags.sequence, 'revoked certificates');
  const revoked = entries === undefined ? new Set<string>() : readEntries(new DerReader(entries.value));
  const extensions = readExtensions(tbs.expect(explicit(0), 'CRL extensions').value, 'CRL extension');
  tbs.end(what);
  // Section 5.2: delta lists and lists of a part carry critical extensions of their own.
  const known = new Set<string>([extensionIds.crlNumber, extensionIds.authorityKeyIdentifier]);
  for (const id of extensions.keys()) demand(known.has(id), `${what}: unknown extension ${id}`);
  return { tbs: tbsElement.raw, issuer, thisUpdateMs, nextUpdateMs, revoked, algorithm, signature };
}

/** Entry extensions tell why and since when; whatever the reason, a listed certificate is refused. */
function readEntries(list: DerReader): Set<string> {
  const revoked = new Set<string>();
  while (!list.done) {
    const entry = list.sequence('revoked certificate');
    revoked.add(integerHex(entry.next('serial number'), 'serial number', limits.serialBytes));
    nextTime(entry, 'revocation date');
    demand(revoked.size <= limits.crlEntries, `CRL: more than ${limits.crlEntries} entries`);
    const extensions = entry.optional(tags.sequence, 'entry extensions');
    if (extensions !== undefined) refuseIndirect(extensions.raw);
    entry.end('revoked certificate');
  }
  return revoked;
}

const CERTIFICATE_ISSUER = '2.5.29.29';

/** Section 5.3.3: an entry of an indirect list is about another issuer's certificate. */
function refuseIndirect(der: Bytes): void {
  demand(!readExtensions(der, 'CRL entry extension').has(CERTIFICATE_ISSUER), 'CRL: an indirect list');
}
