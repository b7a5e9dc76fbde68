/** Node's Buffer is a Uint8Array whose `slice` does not copy: callers who give one, and use it again, change nothing. */
import { describe, expect, it } from 'vitest';
import { makeSnp } from './simulated/snp.ts';
import { parseSnpReport } from './snp/report.ts';
import { failed, NOW, policy, world } from './testing/world.ts';
import { Verifier } from './verify.ts';
import { parseCertificate } from './x509/certificate.ts';

const made = await makeSnp(world.amd);
const buffers = () => ({
  kind: 'snp' as const,
  report: Buffer.from(made.report),
  vcek: Buffer.from(made.vcek),
  chain: Buffer.from(made.chain),
  crl: Buffer.from(made.crl ?? []),
});

describe('evidence in Buffers', () => {
  it('is read without being changed', async () => {
    const evidence = buffers();
    for (let time = 0; time < 2; time++)
      expect(failed(await new Verifier().verify(evidence, policy, NOW))).toEqual([]);
    expect(evidence).toEqual(buffers());
    const report = parseSnpReport(evidence.report);
    expect(parseSnpReport(evidence.report)).toEqual(report);
  });

  it('may be overwritten while it is verified, and afterwards', async () => {
    const evidence = buffers();
    const verdict = new Verifier().verify(evidence, policy, NOW);
    for (const bytes of [evidence.report, evidence.vcek, evidence.chain, evidence.crl]) bytes.fill(0x41);
    expect(failed(await verdict)).toEqual([]);
    expect(failed(await new Verifier().verify(buffers(), policy, NOW))).toEqual([]);
  });

  it('leaves a remembered certificate as it was', () => {
    const der = Buffer.from(made.vcek.with(made.vcek.length - 1, 0));
    const before = Uint8Array.from(der);
    const { raw } = parseCertificate(der);
    der.fill(0);
    expect([...raw]).toEqual([...before]);
  });
});
