/** Simulated TDX quotes of versions 4 and 5. */
import { concatBytes, utf8, type Bytes } from '../bytes/bytes.ts';
import type { TdxImage } from '../policy/policy.ts';
import { pemChain } from './certificates.ts';
import { filled, hexBytes, u16, u32, zeros } from './fixed-bytes.ts';
import { qeSigner, qeVendor } from './intel.ts';
import { pointOf, signRaw } from './keys.ts';
import type { QeReportSpec, TdxChanges, TdxSigner } from './tdx-changes.ts';

/** The image that simulated evidence measures unless it is told otherwise. */
export const simulatedTdxImage: TdxImage = {
  mrTd: 'd1'.repeat(48),
  rtmr: ['00'.repeat(48), '01'.repeat(48), '02'.repeat(48), '03'.repeat(48)],
  mrConfigId: '00'.repeat(48),
  mrOwner: '00'.repeat(48),
  mrOwnerConfig: '00'.repeat(48),
};
export async function makeQuote(intel: TdxSigner, changes: TdxChanges): Promise<Bytes> {
  const version = changes.version ?? 4;
  const { keyType = 2, teeType = 0x81, vendor = qeVendor } = changes.header ?? {};
  const header = concatBytes(u16(version), u16(keyType), u32(teeType), zeros(4), hexBytes(vendor), zeros(20));
  const body = tdReport(changes);
  const frame = version === 4 ? zeros(0) : concatBytes(u16(changes.newer ? 3 : 2), u32(body.length));
  const signedPart = concatBytes(header, frame, body);
  const attestationKey = pointOf(intel.attestationKey).slice(1);
  const authData = filled(32, 7);
  const binding = await crypto.subtle.digest('SHA-256', concatBytes(attestationKey, authData));
  const report = qeReport(concatBytes(new Uint8Array(binding), zeros(32)), changes.qeReport);
  const chain = [intel.pck, intel.authority, intel.root];
  const pck = utf8(pemChain((changes.pckChain ?? ((same) => same))(chain)));
  const certification = concatBytes(
    report,
    await signRaw(changes.qeReportKey ?? intel.pckKey, report),
    u16(authData.length),
    authData,
    u16(5),
    u32(pck.length),
    pck,
  );
  const signature = await signRaw(changes.quoteKey ?? intel.attestationKey, signedPart);
  const data = concatBytes(signature, attestationKey, u16(6), u32(certification.length), certification);
  return concatBytes(signedPart, u32(data.length), data, changes.trailing ?? zeros(0));
}

function tdReport({ body = {}, image = {}, reportData = zeros(64), newer = false }: TdxChanges): Bytes {
  const measured = { ...simulatedTdxImage, ...image };
  const svn = Uint8Array.of(6, 1, 3, ...zeros(13));
  return concatBytes(
    body.teeTcbSvn ?? svn,
    filled(48, 0x5e),
    body.mrSignerSeam ?? zeros(48),
    body.seamAttributes ?? zeros(8),
    body.tdAttributes ?? Uint8Array.of(0, 0, 0, 0x10, 0, 0, 0, 0),
    body.xfam ?? Uint8Array.of(0xe7, 2, 6, 0, 0, 0, 0, 0),
    ...[measured.mrTd, measured.mrConfigId, measured.mrOwner, measured.mrOwnerConfig].map(hexBytes),
    ...measured.rtmr.map(hexBytes),
    reportData,
    ...(newer ? [body.teeTcbSvn2 ?? svn, body.mrServiceTd ?? zeros(48)] : []),
  );
}

function qeReport(binding: Bytes, changes: Partial<QeReportSpec> = {}): Bytes {
  const report = zeros(384);
  report.set(changes.miscSelect ?? zeros(4), 16);
  report.set(changes.attributes ?? Uint8Array.of(0x11), 48);
  report.set(changes.mrSigner ?? hexBytes(qeSigner), 128);
  report.set(u16(changes.isvProdId ?? 2), 256);
  report.set(u16(changes.isvSvn ?? 6), 258);
  report.set(changes.reportData ?? binding, 320);
  return report;
}
