/** SEV-SNP: simulated evidence that is right, and evidence that is wrong in one property at a time. */
import { describe, expect, it } from 'vitest';
import type { Policy } from '../policy/policy.ts';
import { utf8 } from '../bytes/bytes.ts';
import { DAY_MS, pem } from '../simulated/certificates.ts';
import { integer } from '../simulated/der-writer.ts';
import { asProduct, makeSnp, type SnpChanges } from '../simulated/snp.ts';
import { explained, failed, NOW, otherWorld, policy as basePolicy, world } from '../testing/world.ts';
import { rootOf } from '../x509/chain.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { Verifier } from '../verify.ts';

const reportData = new Uint8Array(64).fill(0x77);
const turin = await asProduct(world.amd, 'Turin');
const milan = await asProduct(world.amd, 'Milan');
const roots = await Promise.all([turin, milan].map(({ ark }) => rootOf([parseCertificate(ark)])));
const policy: Policy = { ...basePolicy, simulatedRoots: [...basePolicy.simulatedRoots, ...roots] };
const section = policy.snp;
if (section === undefined) throw new Error('the simulated policy has an SEV-SNP section');
const withSnp = (snp: Partial<NonNullable<Policy['snp']>>): Policy => ({
  ...policy,
  snp: { ...section, ...snp },
});

async function verdictOf(
  changes: SnpChanges,
  use: Policy | undefined = policy,
  amd = world.amd,
  nowMs = NOW,
) {
  const made = await makeSnp(amd, { reportData, ...changes });
  return new Verifier().verify({ kind: 'snp', ...made, expectedReportData: reportData }, use, nowMs);
}

const none = new Uint8Array();
const at = (offset: number, ...bytes: number[]): SnpChanges => ({
  report: { [offset]: Uint8Array.from(bytes) },
});
/** REPORTED_TCB with one byte changed from the simulated one. */
const GENOA = [10, 2, 0, 0, 0, 0, 23, 84];
const tcbWith = (i: number, value: number) => at(0x180, ...GENOA.map((byte, j) => (j === i ? value : byte)));
const unknownExtension = { id: '1.2.3.4', critical: true, value: none };

describe('SEV-SNP evidence that is right', () => {
  it.each([
    ['Genoa', world.amd, {}],
    ['Turin', turin, {}],
    ['version 2, which does not name the processor', world.amd, at(0, 2)],
    ['version 4', world.amd, at(0, 4)],
    ['version 5', world.amd, at(0, 5)],
    ['Bergamo, which is of Genoa', world.amd, at(0x188, 0x19, 0xa0)],
    ['with an author key', world.amd, at(0x48, 1)],
    ['all harmless bits of the guest policy', world.amd, at(8, 0xff, 0xff, 0xd3, 3)],
    ['all known states of the platform', world.amd, at(0x40, 0xbf)],
    [
      'version 5 with mitigations',
      world.amd,
      { report: { 0: Uint8Array.of(5), 0x1f8: new Uint8Array(16).fill(1) } },
    ],
  ] as const)('is accepted: %s', async (_, amd, changes) => {
    const verdict = await verdictOf(changes, policy, amd);
    expect(failed(verdict)).toEqual([]);
    expect(verdict).toMatchObject({ verdict: 'accepted', claims: { simulated: true, product: amd.product } });
  });

  it('Milan is accepted only by a policy that names it', async () => {
    const tcbMin = { Milan: { fmc: 0, bootloader: 10, tee: 2, snp: 23, microcode: 84 } };
    const named = withSnp({ products: ['Milan'], tcbMin });
    expect((await verdictOf({}, named, milan)).verdict).toBe('accepted');
    expect(failed(await verdictOf({}, policy, milan))).toEqual(['snp.product', 'snp.tcb-floor']);
  });

  it('lists what needs a policy as unchecked without one, and refuses Milan', async () => {
    const made = await makeSnp(milan);
    const verdict = await new Verifier().verify({ kind: 'snp', ...made }, undefined, NOW);
    expect(failed(verdict)).toEqual(['snp.chain.root', 'snp.product']);
    const unchecked = verdict.steps.filter(({ status }) => status === 'unchecked').map(({ id }) => id);
    expect(unchecked).toEqual(
      ['policy', 'tcb-floor', 'collateral-age', 'platform', 'image', 'report-data'].map((id) => `snp.${id}`),
    );
  });
});

const wrong: [string, SnpChanges, string[]][] = [
  ['another signature algorithm', at(0x34, 2), ['signature-algorithm']],
  ['a masked chip key', at(0x48, 2), ['signing-key']],
  ['a VLEK', at(0x48, 4), ['signing-key']],
  [
    'a chain of four',
    { chain: ([a, b]) => [a ?? none, b ?? none, b ?? none] },
    ['chain.length', 'vcek.subject'],
  ],
  [
    'an ASK by another name',
    { ask: { commonName: 'SEV-Milan' }, vcek: { issuerName: 'SEV-Milan' } },
    ['vcek.subject'],
  ],
  ['a VCEK by another name', { vcek: { commonName: 'SEV-VLEK' } }, ['vcek.subject']],
  ['a VCEK issued in another name', { vcek: { issuerName: 'SEV-Milan' } }, ['chain.names']],
  ['a VCEK that is an authority', { vcek: { ca: true } }, ['chain.authorities']],
  ['an ASK that must not sign certificates', { ask: { usage: [6] } }, ['chain.key-usage']],
  ['a critical extension that is unknown', { ask: { extensions: [unknownExtension] } }, ['chain.extensions']],
  ['a VCEK that has ended', { vcek: { notAfterMs: NOW - DAY_MS } }, ['chain.dates']],
  ['a VCEK signed by another ASK', { vcek: { issuerKey: otherWorld.amd.askKey } }, ['chain.signatures']],
  [
    'another root',
    { ark: { key: otherWorld.amd.arkKey, issuerKey: otherWorld.amd.arkKey } },
    ['chain.root', 'chain.signatures', 'crl.signature'],
  ],
  ['a CRL by another', { crl: { issuerName: 'ARK-Turin' } }, ['crl.issuer']],
  ['a CRL that has ended', { crl: { nextUpdateMs: NOW - 1000 } }, ['crl.dates']],
  ['a CRL wrongly signed', { crl: { issuerKey: otherWorld.amd.arkKey } }, ['crl.signature']],
  ['a revoked ASK', { crl: { revoked: [65_537] } }, ['chain.revocation']],
  ['a report signed by another chip', { reportKey: otherWorld.amd.vcekKey }, ['report.signature']],
  ['a VCEK of another chip', { hardwareId: new Uint8Array(64).fill(1) }, ['chip-id']],
  ['another boot loader', { tcb: { bootloader: 11 } }, ['tcb']],
  ['another TEE', { tcb: { tee: 3 } }, ['tcb']],
  ['another firmware', { tcb: { snp: 24 } }, ['tcb']],
  ['another microcode', { tcb: { microcode: 85 } }, ['tcb']],
  ['an older reported boot loader', tcbWith(0, 9), ['tcb']],
  ['firmware that was older when the guest was started', at(0x1f0, 9), ['tcb-floor']],
  ['firmware that is not committed to', at(0x1e0, 9), ['firmware']],
  ['a firmware version that is not committed to', at(0x1ec, 3), ['firmware']],
  [
    'a reported version above the current one',
    { report: { 0x38: Uint8Array.of(9), 0x1e0: Uint8Array.of(9) } },
    ['firmware'],
  ],
  ['a platform that did not look for aliases', at(0x40, 5), ['platform-info']],
  ['a platform in an unknown state', at(0x40, 0x65), ['platform-info']],
  ['a platform in a state above all known ones', at(0x41, 1), ['platform-info']],
  ['a guest that allows memory on CXL', at(8, 0, 0, 0x23, 0), ['guest.protections']],
  ['a reserved byte in the reported TCB', tcbWith(3, 1), ['tcb']],
  ['a processor of another family', at(0x188, 0x1a, 0x11), ['processor']],
  ['a processor of another model', at(0x188, 0x19, 0x01), ['processor']],
  ['a guest in debug mode', at(8, 0, 0, 0x0b, 0), ['guest.debug']],
  ['a guest with a migration agent', at(8, 0, 0, 0x07, 0), ['guest.migration']],
  ['a guest policy without its reserved bit', at(8, 0, 0, 0x01, 0), ['guest.policy']],
  ['a guest policy with an unknown bit', at(8, 0, 0, 0x03, 4), ['guest.policy']],
  ['another privilege level', at(0x30, 1), ['vmpl']],
  ['a report that the host asked for', at(0x30, 0xff, 0xff, 0xff, 0xff), ['vmpl']],
  ['a CRL older than allowed', { crl: { thisUpdateMs: NOW - 31 * DAY_MS } }, ['collateral-age']],
  ['another measurement', at(0x90, 0), ['image']],
  ['other host data', at(0xc0, 1), ['image']],
  ['other report data', { reportData: new Uint8Array(64) }, ['report-data']],
  ['a report of version 1', at(0, 1), ['report']],
  ['a report of version 6', at(0, 6), ['report']],
  ['reserved bytes that are not zero', at(0x4c, 1), ['report']],
  ['reserved bytes behind CPUID', at(0x18b, 1), ['report']],
  ['CPUID in version 2', { report: { 0: Uint8Array.of(2), 0x188: Uint8Array.of(1) } }, ['report']],
  ['reserved bytes behind the current version', at(0x1eb, 1), ['report']],
  ['reserved bytes behind the committed version', at(0x1ef, 1), ['report']],
  ['mitigations in version 3', at(0x1f8, 1), ['report']],
  ['reserved bytes at the end', at(0x29f, 1), ['report']],
  ['bytes behind the signature', at(0x330, 1), ['report']],
  ['the last byte', at(0x49f, 1), ['report']],
  ['an r above 48 bytes', at(0x2a0 + 48, 1), ['report']],
  ['an s above 48 bytes', at(0x2a0 + 72 + 71, 1), ['report']],
  ['an unknown product', { productName: 'Venice' }, ['vcek']],
  ['a hardware id of another size', { hardwareId: new Uint8Array(8) }, ['vcek']],
  ['a version number above one byte', { tcb: { snp: 256 } }, ['vcek']],
  ['a VCEK without extensions', { vcek: { extensions: [] } }, ['vcek']],
];

describe('SEV-SNP evidence that is wrong in one thing is rejected at that step', () => {
  it.each(wrong)('%s', async (_, changes, ids) => {
    const verdict = await verdictOf(changes);
    expect(failed(verdict).sort()).toEqual(ids.map((id) => `snp.${id}`).sort());
    expect(verdict.verdict).toBe('rejected');
    expect(explained(verdict)).toBe(true);
  });

  it('of which Turin has more: its FMC, and a shorter chip id', async () => {
    expect(failed(await verdictOf({ tcb: { fmc: 2 } }, policy, turin))).toEqual(['snp.tcb']);
    expect(failed(await verdictOf(at(0x1a8, 1), policy, turin))).toEqual(['snp.chip-id']);
    expect(failed(await verdictOf(at(0x180, 1, 10, 2, 23, 1, 0, 0, 84), policy, turin))).toEqual(['snp.tcb']);
    expect(failed(await verdictOf(at(0x188, 0x1a, 0x12), policy, turin))).toEqual(['snp.processor']);
  });

  const asked = (guestPolicy: Partial<typeof section.guestPolicy>) =>
    withSnp({ guestPolicy: { ...section.guestPolicy, ...guestPolicy } });
  it('protections that the policy demands of guest and platform', async () => {
    const protections = [
      'single-socket',
      'aes-256-xts',
      'rapl-disabled',
      'ciphertext-hiding',
      'page-swap-disabled',
    ] as const;
    const all = asked({ allow: [], demand: [...protections] });
    // Bits 17, 20 and 22 to 25.
    expect((await verdictOf(at(8, 0, 0, 0xd2, 3), all)).verdict).toBe('accepted');
    for (const bit of [20, 22, 23, 24, 25]) {
      const bits = 0x3d20000 & ~(1 << bit);
      const missing = at(8, 0, 0, (bits >> 16) & 0xff, bits >> 24);
      expect(failed(await verdictOf(missing, all))).toEqual(['snp.guest.protections']);
    }
    expect(failed(await verdictOf({}, asked({ allow: [] })))).toEqual(['snp.guest.protections']);
    expect((await verdictOf(at(8, 0, 0, 0x23, 0), asked({ allow: ['smt', 'cxl'] }))).verdict).toBe(
      'accepted',
    );

    const states = withSnp({
      platformInfo: { demand: ['tsme', 'ecc', 'rapl-disabled', 'ciphertext-hiding', 'alias-check'] },
    });
    expect((await verdictOf(at(0x40, 0x3e), states)).verdict).toBe('accepted');
    for (const bit of [1, 2, 3, 4, 5])
      expect(failed(await verdictOf(at(0x40, 0x3e & ~(1 << bit)), states))).toEqual(['snp.platform-info']);
  });

  it('without a policy, a report that the host asked for', async () => {
    const made = await makeSnp(world.amd, at(0x30, 4));
    expect(failed(await new Verifier().verify({ kind: 'snp', ...made }, undefined, NOW))).toEqual([
      'snp.chain.root',
      'snp.vmpl',
    ]);
  });

  const floor = { fmc: 0, bootloader: 10, tee: 2, snp: 23, microcode: 84 };
  const strict: [string, Policy, string[]][] = [
    ['a policy without SEV-SNP', { ...policy, snp: undefined }, ['policy']],
    ['a policy that names no simulated root', { ...policy, simulatedRoots: [] }, ['chain.root']],
    ['a policy for another product', withSnp({ products: ['Turin'] }), ['product']],
    ['a policy without a floor for the product', withSnp({ tcbMin: {} }), ['tcb-floor']],
    ['a higher boot loader', withSnp({ tcbMin: { Genoa: { ...floor, bootloader: 11 } } }), ['tcb-floor']],
    ['a higher microcode', withSnp({ tcbMin: { Genoa: { ...floor, microcode: 85 } } }), ['tcb-floor']],
    ['other platforms', withSnp({ platforms: ['00'.repeat(64)] }), ['platform']],
    ['images of another kind', { ...policy, images: [{ name: 'simulated-node' }] }, ['image']],
  ];
  it.each(strict)('%s', async (_, use, ids) => {
    const verdict = await verdictOf({}, use);
    expect(failed(verdict)).toEqual(ids.map((id) => `snp.${id}`));
    expect(verdict.verdict).toBe('rejected');
  });

  it('a floor is one for what is reported, too, not only for what ran at launch', async () => {
    const higher = withSnp({ tcbMin: { Genoa: { ...floor, bootloader: 11 } } });
    expect(failed(await verdictOf(at(0x1f0, 11), higher))).toEqual(['snp.tcb-floor']);
  });

  it('a policy that lists the chip is met', async () => {
    expect((await verdictOf({}, withSnp({ platforms: ['c1'.repeat(64)] }))).verdict).toBe('accepted');
  });

  it('revocation that is unknown is refused', async () => {
    for (const use of [policy, undefined]) {
      const verdict = await verdictOf({ withoutCrl: true }, use);
      expect(verdict.verdict).toBe('rejected');
      expect(verdict.steps.find(({ id }) => id === 'snp.chain.revocation')?.status).toBe('unchecked');
    }
  });

  it('of several lists, the one by the root counts', async () => {
    const [own, other] = await Promise.all([
      makeSnp(world.amd),
      makeSnp(world.amd, { crl: { issuerName: 'ARK-Milan', issuerKey: otherWorld.amd.arkKey } }),
    ]);
    const archive = (...lists: (Uint8Array | undefined)[]) =>
      utf8(`About them: ${lists.map((list) => pem('X509 CRL', list ?? none)).join(' and ')}`);
    const crl = archive(other.crl, own.crl);
    expect((await new Verifier().verify({ kind: 'snp', ...own, crl }, policy, NOW)).verdict).toBe('accepted');
    const revoked = await makeSnp(world.amd, { crl: { revoked: [65_537] } });
    const lists = archive(revoked.crl, other.crl);
    expect(failed(await new Verifier().verify({ kind: 'snp', ...own, crl: lists }, policy, NOW))).toEqual([
      'snp.chain.revocation',
    ]);
  });

  it('garbage in place of certificates and lists', async () => {
    const made = await makeSnp(world.amd);
    for (const garbage of [none, Uint8Array.of(0x30), new Uint8Array(5000), integer(7)])
      for (const member of ['report', 'vcek', 'chain', 'crl'] as const) {
        const verdict = await new Verifier().verify({ kind: 'snp', ...made, [member]: garbage }, policy, NOW);
        expect(verdict.verdict).toBe('rejected');
      }
    const two = new Uint8Array([...made.vcek, ...made.vcek]);
    expect(failed(await new Verifier().verify({ kind: 'snp', ...made, vcek: two }, policy, NOW))).toContain(
      'snp.chain.format',
    );
  });
});
