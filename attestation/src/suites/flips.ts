/** One bit of one byte of the signed parts flipped at a time: nothing is accepted. All bytes with TUSSAH_DEEP=1. */
import { hexOf } from '@tussah/protocol/bytes';
import { describe, expect, it } from 'vitest';
import { utf8, type Bytes } from '../bytes/bytes.ts';
import { fromBase64, fromHex, pemBlocks, toBase64 } from '../bytes/text-encodings.ts';
import { pemChain } from '../simulated/certificates.ts';
import { makeGpu } from '../simulated/gpu.ts';
import { makeSnp } from '../simulated/snp.ts';
import { makeTdx } from '../simulated/tdx.ts';
import { parseQuote } from '../tdx/quote.ts';
import { deep, seededRandom } from '../testing/random.ts';
import { NOW, policy, world } from '../testing/world.ts';
import { Verifier, type Evidence } from '../verify.ts';

const SAMPLE = 40;

interface Target {
  readonly name: string;
  readonly bytes: Bytes;
  readonly withBytes: (bytes: Bytes) => Evidence;
}

async function tdxTargets(version: 4 | 5): Promise<Target[]> {
  const made = await makeTdx(world.intel, { version, newer: version === 5 });
  const evidence = { kind: 'tdx', ...made } as const;
  const { signed } = parseQuote(made.quote);
  // The chain in PEM comes last; what is in it is among the targets as DER.
  const chainAt = made.quote.length - parseQuote(made.quote).pckChain.length;
  const behind = made.quote.subarray(chainAt);
  const { collateral } = made;
  const text = (member: 'tcb_info' | 'qe_identity'): Target => ({
    name: member,
    bytes: utf8(collateral[member]),
    withBytes: (bytes) => ({
      ...evidence,
      collateral: { ...collateral, [member]: new TextDecoder().decode(bytes) },
    }),
  });
  const hex = (
    member: 'root_ca_crl' | 'pck_crl' | 'tcb_info_signature' | 'qe_identity_signature',
  ): Target => ({
    name: member,
    bytes: fromHex(collateral[member], member),
    withBytes: (bytes) => ({ ...evidence, collateral: { ...collateral, [member]: hexOf(bytes) } }),
  });
  const chain = (member: 'tcb_info_issuer_chain' | 'qe_identity_issuer_chain'): Target[] =>
    pemBlocks(collateral[member], 'CERTIFICATE', 8).map((bytes, i, all) => ({
      name: `${member} ${i}`,
      bytes,
      withBytes: (changed) => ({
        ...evidence,
        collateral: { ...collateral, [member]: pemChain(all.with(i, changed)) },
      }),
    }));
  return [
    {
      name: `quote version ${version}, ${signed.length} bytes of header and body, then signatures and keys`,
      bytes: made.quote.slice(0, chainAt),
      withBytes: (bytes) => ({ ...evidence, quote: new Uint8Array([...bytes, ...behind]) }),
    },
    ...(['tcb_info', 'qe_identity'] as const).map(text),
    ...(['root_ca_crl', 'pck_crl', 'tcb_info_signature', 'qe_identity_signature'] as const).map(hex),
    ...chain('tcb_info_issuer_chain'),
    ...chain('qe_identity_issuer_chain'),
  ];
}

async function pckTargets(): Promise<Target[]> {
  const { quote, collateral } = await makeTdx(world.intel);
  const { pckChain } = parseQuote(quote);
  const ders = pemBlocks(pckChain, 'CERTIFICATE', 8);
  const head = quote.slice(0, quote.length - pckChain.length);
  return ders.map((bytes, i) => ({
    name: `certificate ${i} of the quote's chain`,
    bytes,
    // Of the same length, hence in the same frame.
    withBytes: (changed): Evidence => ({
      kind: 'tdx',
      collateral,
      quote: new Uint8Array([...head, ...utf8(pemChain(ders.with(i, changed)))]),
    }),
  }));
}

async function snpTargets(): Promise<Target[]> {
  const made = await makeSnp(world.amd);
  const evidence = { kind: 'snp', ...made } as const;
  const member = (name: 'report' | 'vcek'): Target => ({
    name: `SEV-SNP ${name}`,
    bytes: made[name],
    withBytes: (bytes) => ({ ...evidence, [name]: bytes }),
  });
  const ders = pemBlocks(new TextDecoder().decode(made.chain), 'CERTIFICATE', 8);
  return [
    member('report'),
    member('vcek'),
    ...ders.map((bytes, i) => ({
      name: `SEV-SNP chain ${i}`,
      bytes,
      withBytes: (changed: Bytes): Evidence => ({
        ...evidence,
        chain: utf8(pemChain(ders.with(i, changed))),
      }),
    })),
    {
      name: 'SEV-SNP CRL',
      bytes: made.crl ?? new Uint8Array(),
      withBytes: (bytes) => ({ ...evidence, crl: bytes }),
    },
  ];
}

async function gpuTargets(): Promise<Target[]> {
  const [byOcsp, byToken] = await Promise.all([makeGpu(world.nvidia), makeGpu(world.nvidia, { nras: {} })]);
  const evidence = { kind: 'gpu', ...byOcsp } as const;
  const ders = pemBlocks(new TextDecoder().decode(byOcsp.certificates), 'CERTIFICATE', 8);
  const ocsp = byOcsp.revocation !== undefined && 'ocsp' in byOcsp.revocation ? byOcsp.revocation.ocsp : [];
  const nras =
    byToken.revocation !== undefined && 'nras' in byToken.revocation ? byToken.revocation.nras : undefined;
  if (nras === undefined) throw new Error('no tokens');
  const [[, overall], gpus] = nras;
  const decode = (bytes: Bytes) => new TextDecoder().decode(bytes);
  return [
    { name: 'GPU report', bytes: byOcsp.report, withBytes: (report) => ({ ...evidence, report }) },
    ...ders.map((bytes, i) => ({
      name: `GPU certificate ${i}`,
      bytes,
      withBytes: (changed: Bytes): Evidence => ({
        ...evidence,
        certificates: utf8(pemChain(ders.with(i, changed))),
      }),
    })),
    ...ocsp.map((encoded, i) => ({
      name: `OCSP response ${i}`,
      bytes: fromBase64(encoded, 'OCSP'),
      withBytes: (changed: Bytes): Evidence => ({
        ...evidence,
        revocation: { ocsp: ocsp.with(i, toBase64(changed)) },
      }),
    })),
    {
      name: 'overall token',
      bytes: utf8(overall),
      withBytes: (bytes) => ({
        ...evidence,
        ...byToken,
        revocation: { nras: [['JWT', decode(bytes)], gpus] },
      }),
    },
    {
      name: "GPU's token",
      bytes: utf8(gpus['GPU-0'] ?? ''),
      withBytes: (bytes) => ({
        ...evidence,
        ...byToken,
        revocation: { nras: [['JWT', overall], { 'GPU-0': decode(bytes) }] },
      }),
    },
  ];
}

const targets = (
  await Promise.all([tdxTargets(4), tdxTargets(5), pckTargets(), snpTargets(), gpuTargets()])
).flat();

describe('a flipped bit', () => {
  it.each(targets.map((target): [string, Target] => [target.name, target]))(
    'in %s is never accepted',
    async (_, { bytes, withBytes }) => {
      const verifier = new Verifier();
      expect((await verifier.verify(withBytes(bytes), policy, NOW)).verdict).toBe('accepted');
      const random = seededRandom(bytes.length);
      const positions = deep ? bytes.keys() : Array.from({ length: SAMPLE }, () => random(bytes.length));
      const accepted: number[] = [];
      for (const at of positions) {
        const flipped = bytes.with(at, (bytes[at] ?? 0) ^ (1 << random(8)));
        if ((await verifier.verify(withBytes(flipped), policy, NOW)).verdict === 'accepted')
          accepted.push(at);
      }
      expect(accepted).toEqual([]);
    },
    600_000,
  );
});
