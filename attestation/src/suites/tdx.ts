/** TDX: simulated evidence that is right, and what policies make of it. */
import { describe, expect, it } from 'vitest';
import type { Policy } from '../policy/policy.ts';
import { DAY_MS } from '../simulated/certificates.ts';
import { makeTdx, simulatedPpid } from '../simulated/tdx.ts';
import type { TdxChanges } from '../simulated/tdx-changes.ts';
import { newest, oldest, svn, v5, verdictOf, withTdx } from '../testing/tdx.ts';
import { failed, NOW, policy, world } from '../testing/world.ts';
import { Verifier } from '../verify.ts';

describe('TDX evidence that is right', () => {
  it.each([
    ['version 4', {}],
    ['version 5 with a TD report of TDX 1.0', { version: 5 }],
    ['version 5 with a TD report of TDX 1.5', v5],
    ['padding with zeros behind the quote', { trailing: new Uint8Array(70) }],
    ['the first module, which has no identity of its own', { body: { teeTcbSvn: svn(5, 0, 3) } }],
    ['attributes that are harmless', { body: { tdAttributes: Uint8Array.of(0, 0, 0, 0xd8, 0, 0, 0, 0) } }],
    [
      'the processor authority',
      {
        authority: { commonName: 'Intel SGX PCK Processor CA' },
        pck: { issuerName: 'Intel SGX PCK Processor CA' },
        pckCrl: { issuerName: 'Intel SGX PCK Processor CA' },
      },
    ],
  ] satisfies [string, TdxChanges][])('is accepted: %s', async (_, changes) => {
    const verdict = await verdictOf(changes);
    expect(failed(verdict)).toEqual([]);
    expect(verdict.verdict).toBe('accepted');
    expect(verdict.claims).toMatchObject({
      simulated: true,
      tcbStatus: 'UpToDate',
      images: ['simulated-node'],
    });
  });

  it('needs no report data to be expected, and then says that it was not checked', async () => {
    const { quote, collateral } = await makeTdx(world.intel);
    const verdict = await new Verifier().verify({ kind: 'tdx', quote, collateral }, policy, NOW);
    expect(verdict.verdict).toBe('accepted');
    expect(verdict.steps.find(({ id }) => id === 'tdx.report-data')?.status).toBe('unchecked');
  });

  it('lists what needs a policy as unchecked without one; simulated evidence is then refused', async () => {
    const verdict = await verdictOf({}, undefined, NOW);
    const { quote, collateral } = await makeTdx(world.intel);
    const bare = await new Verifier().verify({ kind: 'tdx', quote, collateral }, undefined, NOW);
    expect(bare.verdict).toBe('rejected');
    expect(failed(bare)).toEqual(['tdx.pck-chain.root', 'tdx.tcb-chain.root', 'tdx.qe-chain.root']);
    expect(verdict.verdict).toBe('accepted');
    const unchecked = bare.steps.filter(({ status }) => status === 'unchecked').map(({ id }) => id);
    expect(unchecked).toEqual(
      ['policy', 'evaluation-number', 'collateral-age', 'tcb-date', 'platform', 'image', 'report-data'].map(
        (id) => `tdx.${id}`,
      ),
    );
  });

  it('is accepted with older software where the policy says so, and the worst status is claimed', async () => {
    const verdict = await verdictOf(
      { qeReport: { isvSvn: 2 } },
      withTdx({ statuses: ['UpToDate', 'OutOfDate'] }),
    );
    expect(verdict).toMatchObject({
      verdict: 'accepted',
      claims: { tcbStatus: 'OutOfDate', advisories: ['INTEL-SA-00837'] },
    });
  });
});

describe('TDX evidence under a policy', () => {
  const strict: [string, Policy, string[]][] = [
    ['a policy without TDX', { ...policy, tdx: undefined }, ['policy']],
    [
      'a policy that names no simulated root',
      { ...policy, simulatedRoots: [] },
      ['pck-chain.root', 'tcb-chain.root', 'qe-chain.root'],
    ],
    ['a policy with a later TCB date', withTdx({ tcbDateMin: '2024-03-14T00:00:00Z' }), ['tcb-date']],
    ['a policy for other platforms', withTdx({ platforms: ['00'.repeat(16)] }), ['platform']],
    ['a policy for images of another kind', { ...policy, images: [{ name: 'simulated-node' }] }, ['image']],
  ];
  it.each(strict)('%s', async (_, use, ids) => {
    const verdict = await verdictOf({}, use);
    expect(failed(verdict).sort()).toEqual(ids.map((id) => `tdx.${id}`).sort());
    expect(verdict.verdict).toBe('rejected');
  });

  it('statuses are judged together, as Intel merges them', async () => {
    const configured = { tcbInfo: { tcbLevels: [{ ...newest, tcbStatus: 'ConfigurationNeeded' }, oldest] } };
    const hardened = { tcbInfo: { tcbLevels: [{ ...newest, tcbStatus: 'SWHardeningNeeded' }, oldest] } };
    const both = { ...configured, qeReport: { isvSvn: 2 } };
    const use = withTdx({ statuses: ['UpToDate', 'ConfigurationNeeded', 'OutOfDate'] });
    expect((await verdictOf(configured, use)).verdict).toBe('accepted');
    expect(failed(await verdictOf(both, use))).toEqual(['tdx.tcb.status']);
    expect((await verdictOf(both, withTdx({ statuses: ['OutOfDateConfigurationNeeded'] }))).verdict).toBe(
      'accepted',
    );
    expect(failed(await verdictOf(hardened, use))).toEqual(['tdx.tcb.status']);
  });

  it('the levels of quoting enclave and module are of the date demanded as well', async () => {
    const use = withTdx({ statuses: ['OutOfDate'], tcbDateMin: '2024-03-13T00:00:00Z' });
    for (const changes of [{ qeReport: { isvSvn: 2 } }, { body: { teeTcbSvn: svn(3, 1, 3) } }])
      expect(failed(await verdictOf(changes, use))).toEqual(['tdx.tcb-date']);
  });

  it('a date can not be judged where a level is not known', async () => {
    const use = withTdx({ tcbDateMin: '2024-03-13T00:00:00Z' });
    const verdict = await verdictOf({ qeReport: { isvSvn: 0 } }, use);
    expect(failed(verdict)).toEqual(['tdx.tcb.qe']);
    expect(verdict.steps.filter(({ status }) => status === 'unchecked').map(({ id }) => id)).toEqual([
      'tdx.tcb.status',
      'tdx.tcb-date',
      'tdx.platform',
    ]);
  });

  it('a policy that lists the platform and the date is met', async () => {
    const use = withTdx({ tcbDateMin: '2024-03-13T00:00:00Z', platforms: [simulatedPpid] });
    expect((await verdictOf({}, use)).verdict).toBe('accepted');
  });

  it('the moment decides: right after the collateral has ended, and right before', async () => {
    const ends = NOW + 29 * DAY_MS;
    const use = { ...policy, collateralAgeMaxMs: 300 * DAY_MS };
    expect(failed(await verdictOf({}, use, ends))).toEqual([]);
    expect(failed(await verdictOf({}, use, ends + 1))).toEqual(
      ['root-crl.dates', 'pck-crl.dates', 'tcb-info.dates', 'qe-identity.dates'].map((id) => `tdx.${id}`),
    );
  });

  it.each([
    ['no collateral', null],
    ['a list', []],
    ['members missing', {}],
  ])('collateral that is none: %s', async (_, collateral) => {
    const { quote } = await makeTdx(world.intel);
    const verdict = await new Verifier().verify({ kind: 'tdx', quote, collateral }, policy, NOW);
    expect(failed(verdict)).toContain('tdx.collateral');
    expect(verdict.verdict).toBe('rejected');
  });

  it.each([
    'root_ca_crl',
    'pck_crl',
    'tcb_info_issuer_chain',
    'tcb_info',
    'tcb_info_signature',
    'qe_identity_issuer_chain',
    'qe_identity',
    'qe_identity_signature',
  ])('garbage for %s', async (member) => {
    const { quote, collateral } = await makeTdx(world.intel);
    for (const garbage of ['', 'zz', 'deadbeef', 'x'.repeat(300_000)]) {
      const evidence = { kind: 'tdx', quote, collateral: { ...collateral, [member]: garbage } } as const;
      expect((await new Verifier().verify(evidence, policy, NOW)).verdict).toBe('rejected');
    }
  });
});
