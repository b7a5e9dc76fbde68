/** What is measured, in Node and in a page alike: a verification, and nothing but the WebCrypto calls that it makes. */
import { makeBundle, newSimulatedWorld, simulatedPolicy } from '@tussah/attestation/simulated/bundle';
import { makeGpu } from '@tussah/attestation/simulated/gpu';
import { makeSnp } from '@tussah/attestation/simulated/snp';
import { makeTdx } from '@tussah/attestation/simulated/tdx';
import { Verifier, type Evidence } from '@tussah/attestation/verify';

export interface Timing {
  readonly name: string;
  /** Medians of one call, in milliseconds. */
  readonly verifyMs: number;
  readonly cryptoMs: number;
  readonly cryptoCalls: number;
}

export interface Measured {
  readonly timings: readonly Timing[];
  /** A bundle that was accepted before, in microseconds. */
  readonly rememberedUs: number;
}

const ROUNDS = 15;
const CALLS = 8;

/** Every verification has a verifier of its own: nothing is remembered from the one before. */
export async function measureAttestation(): Promise<Measured> {
  const nowMs = Date.now();
  const world = await newSimulatedWorld(nowMs);
  const policy = simulatedPolicy(world);
  const bundle: Evidence = { kind: 'bundle', text: JSON.stringify(await makeBundle(world)) };
  const subjects: readonly [string, Evidence][] = [
    ['TDX quote', { kind: 'tdx', ...(await makeTdx(world.intel)) }],
    ['SEV-SNP report', { kind: 'snp', ...(await makeSnp(world.amd)) }],
    ['GPU evidence', { kind: 'gpu', ...(await makeGpu(world.nvidia)) }],
    ['bundle', bundle],
  ];
  const verify = async (evidence: Evidence) => {
    const { verdict } = await new Verifier().verify(evidence, policy, nowMs);
    if (verdict !== 'accepted') throw new Error('the evidence to measure with is not accepted');
  };
  const timings: Timing[] = [];
  for (const [name, evidence] of subjects) timings.push(await measure(name, () => verify(evidence)));
  const verifier = new Verifier();
  await verifier.verify(bundle, policy, nowMs);
  const remembered = await medianOf(() => repeat(1000, () => verifier.verify(bundle, policy, nowMs)));
  return { timings, rememberedUs: remembered };
}

/** In turns, so that what else the machine does meets both. */
async function measure(name: string, verify: () => Promise<void>): Promise<Timing> {
  const calls = await recordCalls(verify);
  const replay = async () => {
    for (const call of calls) await call();
  };
  await repeat(CALLS, verify);
  const [verifyMs, cryptoMs]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    verifyMs.push((await timed(() => repeat(CALLS, verify))) / CALLS);
    cryptoMs.push((await timed(() => repeat(CALLS, replay))) / CALLS);
  }
  return { name, verifyMs: middle(verifyMs), cryptoMs: middle(cryptoMs), cryptoCalls: calls.length };
}

/** The `verify` and `digest` calls of a verification, with their inputs and the keys that were imported for them. */
async function recordCalls(verify: () => Promise<void>): Promise<readonly (() => Promise<unknown>)[]> {
  const { subtle } = crypto;
  const bare = { verify: subtle.verify.bind(subtle), digest: subtle.digest.bind(subtle) };
  const calls: (() => Promise<unknown>)[] = [];
  const recording = {
    verify: (...args: Parameters<SubtleCrypto['verify']>) => {
      calls.push(() => bare.verify(...args));
      return bare.verify(...args);
    },
    digest: (...args: Parameters<SubtleCrypto['digest']>) => {
      calls.push(() => bare.digest(...args));
      return bare.digest(...args);
    },
  };
  // Members of the object itself hide those of its prototype until they are taken away again.
  Object.defineProperties(subtle, {
    verify: { value: recording.verify, configurable: true },
    digest: { value: recording.digest, configurable: true },
  });
  try {
    await verify();
  } finally {
    Reflect.deleteProperty(subtle, 'verify');
    Reflect.deleteProperty(subtle, 'digest');
  }
  return calls;
}

async function repeat(times: number, call: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < times; i++) await call();
}

async function timed(call: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await call();
  return performance.now() - startMs;
}

/** Microseconds of one of 1000 calls. */
async function medianOf(call: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await timed(call));
  return middle(times);
}

const middle = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
