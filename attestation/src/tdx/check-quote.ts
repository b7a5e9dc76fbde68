/** What can be said of the quote itself: header, PCK chain, signatures, the trust domain's attributes. */
import { hexOf } from '@tussah/protocol/bytes';
import { ByteReader } from '../bytes/byte-reader.ts';
import { concatBytes, equalBytes, equalUnderMask, isZero } from '../bytes/bytes.ts';
import { fromHex } from '../bytes/text-encodings.ts';
import { acceptedRoots, type Context } from '../context.ts';
import { p256Point, verifyRaw } from '../x509/algorithms.ts';
import type { Certificate } from '../x509/certificate.ts';
import { checkChain } from '../x509/chain.ts';
import type { QeIdentity } from './collateral.ts';
import type { TdxRecord } from './plan.ts';
import type { QeReport, Quote, TdReport } from './quote.ts';
import { intelRoots } from './roots.ts';

const INTEL_QE = '939a7233f79c4ca9940a0db3957f0607';
const ECDSA_P256 = 2;
const TDX = 0x81;

export function checkHeader(record: TdxRecord, quote: Quote): void {
  record.check('tdx.length', isZero(quote.trailing), {
    expected: 'nothing but zeros',
    got: `${quote.trailing.length} bytes`,
  });
  record.check('tdx.attestation-key-type', quote.attestationKeyType === ECDSA_P256, {
    expected: String(ECDSA_P256),
    got: String(quote.attestationKeyType),
  });
  record.check('tdx.tee-type', quote.teeType === TDX, {
    expected: '0x81',
    got: `0x${quote.teeType.toString(16)}`,
  });
  const vendor = hexOf(quote.qeVendorId);
  record.check('tdx.qe-vendor', vendor === INTEL_QE, { expected: INTEL_QE, got: vendor });
}

export async function checkPckChain(
  record: TdxRecord,
  chain: readonly Certificate[],
  context: Context,
): Promise<void> {
  const roots = acceptedRoots(intelRoots, context.policy);
  await checkChain(record, 'tdx.pck-chain', chain, { length: 3, roots }, context);
  const [leaf, authority] = chain.map(({ commonName }) => commonName);
  record.check('tdx.pck-chain.subject', leaf === 'Intel SGX PCK Certificate', {
    expected: 'Intel SGX PCK Certificate',
    got: leaf ?? 'nothing',
  });
  const authorities = ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'];
  record.check('tdx.pck-chain.authority', authorities.includes(authority ?? ''), {
    expected: authorities.join(' or '),
    got: authority ?? 'nothing',
  });
}

/** From the platform's certified key to the quoting enclave, from that to the attestation key, from that to the quote. */
export async function checkSignatures(record: TdxRecord, quote: Quote, pck: Certificate): Promise<void> {
  const { qeReport } = quote;
  const byPlatform = await verifyRaw(pck.key, 'ecdsa-sha256', quote.qeReportSignature, qeReport.raw);
  record.check('tdx.qe-report.signature', byPlatform);
  const bound = concatBytes(quote.attestationKey, quote.qeAuthData);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bound));
  const expected = concatBytes(digest, new Uint8Array(32));
  record.check('tdx.qe-report.binding', equalBytes(expected, qeReport.reportData), {
    expected: hexOf(expected),
    got: hexOf(qeReport.reportData),
  });
  const key = p256Point(quote.attestationKey);
  const byEnclave = await verifyRaw(key, 'ecdsa-sha256', quote.signature, quote.signed);
  record.check('tdx.quote.signature', byEnclave);
}

/** Intel PCS API, "Get TDX QE Identity". Both numbers in MISCSELECT are written most significant byte first. */
export function checkQeReport(record: TdxRecord, report: QeReport, identity: QeIdentity): void {
  const wanted = (text: string) => fromHex(text, 'QE identity');
  const miscSelect = report.miscSelect.toReversed();
  record.check(
    'tdx.qe-report.misc-select',
    equalUnderMask(miscSelect, wanted(identity.miscselect), wanted(identity.miscselectMask)),
    { expected: `${identity.miscselect} under ${identity.miscselectMask}`, got: hexOf(miscSelect) },
  );
  record.check(
    'tdx.qe-report.attributes',
    equalUnderMask(report.attributes, wanted(identity.attributes), wanted(identity.attributesMask)),
    { expected: `${identity.attributes} under ${identity.attributesMask}`, got: hexOf(report.attributes) },
  );
  const signer = hexOf(report.mrSigner);
  record.check('tdx.qe-report.signer', signer === identity.mrsigner, {
    expected: identity.mrsigner,
    got: signer,
  });
  record.check('tdx.qe-report.product', report.isvProdId === identity.isvprodid, {
    expected: String(identity.isvprodid),
    got: String(report.isvProdId),
  });
}

/** Bits of TDATTRIBUTES: Intel TDX Module Base Architecture, "ATTRIBUTES". Those not named here are refused. */
const attributes = { debug: 0n, lass: 27n, septVeDisable: 28n, pks: 30n, keyLocker: 31n } as const;
const bit = (n: bigint): bigint => 1n << n;
const harmless = bit(attributes.lass) | bit(attributes.pks) | bit(attributes.keyLocker);

/**
 * XFAM: x87 and SSE are always on, and of the other extended features only those that the module lets a TD use (Intel TDX
 * Module Base Architecture, "XFAM"; the mask is that of go-tdx-guest). The host chooses it.
 */
const xfam = { always: 0x3n, atMost: 0x6dbe7n } as const;

const bitsOf = (bytes: Uint8Array): bigint => new ByteReader(bytes).u64('bits');

export function checkTd(record: TdxRecord, report: TdReport): void {
  const { mrServiceTd } = report;
  const bits = bitsOf(report.tdAttributes);
  const got = `0x${bits.toString(16)}`;
  record.check('tdx.td.debug', (bits & bit(attributes.debug)) === 0n, { expected: 'bit 0 clear', got });
  record.check('tdx.td.sept-ve-disable', (bits & bit(attributes.septVeDisable)) !== 0n, {
    expected: 'bit 28 set',
    got,
  });
  const known = harmless | bit(attributes.debug) | bit(attributes.septVeDisable);
  record.check('tdx.td.attributes', (bits & ~known) === 0n, {
    expected: 'bits 27, 28, 30 and 31 at most',
    got,
  });
  const features = bitsOf(report.xfam);
  record.check('tdx.td.xfam', (features & xfam.always) === xfam.always && (features & ~xfam.atMost) === 0n, {
    expected: `0x${xfam.always.toString(16)} at least, 0x${xfam.atMost.toString(16)} at most`,
    got: `0x${features.toString(16)}`,
  });
  record.check('tdx.td.service', mrServiceTd === undefined || isZero(mrServiceTd), {
    expected: 'none bound',
    got: mrServiceTd === undefined ? 'none bound' : hexOf(mrServiceTd),
  });
}
