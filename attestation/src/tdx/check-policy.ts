/** What the policy demands of a TDX platform and image beyond being genuine and current. */
import { hexOf } from '@tussah/protocol/bytes';
import type { Context } from '../context.ts';
import type { Policy, TdxImage } from '../policy/policy.ts';
import { isoOf } from '../steps/clock.ts';
import type { ReadCollateral } from './check-collateral.ts';
import type { PckPlatform } from './pck-extension.ts';
import type { TdxRecord } from './plan.ts';
import type { TdReport } from './quote.ts';

export interface TdxSubject {
  readonly report: TdReport | undefined;
  readonly platform: PckPlatform | undefined;
  readonly collateral: ReadCollateral | undefined;
  /** Of the TCB levels reached; none when one of them is not known. */
  readonly tcbDates: readonly number[];
}

/** Returns the names of the images whose measurements the report has. */
export function checkTdxPolicy(record: TdxRecord, subject: TdxSubject, { policy, clock }: Context): string[] {
  if (policy === undefined) {
    for (const id of [
      'policy',
      'evaluation-number',
      'collateral-age',
      'tcb-date',
      'platform',
      'image',
    ] as const)
      record.waive(`tdx.${id}`);
    return [];
  }
  const { report, platform, collateral, tcbDates } = subject;
  record.check('tdx.policy', policy.tdx !== undefined, { expected: 'a tdx section', got: policy.name });
  if (collateral !== undefined) {
    checkEvaluationNumber(record, collateral, policy.tdx?.evaluationNumberMin);
    checkAge(record, collateral, policy.collateralAgeMaxMs, clock);
  }
  checkTcbDate(record, tcbDates, policy.tdx?.tcbDateMin);
  checkPlatformId(record, platform, policy.tdx?.platforms);
  return report === undefined ? [] : checkImage(record, report, policy);
}

function checkEvaluationNumber(
  record: TdxRecord,
  { tcbInfo, qeIdentity }: ReadCollateral,
  min: number | undefined,
): void {
  if (tcbInfo === undefined || qeIdentity === undefined || min === undefined) return;
  const numbers = [tcbInfo.tcbEvaluationDataNumber, qeIdentity.tcbEvaluationDataNumber];
  record.check(
    'tdx.evaluation-number',
    numbers.every((number) => number >= min),
    { expected: `at least ${min}`, got: numbers.join(' and ') },
  );
}

function checkAge(
  record: TdxRecord,
  { tcbInfo, qeIdentity, crls }: ReadCollateral,
  maxMs: number,
  clock: Context['clock'],
): void {
  const dates = [tcbInfo?.issueDate, qeIdentity?.issueDate, ...crls.map(({ thisUpdateMs }) => thisUpdateMs)];
  const issued = dates.filter((date) => date !== undefined);
  const old = issued.filter((date) => !clock.within(date, date + maxMs));
  record.check('tdx.collateral-age', issued.length === 4 && old.length === 0, {
    expected: `issued within ${maxMs} ms before ${isoOf(clock.nowMs)}`,
    got: (old.length === 0 ? issued : old).map(isoOf).join(', '),
  });
}

function checkTcbDate(record: TdxRecord, dates: readonly number[], min: string | undefined): void {
  if (min === undefined) record.waive('tdx.tcb-date');
  else if (dates.length > 0)
    record.check(
      'tdx.tcb-date',
      dates.every((date) => date >= Date.parse(min)),
      { expected: `${min} or later`, got: dates.map(isoOf).join(', ') },
    );
}

function checkPlatformId(
  record: TdxRecord,
  platform: PckPlatform | undefined,
  listed: readonly string[] | undefined,
): void {
  if (listed === undefined) record.waive('tdx.platform');
  else if (platform !== undefined)
    record.check('tdx.platform', listed.includes(platform.ppid), {
      expected: `one of ${listed.length} PPIDs`,
      got: platform.ppid,
    });
}

function checkImage(record: TdxRecord, report: TdReport, policy: Policy): string[] {
  const measured = {
    mrTd: hexOf(report.mrTd),
    rtmr: report.rtmr.map(hexOf).join(),
    mrConfigId: hexOf(report.mrConfigId),
    mrOwner: hexOf(report.mrOwner),
    mrOwnerConfig: hexOf(report.mrOwnerConfig),
  };
  const same = (image: TdxImage) =>
    image.mrTd === measured.mrTd &&
    image.rtmr.join() === measured.rtmr &&
    image.mrConfigId === measured.mrConfigId &&
    image.mrOwner === measured.mrOwner &&
    image.mrOwnerConfig === measured.mrOwnerConfig;
  const images = policy.images.filter(({ tdx }) => tdx !== undefined && same(tdx)).map(({ name }) => name);
  record.check('tdx.image', images.length > 0, {
    expected: `the measurements of ${policy.images.map(({ name }) => name).join(' or ')}`,
    got: `MRTD ${measured.mrTd}, RTMR ${measured.rtmr}`,
  });
  return images;
}
