/** A simulated node: a whole bundle with evidence of each kind, and a policy that accepts just that. */
import { hexOf } from '@tussah/protocol/bytes';
import { gpuNonce, reportData, type Statement } from '../binding/statement.ts';
import { toBase64 } from '../bytes/text-encodings.ts';
import type { Bundle } from '../bundle/bundle.ts';
import type { Policy } from '../policy/policy.ts';
import { DAY_MS } from './certificates.ts';
import {
  makeGpu,
  newSimulatedNvidia,
  simulatedDriver,
  simulatedGpuMeasurement,
  simulatedVbios,
  type GpuChanges,
  type SimulatedGpu,
  type SimulatedNvidia,
} from './gpu.ts';
import { newSimulatedIntel, type SimulatedIntel } from './intel.ts';
import { makeSnp, newSimulatedAmd, simulatedMeasurement, type SimulatedAmd, type SnpChanges } from './snp.ts';
import { makeTdx } from './tdx.ts';
import type { TdxChanges } from './tdx-changes.ts';
import { simulatedTdxImage } from './tdx-quote.ts';

export interface SimulatedWorld {
  readonly intel: SimulatedIntel;
  readonly amd: SimulatedAmd;
  readonly nvidia: SimulatedNvidia;
  readonly nowMs: number;
  /** SHA-256 of the three roots: what a policy names in `simulatedRoots`. */
  readonly roots: readonly string[];
}

export async function newSimulatedWorld(nowMs: number): Promise<SimulatedWorld> {
  const [intel, amd, nvidia] = await Promise.all([
    newSimulatedIntel(nowMs),
    newSimulatedAmd(nowMs),
    newSimulatedNvidia(nowMs),
  ]);
  const roots = await Promise.all([intel.root, amd.ark, nvidia.root].map(sha256));
  return { intel, amd, nvidia, nowMs, roots };
}

const sha256 = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));

export const simulatedImageName = 'simulated-node';

/** Accepts the world's evidence and no other. */
export function simulatedPolicy({ roots, nvidia }: SimulatedWorld): Policy {
  return {
    version: 1,
    name: 'simulated',
    collateralAgeMaxMs: 30 * DAY_MS,
    lifetimeMaxMs: DAY_MS,
    images: [
      {
        name: simulatedImageName,
        tdx: simulatedTdxImage,
        snp: { measurement: simulatedMeasurement, hostData: '00'.repeat(32) },
      },
    ],
    tdx: { statuses: ['UpToDate'], evaluationNumberMin: 17 },
    snp: {
      products: ['Genoa', 'Turin'],
      tcbMin: {
        Genoa: { fmc: 0, bootloader: 10, tee: 2, snp: 23, microcode: 84 },
        Turin: { fmc: 1, bootloader: 10, tee: 2, snp: 23, microcode: 84 },
      },
      vmpl: [0],
      guestPolicy: { allow: ['smt'], demand: [] },
      platformInfo: { demand: ['alias-check'] },
    },
    models: {},
    gpu: {
      models: ['GH100'],
      modes: ['passthrough'],
      references: [
        {
          driver: simulatedDriver,
          vbios: simulatedVbios,
          measurements: Object.fromEntries(
            Array.from({ length: 64 }, (_, i) => [String(i + 1), [simulatedGpuMeasurement]]),
          ),
          ignored: [],
        },
      ],
      nrasKeys: [nvidia.nrasKey],
    },
    simulatedRoots: [...roots],
  };
}

export interface BundleChanges {
  readonly machine?: 'tdx' | 'snp';
  readonly statement?: Partial<Statement>;
  /** After everything was bound: what is presented differs from what is attested. */
  readonly presented?: Partial<Statement>;
  readonly tdx?: TdxChanges;
  readonly snp?: SnpChanges;
  /** One for each GPU. */
  readonly gpus?: readonly GpuChanges[];
  readonly eventLog?: NonNullable<Extract<Bundle['machine'], { kind: 'tdx' }>['eventLog']>;
}

export async function makeBundle(world: SimulatedWorld, changes: BundleChanges = {}): Promise<Bundle> {
  const statement: Statement = {
    suite: 'x25519-hkdf-sha256-aes256gcm',
    hpkePublicKey: 'ab'.repeat(32),
    receiptKey: 'cd'.repeat(32),
    epochNonce: 'ef'.repeat(32),
    image: simulatedImageName,
    modelDigest: '12'.repeat(32),
    configDigest: '34'.repeat(32),
    notAfterMs: world.nowMs + 3_600_000,
    ...changes.statement,
  };
  const nonce = await gpuNonce(statement);
  const gpus = await Promise.all(
    (changes.gpus ?? [{}]).map((gpu) => makeGpu(world.nvidia, { nonce, ...gpu })),
  );
  const digests = await Promise.all(gpus.map(({ report }) => sha256(report)));
  const bound = await reportData(statement, digests);
  return {
    version: 1,
    statement: { ...statement, ...changes.presented },
    machine: await makeMachine(world, bound, changes),
    gpus: gpus.map(gpuPart),
  };
}

async function makeMachine(
  world: SimulatedWorld,
  bound: Uint8Array,
  changes: BundleChanges,
): Promise<Bundle['machine']> {
  if (changes.machine === 'snp') {
    const { report, vcek, chain, crl } = await makeSnp(world.amd, { reportData: bound, ...changes.snp });
    const parts = { report, vcek, chain, crl: crl ?? new Uint8Array() };
    return {
      kind: 'snp',
      report: toBase64(parts.report),
      vcek: toBase64(parts.vcek),
      chain: toBase64(parts.chain),
      crl: toBase64(parts.crl),
    };
  }
  const { quote, collateral } = await makeTdx(world.intel, { reportData: bound, ...changes.tdx });
  const log = changes.eventLog === undefined ? {} : { eventLog: changes.eventLog };
  return { kind: 'tdx', quote: toBase64(quote), collateral, ...log };
}

const gpuPart = ({ report, certificates, revocation }: SimulatedGpu): Bundle['gpus'][number] => ({
  report: toBase64(report),
  certificates: toBase64(certificates),
  revocation: revocation ?? { ocsp: [] },
});
