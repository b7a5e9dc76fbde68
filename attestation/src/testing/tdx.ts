/** Simulated TDX evidence, for the suites about it. */
import type { Policy } from '../policy/policy.ts';
import { makeTdx } from '../simulated/tdx.ts';
import type { TdxChanges } from '../simulated/tdx-changes.ts';
import { simulatedTcbInfo } from '../simulated/tdx-collateral.ts';
import { Verifier } from '../verify.ts';
import { NOW, policy, world } from './world.ts';

export const reportData = new Uint8Array(64).fill(0x77);

export async function verdictOf(
  changes: TdxChanges,
  use: Policy | undefined = policy,
  nowMs = NOW,
  wanted = reportData,
) {
  const { quote, collateral } = await makeTdx(world.intel, { reportData, ...changes });
  return new Verifier().verify({ kind: 'tdx', quote, collateral, expectedReportData: wanted }, use, nowMs);
}

export const withTdx = (tdx: Partial<NonNullable<Policy['tdx']>>): Policy => ({
  ...policy,
  tdx: { statuses: ['UpToDate'], evaluationNumberMin: 17, ...tdx },
});
export const svn = (...bytes: number[]) => Uint8Array.from([...bytes, ...new Uint8Array(16 - bytes.length)]);
export const v5 = { version: 5, newer: true } as const;
const info = simulatedTcbInfo(NOW);
export const [newest, oldest] = info.tcbLevels;
export const [module] = info.tdxModuleIdentities;
