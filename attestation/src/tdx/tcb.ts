/**
 * How up to date a platform is: Intel PCS API, "Get TDX TCB Info", section "TCB status evaluation"; DCAP quote verification
 * library, the same for the TDX module ("TDX module identity") and the quoting enclave.
 */
import { hexOf } from '@tussah/protocol/bytes';
import type { IsvLevel, TcbInfo, TcbLevel, TcbStatus } from './collateral.ts';
import type { PckPlatform } from './pck-extension.ts';
import type { TdReport } from './quote.ts';

/** The first level, from the newest down, that every version number of the platform reaches. */
export function platformLevel(info: TcbInfo, platform: PckPlatform, svn: Uint8Array): TcbLevel | undefined {
  // The first two stand for the module, once its identity has levels of its own.
  const from = moduleVersion(svn) > 0 ? 2 : 0;
  return info.tcbLevels.find(
    ({ tcb }) =>
      tcb.sgxtcbcomponents.every((component, i) => (platform.components[i] ?? -1) >= component.svn) &&
      platform.pceSvn >= tcb.pcesvn &&
      tcb.tdxtcbcomponents.every((component, i) => i < from || (svn[i] ?? -1) >= component.svn),
  );
}

export const isvLevel = (levels: readonly IsvLevel[], svn: number): IsvLevel | undefined =>
  levels.find(({ tcb }) => svn >= tcb.isvsvn);

/** TEE_TCB_SVN[1]; 0 is the first module, which has no identity of its own. */
export const moduleVersion = (svn: Uint8Array): number => svn[1] ?? 0;

export interface ModuleIdentity {
  readonly mrsigner: string;
  readonly attributes: string;
  readonly attributesMask: string;
  /** Undefined for the first module: its number is among the platform's components. */
  readonly levels: readonly IsvLevel[] | undefined;
}

/** Undefined when the collateral does not know a module of this version. */
export function moduleIdentity(info: TcbInfo, svn: Uint8Array): ModuleIdentity | undefined {
  const version = moduleVersion(svn);
  if (version === 0) return { ...info.tdxModule, levels: undefined };
  const id = `TDX_${hexOf(Uint8Array.of(version)).toUpperCase()}`;
  const known = info.tdxModuleIdentities.find((each) => each.id === id);
  return known === undefined ? undefined : { ...known, levels: known.tcbLevels };
}

/** All version numbers under which the TD runs or ran: at its launch, and at the time of the quote. */
export const runningSvns = ({ teeTcbSvn, teeTcbSvn2 }: TdReport): readonly Uint8Array[] =>
  teeTcbSvn2 === undefined ? [teeTcbSvn] : [teeTcbSvn, teeTcbSvn2];

/**
 * Several statuses as one, as Intel's library merges those of platform, module and quoting enclave (QVL, TcbLevelCheck.cpp
 * and TdxModuleCheck.cpp): their names say what is in them. Who is out of date needs hardening anyway. Undefined for none.
 */
export function mergedStatus(statuses: readonly TcbStatus[]): TcbStatus | undefined {
  if (statuses.length === 0) return undefined;
  const some = (part: string) => statuses.some((status) => status.includes(part));
  if (some('Revoked')) return 'Revoked';
  if (some('OutOfDate')) return some('Configuration') ? 'OutOfDateConfigurationNeeded' : 'OutOfDate';
  if (some('Configuration'))
    return some('SWHardening') ? 'ConfigurationAndSWHardeningNeeded' : 'ConfigurationNeeded';
  return some('SWHardening') ? 'SWHardeningNeeded' : 'UpToDate';
}
