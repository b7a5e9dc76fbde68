/**
 * Verifies a TDX quote against its collateral, offline: Intel TDX DCAP Quoting Library API, appendix A; Intel PCS API,
 * version 4; Intel SGX PCK Certificate and CRL Profile Specification.
 */
import { hexOf } from '@tussah/protocol/bytes';
import { equalBytes, type Bytes } from '../bytes/bytes.ts';
import type { Context } from '../context.ts';
import { isoOf } from '../steps/clock.ts';
import { StepRecord } from '../steps/record.ts';
import type { PartVerdict, Unused } from '../verdict.ts';
import { readCertificates } from '../x509/read-certificates.ts';
import { checkCollateral } from './check-collateral.ts';
import { checkTdxPolicy } from './check-policy.ts';
import { checkHeader, checkPckChain, checkQeReport, checkSignatures, checkTd } from './check-quote.ts';
import { checkTcb } from './check-tcb.ts';
import { readCollateral, unusedMembers } from './collateral.ts';
import { pckPlatform } from './pck-extension.ts';
import { tdxPlan, type TdxRecord } from './plan.ts';
import { parseQuote, type Quote } from './quote.ts';
import { intelRoots } from './roots.ts';

export interface TdxEvidence {
  readonly quote: Uint8Array;
  /** As read from JSON; its shape is a step. */
  readonly collateral: unknown;
  /** 64 bytes; undefined leaves the report data unchecked. */
  readonly expectedReportData?: Uint8Array | undefined;
}

export interface TdxFacts extends Unused {
  readonly quote: Quote;
  /** Names of the policy's images whose measurements these are. */
  readonly images: readonly string[];
}

export async function verifyTdx(evidence: TdxEvidence, context: Context): Promise<PartVerdict<TdxFacts>> {
  const record: TdxRecord = new StepRecord(tdxPlan);
  const quote = record.parse('tdx.quote', 'a TDX quote', () => parseQuote(evidence.quote as Bytes));
  const given = record.parse('tdx.collateral', 'collateral as JSON', () =>
    readCollateral(evidence.collateral),
  );
  const chain =
    quote &&
    record.parse('tdx.pck-chain.format', 'certificates in PEM', () => readCertificates(quote.pckChain));
  const [pck] = chain ?? [];
  const platform = pck && record.parse('tdx.pck-chain.platform', 'an SGX extension', () => pckPlatform(pck));
  if (quote) checkHeader(record, quote);
  if (quote) checkTd(record, quote.report);
  const [collateral] = await Promise.all([
    given && chain && checkCollateral(record, given, chain, context),
    chain && checkPckChain(record, chain, context),
    quote && pck && checkSignatures(record, quote, pck),
  ]);
  if (quote && collateral?.qeIdentity) checkQeReport(record, quote.qeReport, collateral.qeIdentity);
  const tcb = quote && collateral && checkTcb(record, quote, platform, collateral, context.policy?.tdx);
  const tcbDates = tcb?.dates ?? [];
  const subject = { report: quote?.report, platform, collateral, tcbDates };
  const images = checkTdxPolicy(record, subject, context);
  if (evidence.expectedReportData === undefined) record.waive('tdx.report-data');
  else if (quote) checkReportData(record, quote, evidence.expectedReportData);
  const roots = collateral?.roots ?? [];
  return {
    ...record.outcome(),
    claims: {
      kind: 'tdx',
      simulated: roots.some((root) => !intelRoots.some((pinned) => pinned === root)),
      ...(quote && claimsOf(quote)),
      ...(platform && { ppid: platform.ppid, fmspc: platform.fmspc }),
      tcbStatus: tcb?.status ?? null,
      tcbDates: tcbDates.map(isoOf),
      advisories: tcb?.advisories ?? [],
      evaluationNumber: collateral?.tcbInfo?.tcbEvaluationDataNumber ?? null,
      images,
    },
    facts: quote && { quote, images, unused: [...unusedIn(quote), ...unusedMembers(evidence.collateral)] },
  };
}

const unusedIn = ({ trailing }: Quote): string[] =>
  trailing.length === 0 ? [] : [`padding of ${trailing.length} bytes behind the quote`];

function checkReportData(record: TdxRecord, { report }: Quote, expected: Uint8Array): void {
  record.check('tdx.report-data', equalBytes(report.reportData, expected), {
    expected: hexOf(expected),
    got: hexOf(report.reportData),
  });
}

const claimsOf = ({ version, report }: Quote) => ({
  quoteVersion: version,
  mrTd: hexOf(report.mrTd),
  rtmr: report.rtmr.map(hexOf),
  mrConfigId: hexOf(report.mrConfigId),
  mrSeam: hexOf(report.mrSeam),
  tdAttributes: hexOf(report.tdAttributes),
  xfam: hexOf(report.xfam),
  reportData: hexOf(report.reportData),
});
