/** Whether Intel knows the platform's, the quoting enclave's and the module's versions, and whether the policy allows them. */
import { hexOf } from '@tussah/protocol/bytes';
import { equalUnderMask, isZero } from '../bytes/bytes.ts';
import { fromHex } from '../bytes/text-encodings.ts';
import type { TdxPolicy } from '../policy/policy.ts';
import type { IsvLevel, QeIdentity, TcbInfo, TcbLevel, TcbStatus } from './collateral.ts';
import type { PckPlatform } from './pck-extension.ts';
import type { TdxRecord } from './plan.ts';
import type { Quote } from './quote.ts';
import { isvLevel, mergedStatus, moduleIdentity, moduleVersion, platformLevel, runningSvns } from './tcb.ts';

export interface TcbFacts {
  /** All of them merged; undefined when one of them is not known. */
  readonly status: TcbStatus | undefined;
  readonly advisories: readonly string[];
  /** Dates of the levels reached: platform (at the TD's launch and, with TDX 1.5, now), quoting enclave, module. */
  readonly dates: readonly number[];
}

export function checkTcb(
  record: TdxRecord,
  quote: Quote,
  platform: PckPlatform | undefined,
  {
    tcbInfo,
    qeIdentity,
  }: { readonly tcbInfo: TcbInfo | undefined; readonly qeIdentity: QeIdentity | undefined },
  policy: TdxPolicy | undefined,
): TcbFacts {
  const platformLevels = tcbInfo && platform && checkPlatform(record, quote, platform, tcbInfo);
  const qeLevels = qeIdentity && checkQe(record, quote, qeIdentity);
  const moduleLevels = tcbInfo && checkModule(record, quote, tcbInfo);
  const levels = [...(platformLevels ?? []), ...(qeLevels ?? []), ...(moduleLevels ?? [])];
  const complete = platformLevels !== undefined && qeLevels !== undefined && moduleLevels !== undefined;
  const status = complete ? mergedStatus(levels.map(({ tcbStatus }) => tcbStatus)) : undefined;
  if (status !== undefined) {
    const allowed: readonly TcbStatus[] = policy?.statuses ?? ['UpToDate'];
    record.check('tdx.tcb.status', allowed.includes(status), {
      expected: allowed.join(' or '),
      got: `${status} (${levels.map(({ tcbStatus }) => tcbStatus).join(', ')})`,
    });
  }
  return {
    status,
    advisories: [...new Set(levels.flatMap(({ advisoryIDs }) => advisoryIDs))],
    dates: complete ? levels.map(({ tcbDate }) => tcbDate) : [],
  };
}

/** The levels reached; undefined when one of them is not known. So do those below. */
function checkPlatform(
  record: TdxRecord,
  { report }: Quote,
  platform: PckPlatform,
  info: TcbInfo,
): readonly TcbLevel[] | undefined {
  record.check('tdx.tcb-info.fmspc', info.fmspc === platform.fmspc, {
    expected: platform.fmspc,
    got: info.fmspc,
  });
  record.check('tdx.tcb-info.pce-id', info.pceId === platform.pceId, {
    expected: platform.pceId,
    got: info.pceId,
  });
  const found = runningSvns(report).map((svn) => platformLevel(info, platform, svn));
  const levels = found.filter((level) => level !== undefined);
  const known = record.check('tdx.tcb.platform', levels.length === found.length, {
    expected: `a level among ${info.tcbLevels.length}`,
    got: `components ${platform.components.join(' ')}, PCE ${platform.pceSvn}, TDX ${hexOf(report.teeTcbSvn)}`,
  });
  return known ? levels : undefined;
}

function checkQe(
  record: TdxRecord,
  { qeReport }: Quote,
  identity: QeIdentity,
): readonly IsvLevel[] | undefined {
  const level = isvLevel(identity.tcbLevels, qeReport.isvSvn);
  record.check('tdx.tcb.qe', level !== undefined, { expected: 'a level', got: `version ${qeReport.isvSvn}` });
  return level && [level];
}

/** The first TDX module has no levels of its own; the platform's stand for it. */
function checkModule(record: TdxRecord, { report }: Quote, info: TcbInfo): readonly IsvLevel[] | undefined {
  const svns = runningSvns(report);
  const identities = svns.map((svn) => moduleIdentity(info, svn));
  const known = identities.filter((identity) => identity !== undefined);
  const all = record.check('tdx.module.identity', known.length === identities.length, {
    expected: info.tdxModuleIdentities.map(({ id }) => id).join(', '),
    got: `module version ${svns.map(moduleVersion).join(', ')}`,
  });
  if (!all) return undefined;
  const signer = hexOf(report.mrSignerSeam);
  record.check(
    'tdx.module.signer',
    known.every(({ mrsigner }) => mrsigner === signer),
    { expected: known[0]?.mrsigner ?? '', got: signer },
  );
  const wanted = (text: string) => fromHex(text, 'TCB info');
  // Zero whatever the mask is: QVL, 4.1.2.4.11.2.
  record.check(
    'tdx.module.attributes',
    isZero(report.seamAttributes) &&
      known.every((each) =>
        equalUnderMask(report.seamAttributes, wanted(each.attributes), wanted(each.attributesMask)),
      ),
    {
      expected: `zero, and ${known[0]?.attributes} under ${known[0]?.attributesMask}`,
      got: hexOf(report.seamAttributes),
    },
  );
  const demanded = known.flatMap(({ levels }, i) =>
    levels === undefined ? [] : [{ levels, svn: svns[i]?.[0] ?? -1 }],
  );
  if (demanded.length === 0) {
    record.waive('tdx.module.level');
    return [];
  }
  const levels = demanded
    .map(({ levels, svn }) => isvLevel(levels, svn))
    .filter((level) => level !== undefined);
  const reached = record.check('tdx.module.level', levels.length === demanded.length, {
    expected: 'a level',
    got: `version ${demanded.map(({ svn }) => svn).join(', ')}`,
  });
  return reached ? levels : undefined;
}
