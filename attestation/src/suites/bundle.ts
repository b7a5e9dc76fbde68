/** Bundles: a whole node, bound together, and everything that must not pass. */
import { hexOf } from '@tussah/protocol/bytes';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { gpuNonce, hpkeInfo, reportData, StatementSchema } from '../binding/statement.ts';
import type { Bundle } from '../bundle/bundle.ts';
import { concatBytes, utf8 } from '../bytes/bytes.ts';
import { readDstackLog } from '../event-log/dstack.ts';
import { replay } from '../event-log/replay.ts';
import type { Policy } from '../policy/policy.ts';
import { makeBundle, simulatedImageName, simulatedPolicy, type BundleChanges } from '../simulated/bundle.ts';
import { eventLog, events, loggedImage, loggedPolicy } from '../testing/event-log.ts';
import { explained, failed, NOW, otherWorld, policy, world } from '../testing/world.ts';
import { Verifier } from '../verify.ts';

async function verdictOf(changes: BundleChanges, use: Policy = policy, expected = {}) {
  const text = JSON.stringify(await makeBundle(world, changes));
  return new Verifier().verify({ kind: 'bundle', text, expected }, use, NOW);
}

const otherDevice = otherWorld.nvidia.keys[1];
const onSnp = { machine: 'snp' } as const;

describe('a bundle that is right', () => {
  it.each([
    ['TDX', {}],
    ['SEV-SNP', onSnp],
    ["TDX with NVIDIA's tokens", { gpus: [{ nras: {} }] }],
    ['two GPUs', { gpus: [{}, { deviceKey: otherDevice }] }],
    ['X-Wing', { statement: { suite: 'xwing-hkdf-sha256-aes256gcm', hpkePublicKey: '07'.repeat(1216) } }],
  ] satisfies [string, BundleChanges][])('is accepted: %s', async (_, changes) => {
    const verdict = await verdictOf(changes);
    expect(failed(verdict)).toEqual([]);
    expect(verdict).toMatchObject({ verdict: 'accepted', claims: { kind: 'bundle', simulated: true } });
  });

  it('may carry an event log that adds up to the measured registers', async () => {
    const verdict = await verdictOf({ eventLog, tdx: { image: loggedImage } }, loggedPolicy);
    expect(failed(verdict)).toEqual([]);
    expect(verdict.verdict).toBe('accepted');
  });

  it('may have events that the firmware does not name', async () => {
    const event = { imr: 1, event_type: 4, digest: '09'.repeat(48), event: '', event_payload: '00' };
    const more = [...events, event];
    const registers = (await replay(await readDstackLog(more))).map(hexOf) as typeof loggedImage.rtmr;
    const image = { ...loggedImage, rtmr: registers };
    const verdict = await verdictOf(
      { eventLog: { format: 'dstack', events: more }, tdx: { image } },
      { ...policy, images: [{ name: simulatedImageName, tdx: image }] },
    );
    expect(failed(verdict)).toEqual([]);
    expect(verdict.verdict).toBe('accepted');
  });

  it('may come without GPU where the policy asks for none', async () => {
    const { gpu: _, ...without } = policy;
    expect((await verdictOf({ gpus: [] }, without)).verdict).toBe('accepted');
  });

  it('is what the client asked for', async () => {
    const right = {
      epochNonce: 'ef'.repeat(32),
      modelDigest: '12'.repeat(32),
      configDigest: '34'.repeat(32),
    };
    expect((await verdictOf({}, policy, right)).verdict).toBe('accepted');
    for (const [id, member] of [
      ['epoch', 'epochNonce'],
      ['model', 'modelDigest'],
      ['config', 'configDigest'],
    ] as const)
      expect(failed(await verdictOf({}, policy, { ...right, [member]: '00'.repeat(32) }))).toEqual([
        `bundle.${id}`,
      ]);
  });
});

const bound = ['gpu-0.nonce', 'tdx.report-data'];
const wrong: [string, BundleChanges, string[]][] = [
  ['a suite that is unknown', { statement: { suite: 'x' } }, ['bundle.suite']],
  ['a suite by the name of an object member', { statement: { suite: 'toString' } }, ['bundle.suite']],
  ['a key of another size', { statement: { hpkePublicKey: 'ab'.repeat(31) } }, ['bundle.suite']],
  ['a bundle that has ended', { statement: { notAfterMs: NOW - 1 } }, ['bundle.not-after']],
  ['a bundle that lives too long', { statement: { notAfterMs: NOW + 86_400_001 } }, ['bundle.lifetime']],
  ['another image than the measured one', { statement: { image: 'other' } }, ['bundle.image']],
  [
    'a suite that was not attested',
    { presented: { suite: 'x25519-hkdf-sha256-aes256gcm2' } },
    ['bundle.suite', 'tdx.report-data'],
  ],
  ['an HPKE key that was not attested', { presented: { hpkePublicKey: 'ac'.repeat(32) } }, bound],
  [
    'a receipt key that was not attested',
    { presented: { receiptKey: 'ce'.repeat(32) } },
    ['tdx.report-data'],
  ],
  ['an epoch that was not attested', { presented: { epochNonce: 'ee'.repeat(32) } }, bound],
  ['an image that was not attested', { presented: { image: 'x' } }, ['bundle.image', 'tdx.report-data']],
  ['weights that were not attested', { presented: { modelDigest: '13'.repeat(32) } }, ['tdx.report-data']],
  [
    'a configuration that was not attested',
    { presented: { configDigest: '35'.repeat(32) } },
    ['tdx.report-data'],
  ],
  ['an end that was not attested', { presented: { notAfterMs: NOW + 3_600_001 } }, ['tdx.report-data']],
  [
    'weights that were not attested, on SEV-SNP',
    { ...onSnp, presented: { modelDigest: '13'.repeat(32) } },
    ['snp.report-data'],
  ],
  ['no GPU', { gpus: [] }, ['bundle.gpus']],
  ['a GPU twice', { gpus: [{}, {}] }, ['bundle.gpus-distinct']],
  [
    'a GPU twice, as two leaves',
    { gpus: [{}, { certificates: { 0: { serial: 0x6003 } } }] },
    ['bundle.gpus-distinct'],
  ],
  ['a GPU that answers another nonce', { gpus: [{ nonce: new Uint8Array(32) }] }, ['gpu-0.nonce']],
  [
    'a second GPU that is revoked',
    { gpus: [{}, { ocsp: { status: 'revoked' }, deviceKey: otherDevice }] },
    ['gpu-1.ocsp.status'],
  ],
  [
    'a machine that is not the image',
    { tdx: { image: { mrTd: '00'.repeat(48) } } },
    ['bundle.image', 'tdx.image'],
  ],
  ['an event log of something else', { eventLog }, ['bundle.event-log']],
  [
    'an event that does not have its digest',
    { eventLog: { format: 'dstack', events: [{ ...events[0], event: 'x' }] } },
    ['bundle.event-log.format'],
  ],
  [
    'a name that is not measured',
    { eventLog: { format: 'dstack', events: [{ ...events[0], event_type: 1 }] } },
    ['bundle.event-log.format'],
  ],
  [
    'an event name with a colon, which could end elsewhere',
    { eventLog: { format: 'dstack', events: [{ ...events[0], event: 'a:b' }] } },
    ['bundle.event-log.format'],
  ],
  ['an event log that is none', { eventLog: { format: 'dstack', events: {} } }, ['bundle.event-log.format']],
  ['a CCEL that is none', { eventLog: { format: 'ccel', data: 'AAAA' } }, ['bundle.event-log.format']],
];

describe('a bundle that is wrong in one thing is rejected at that step', () => {
  it.each(wrong)('%s', async (_, changes, ids) => {
    const verdict = await verdictOf(changes);
    expect(failed(verdict).sort()).toEqual(ids.toSorted());
    expect(verdict.verdict).toBe('rejected');
    expect(explained(verdict)).toBe(true);
  });

  it('a GPU where the policy asks for none', async () => {
    const { gpu: _, ...without } = policy;
    expect(failed(await verdictOf({}, without))).toEqual(['bundle.gpus', 'gpu-0.policy']);
  });

  it("another bundle's GPU, machine or statement", async () => {
    const [own, other] = await Promise.all([
      makeBundle(world),
      makeBundle(world, { statement: { epochNonce: '99'.repeat(32) } }),
    ]);
    const swapped: [Partial<Bundle>, string[]][] = [
      [{ gpus: other.gpus }, ['tdx.report-data', 'gpu-0.nonce']],
      [{ machine: other.machine }, ['tdx.report-data']],
      [{ statement: other.statement }, ['tdx.report-data', 'gpu-0.nonce']],
    ];
    for (const [part, ids] of swapped) {
      const text = JSON.stringify({ ...own, ...part });
      expect(failed(await new Verifier().verify({ kind: 'bundle', text }, policy, NOW))).toEqual(ids);
    }
  });

  it('simulated evidence under a policy that names other roots, or none', async () => {
    const text = JSON.stringify(await makeBundle(world));
    const stranger = simulatedPolicy(otherWorld);
    for (const use of [stranger, { ...policy, simulatedRoots: [] }]) {
      const verdict = await new Verifier().verify({ kind: 'bundle', text }, use, NOW);
      expect(failed(verdict)).toContain('tdx.pck-chain.root');
      expect(verdict).toMatchObject({ verdict: 'rejected', claims: { simulated: true } });
    }
  });

  it.each(['', '{', 'null', '[]', '{"version":1}', '{"version":2}', 'x'.repeat(1_048_577)])(
    'text that is no bundle',
    async (text) => {
      const verdict = await new Verifier().verify({ kind: 'bundle', text }, policy, NOW);
      expect(failed(verdict)).toEqual(['bundle.format']);
      expect(verdict.verdict).toBe('rejected');
    },
  );

  it('a bundle that is too long, whatever it says', async () => {
    const text = JSON.stringify(await makeBundle(world)).padEnd(1_048_577);
    expect(failed(await new Verifier().verify({ kind: 'bundle', text }, policy, NOW))).toEqual([
      'bundle.format',
    ]);
  });

  it('names that are no Unicode', async () => {
    const bundle = await makeBundle(world);
    for (const member of ['image', 'suite']) {
      const text = JSON.stringify({ ...bundle, statement: { ...bundle.statement, [member]: '\ud800' } });
      expect(failed(await new Verifier().verify({ kind: 'bundle', text }, policy, NOW))).toEqual([
        'bundle.format',
      ]);
    }
  });

  it('members that nobody knows', async () => {
    const bundle = await makeBundle(world);
    const [gpu] = bundle.gpus;
    for (const changed of [
      { ...bundle, more: 1 },
      { ...bundle, statement: { ...bundle.statement, more: 1 } },
      { ...bundle, machine: { ...bundle.machine, more: 1 } },
      { ...bundle, gpus: [{ ...gpu, more: 1 }] },
    ])
      expect(
        failed(await new Verifier().verify({ kind: 'bundle', text: JSON.stringify(changed) }, policy, NOW)),
      ).toEqual(['bundle.format']);
  });

  it('a member that stands twice', async () => {
    const text = JSON.stringify(await makeBundle(world));
    for (const twice of [`{"version":1,${text.slice(1)}`, text.replace('"image":', '"image":"x","image":')])
      expect(failed(await new Verifier().verify({ kind: 'bundle', text: twice }, policy, NOW))).toEqual([
        'bundle.format',
      ]);
  });

  it('never without a policy', async () => {
    await expect(new Verifier().verify({ kind: 'bundle', text: '{}' }, undefined, NOW)).rejects.toThrow(
      'policy',
    );
  });
});

describe('the binding', () => {
  const statement = v.parse(StatementSchema, {
    suite: 'x25519-hkdf-sha256-aes256gcm',
    hpkePublicKey: '00'.repeat(32),
    receiptKey: '01'.repeat(32),
    epochNonce: '02'.repeat(32),
    image: 'i',
    modelDigest: '03'.repeat(32),
    configDigest: '04'.repeat(32),
    notAfterMs: 5,
  });
  const sha = async (name: string, bytes: Uint8Array<ArrayBuffer>) =>
    new Uint8Array(await crypto.subtle.digest(name, bytes));

  it('is over one line and the canonical JSON', async () => {
    const text = `tussah-tee/1\n{"configDigest":"${'04'.repeat(32)}","epochNonce":"${'02'.repeat(32)}","gpuEvidence":["aa"],"hpkePublicKey":"${'00'.repeat(32)}","image":"i","modelDigest":"${'03'.repeat(32)}","notAfterMs":5,"receiptKey":"${'01'.repeat(32)}","suite":"x25519-hkdf-sha256-aes256gcm"}`;
    expect(await reportData(statement, ['aa'])).toEqual(await sha('SHA-512', utf8(text)));
  });

  it("gives the GPU's nonce and the HPKE info", async () => {
    const key = await sha('SHA-256', new Uint8Array(32));
    const input = concatBytes(utf8('tussah-gpu/1'), new Uint8Array(32).fill(2), key);
    expect(await gpuNonce(statement)).toEqual(await sha('SHA-256', input));
    expect(await hpkeInfo('x')).toEqual(concatBytes(utf8('tussah-tee/1'), await sha('SHA-256', utf8('x'))));
  });
});
