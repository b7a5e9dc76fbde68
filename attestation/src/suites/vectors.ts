/** Real TDX quotes, event logs and roots: every vector has its known verdict, with the right steps named. */
import { hexOf } from '@tussah/protocol/bytes';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { equalBytes } from '../bytes/bytes.ts';
import { fromHex } from '../bytes/text-encodings.ts';
import { readCcel } from '../event-log/ccel.ts';
import { readDstackLog } from '../event-log/dstack.ts';
import { replay } from '../event-log/replay.ts';
import { nvidiaRoots } from '../nvidia/roots.ts';
import type { Policy } from '../policy/policy.ts';
import { amdRoots } from '../snp/roots.ts';
import { parseQuote } from '../tdx/quote.ts';
import { intelRoots } from '../tdx/roots.ts';
import { real, unchecked, verify } from '../testing/real-evidence.ts';
import { vector, vectorJson, withVectors } from '../testing/vectors.ts';
import { failed } from '../testing/world.ts';
import { rootOf } from '../x509/chain.ts';
import { readCertificates } from '../x509/read-certificates.ts';

describe('real TDX quotes', () => {
  const at = '2025-06-20T10:16:03Z';
  const tdx = async (quote: string, collateral = 'tdx/tdx_quote_collateral.json') =>
    ({ kind: 'tdx', quote: await vector(quote), collateral: await vectorJson(collateral) }) as const;

  it(
    'version 4, up to date: accepted',
    withVectors(async () => {
      const verdict = await verify(await tdx('tdx/tdx_quote'), at);
      expect(failed(verdict)).toEqual([]);
      expect(verdict).toMatchObject({
        verdict: 'accepted',
        claims: { simulated: false, tcbStatus: 'UpToDate', fmspc: 'b0c06f000000' },
      });
      expect(unchecked(verdict)).toContain('tdx.image');
    }),
  );

  it(
    'version 4, by a policy with its measurements: accepted',
    withVectors(async () => {
      const evidence = await tdx('tdx/tdx_quote');
      const { report } = parseQuote(evidence.quote);
      const rtmr = report.rtmr.map(hexOf) as [string, string, string, string];
      const image = {
        mrTd: hexOf(report.mrTd),
        rtmr,
        mrConfigId: '00'.repeat(48),
        mrOwner: '00'.repeat(48),
        mrOwnerConfig: '00'.repeat(48),
      };
      const policy: Policy = {
        ...real,
        images: [{ name: 'real', tdx: image }],
        tdx: { statuses: ['UpToDate'], evaluationNumberMin: 17 },
      };
      expect(await verify(evidence, at, policy)).toMatchObject({
        verdict: 'accepted',
        claims: { images: ['real'] },
      });
      const stricter = { ...policy, tdx: { statuses: ['UpToDate' as const], evaluationNumberMin: 18 } };
      expect(failed(await verify(evidence, at, stricter))).toEqual(['tdx.evaluation-number']);
    }),
  );

  it.for([
    [
      '2024-06-20T00:00:00Z',
      [
        'tdx.pck-chain.dates',
        'tdx.root-crl.dates',
        'tdx.pck-crl.dates',
        'tdx.tcb-chain.dates',
        'tdx.tcb-info.dates',
        'tdx.qe-chain.dates',
        'tdx.qe-identity.dates',
      ],
    ],
    [
      '2026-06-20T00:00:00Z',
      ['tdx.root-crl.dates', 'tdx.pck-crl.dates', 'tdx.tcb-info.dates', 'tdx.qe-identity.dates'],
    ],
  ] as const)('version 4 at %s: the collateral is not of that time', ([when, ids], context) =>
    withVectors(async () => {
      expect(failed(await verify(await tdx('tdx/tdx_quote'), when))).toEqual(ids);
    })(context),
  );

  it(
    'version 5 whose platform reaches no TCB level: rejected',
    withVectors(async () => {
      const evidence = await tdx('tdx/tdx_quote_outdated', 'tdx/tdx_quote_outdated_collateral.json');
      const verdict = await verify(evidence, '2026-02-20T00:00:00Z');
      expect(failed(verdict)).toEqual(['tdx.tcb.platform']);
      expect(verdict.verdict).toBe('rejected');
    }),
  );

  it(
    'version 5 with collateral of another platform family: rejected',
    withVectors(async () => {
      const verdict = await verify(await tdx('tdx-v5/quote_v5_sample.dat'), at);
      expect(failed(verdict)).toEqual(['tdx.pck-chain.dates', 'tdx.tcb-info.fmspc']);
    }),
  );

  it(
    'with bytes behind its end: rejected',
    withVectors(async () => {
      const verdict = await verify(await tdx('tdx-v5/tdx_prod_quote_SPR_E4.dat'), at);
      expect(failed(verdict)).toContain('tdx.length');
      expect(verdict.verdict).toBe('rejected');
    }),
  );

  it.for([
    ['TCB info', 'tcb_info', 'OutOfDate', 'UpToDate', 'tdx.tcb-info.signature'],
    ['a QE identity', 'qe_identity', '"isvprodid":2', '"isvprodid":3', 'tdx.qe-identity.signature'],
  ] as const)('%s that was tampered with: rejected', ([, member, from, to, id], context) =>
    withVectors(async () => {
      const evidence = await tdx('tdx/tdx_quote');
      const collateral = v.parse(v.record(v.string(), v.string()), evidence.collateral);
      const tampered = { ...collateral, [member]: collateral[member]?.replace(from, to) };
      expect(failed(await verify({ ...evidence, collateral: tampered }, at))).toContain(id);
    })(context),
  );

  it.for(['', 'deadbeef', 'root'])('with no CRL, garbage, or another CRL: rejected (%s)', (what, context) =>
    withVectors(async () => {
      const evidence = await tdx('tdx/tdx_quote');
      const collateral = v.parse(v.record(v.string(), v.string()), evidence.collateral);
      const pck_crl = what === 'root' ? collateral['root_ca_crl'] : what;
      const verdict = await verify({ ...evidence, collateral: { ...collateral, pck_crl } }, at);
      expect(verdict.verdict).toBe('rejected');
      expect(failed(verdict).every((id) => id.startsWith('tdx.pck-crl.'))).toBe(true);
      expect(failed(verdict)).not.toEqual([]);
    })(context),
  );
});

describe('real event logs', () => {
  it(
    'the CCEL adds up to all four registers, and the report data is the nonce',
    withVectors(async () => {
      const { report } = parseQuote(await vector('tdx-ccel/cos-113-tdx-quote.dat'));
      const registers = await replay(readCcel(await vector('tdx-ccel/ccel_data.dat')));
      expect(registers.map(hexOf)).toEqual(report.rtmr.map(hexOf));
      expect(equalBytes(report.reportData, await vector('tdx-ccel/nonce.dat'))).toBe(true);
    }),
  );

  it(
    "dstack's adds up to all four registers",
    withVectors(async () => {
      const file = v.parse(
        v.object({ quote: v.string(), event_log: v.string() }),
        await vectorJson('dstack/quote-report.json'),
      );
      const { report } = parseQuote(fromHex(file.quote, 'quote'));
      const events = await readDstackLog(JSON.parse(file.event_log));
      expect((await replay(events)).map(hexOf)).toEqual(report.rtmr.map(hexOf));
      expect(events.filter(({ named }) => named).map(({ name }) => name)).toContain('compose-hash');
    }),
  );
});

describe('the pinned roots', () => {
  it(
    'are those of the vectors',
    withVectors(async () => {
      const rootIn = async (path: string) => rootOf(readCertificates(await vector(path)));
      expect(await rootIn('roots/IntelSGXRootCA.der')).toBe(intelRoots[0]);
      expect(await rootIn('roots/nvidia_device_identity_ca.pem')).toBe(nvidiaRoots[0]);
      expect(await rootIn('snp/virtee/cert_chain_turin')).toBe(amdRoots.Turin);
      expect(await rootIn('snp/milan.testcer')).toBe(amdRoots.Milan);
    }),
  );
});
