/** Whether Intel knows the platform's, the quoting enclave's and the module's versions, and whether the policy allows them. */
import { hexOf } from '@tussah/protocol/bytes';
import { equalUnderMask } from '../bytes/bytes.ts';
import { fromHex } from '../bytes/text-encodings.ts';
import type { TdxPolicy } from '../policy/policy.ts';
import type { QeIdentity, TcbInfo, TcbLevel, TcbStatus } from './collateral.ts';
import type { PckPlatform } from './pck-extension.ts';
import type { TdxRecord } from './plan.ts';
import type { Quote } from './quote.ts';
import { isvLevel, moduleIdentity, moduleVersion, platformLevel, runningSvns, worstStatus } from './tcb.ts';

export interface TcbFacts {
  /** The worst of the three; undefined when none is known. */
  readonly status: TcbStatus | undefined;
  readonly advisories: readonly string[];
  /** The platform's levels: at the TD's launch and, with TDX 1.5, now. */
  readonly levels: readonly TcbLevel[];
}

interface Level {
  readonly tcbStatus: TcbStatus;
  readonly advisoryIDs: readonly string[];
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
  const allowed: readonly TcbStatus[] = policy?.statuses ?? ['UpToDate'];
  const levels = tcbInfo && platform ? checkPlatform(record, quote, platform, tcbInfo, allowed) : [];
  const qe = qeIdentity === undefined ? [] : checkQe(record, quote, qeIdentity, allowed);
  const modules = tcbInfo === undefined ? [] : checkModule(record, quote, tcbInfo, allowed);
  const found: readonly Level[] = [...levels, ...qe, ...modules];
  return {
    status: worstStatus(found.map(({ tcbStatus }) => tcbStatus)),
    advisories: [...new Set(found.flatMap(({ advisoryIDs }) => advisoryIDs))],
    levels,
  };
}

function checkPlatform(
  record: TdxRecord,
  { report }: Quote,
  platform: PckPlatform,
  info: TcbInfo,
  allowed: readonly TcbStatus[],
): readonly TcbLevel[] {
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
  if (known) checkStatuses(record, 'tdx.tcb.platform-status', levels, allowed);
  return levels;
}

function checkQe(
  record: TdxRecord,
  { qeReport }: Quote,
  identity: QeIdentity,
  allowed: readonly TcbStatus[],
) {
  const level = isvLevel(identity.tcbLevels, qeReport.isvSvn);
  record.check('tdx.tcb.qe', level !== undefined, { expected: 'a level', got: `version ${qeReport.isvSvn}` });
  if (level !== undefined) checkStatuses(record, 'tdx.tcb.qe-status', [level], allowed);
  return level === undefined ? [] : [level];
}

/** The first TDX module has no levels of its own; the platform's stand for it. */
function checkModule(record: TdxRecord, { report }: Quote, info: TcbInfo, allowed: readonly TcbStatus[]) {
  const svns = runningSvns(report);
  const identities = svns.map((svn) => moduleIdentity(info, svn));
  const known = identities.filter((identity) => identity !== undefined);
  const all = record.check('tdx.module.identity', known.length === identities.length, {
    expected: info.tdxModuleIdentities.map(({ id }) => id).join(', '),
    got: `module version ${svns.map(moduleVersion).join(', ')}`,
  });
  if (!all) return [];
  const signer = hexOf(report.mrSignerSeam);
  record.check(
    'tdx.module.signer',
    known.every(({ mrsigner }) => mrsigner === signer),
    { expected: known[0]?.mrsigner ?? '', got: signer },
  );
  const wanted = (text: string) => fromHex(text, 'TCB info');
  record.check(
    'tdx.module.attributes',
    known.every((each) =>
      equalUnderMask(report.seamAttributes, wanted(each.attributes), wanted(each.attributesMask)),
    ),
    {
      expected: `${known[0]?.attributes} under ${known[0]?.attributesMask}`,
      got: hexOf(report.seamAttributes),
    },
  );
  const demanded = known.flatMap(({ levels }, i) =>
    levels === undefined ? [] : [{ levels, svn: svns[i]?.[0] ?? -1 }],
  );
  const levels = demanded
    .map(({ levels, svn }) => isvLevel(levels, svn))
    .filter((level) => level !== undefined);
  const reached = record.check('tdx.module.level', levels.length === demanded.length, {
    expected: 'a level',
    got: `version ${demanded.map(({ svn }) => svn).join(', ')}`,
  });
  if (reached) checkStatuses(record, 'tdx.module.status', levels, allowed);
  return levels;
}

function checkStatuses(
  record: TdxRecord,
  id: 'tdx.tcb.platform-status' | 'tdx.tcb.qe-status' | 'tdx.module.status',
  levels: readonly Level[],
  allowed: readonly TcbStatus[],
): void {
  record.check(
    id,
    levels.every(({ tcbStatus }) => allowed.includes(tcbStatus)),
    { expected: allowed.join(' or '), got: levels.map(({ tcbStatus }) => tcbStatus).join(', ') },
  );
}
