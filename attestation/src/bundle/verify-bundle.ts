/**
 * Verifies a node's bundle: its machine, its GPUs, and that both are bound to the keys and settings that it states. That a
 * GPU's evidence is not relayed from another machine rests on the measured image, which collects it over its own bus.
 */
import { bytesOfHex, hexOf } from '@tussah/protocol/bytes';
import { gpuNonce, reportData, suites, type Statement } from '../binding/statement.ts';
import type { Bytes } from '../bytes/bytes.ts';
import { fromBase64 } from '../bytes/text-encodings.ts';
import type { Context } from '../context.ts';
import { tags } from '../der/der.ts';
import { demand } from '../malformed.ts';
import { verifyGpu, type GpuFacts } from '../nvidia/verify-gpu.ts';
import type { Policy } from '../policy/policy.ts';
import { verifySnp } from '../snp/verify-snp.ts';
import { isoOf } from '../steps/clock.ts';
import { StepRecord, type Step } from '../steps/record.ts';
import type { TdReport } from '../tdx/quote.ts';
import { verifyTdx } from '../tdx/verify-tdx.ts';
import type { CommonClaims, PartVerdict, Unused, Verdict } from '../verdict.ts';
import { parseBundle, type Bundle, type GpuPart, type TdxPart } from './bundle.ts';
import { checkEventLog } from './check-event-log.ts';
import { bundlePlan, type BundleRecord } from './plan.ts';

/** What the client asked for; what is left out is listed as unchecked. Hexadecimal. */
export interface Expectations {
  readonly epochNonce?: string | undefined;
  readonly modelDigest?: string | undefined;
  readonly configDigest?: string | undefined;
}

export interface BundleContext extends Context {
  readonly policy: Policy;
}

export async function verifyBundle(
  text: string,
  expected: Expectations,
  context: BundleContext,
): Promise<Verdict> {
  const record: BundleRecord = new StepRecord(bundlePlan);
  const bundle = record.parse('bundle.format', 'a bundle', () => decode(text));
  if (bundle === undefined) {
    const { steps } = record.outcome();
    return { verdict: 'rejected', steps, claims: { kind: 'bundle', simulated: false } };
  }
  const { statement } = bundle;
  checkStatement(record, statement, expected, context);
  const nonce = await gpuNonce(statement);
  const digests = await Promise.all(bundle.gpus.map(({ report }) => sha256Of(report)));
  const machine = await verifyMachine(bundle, await reportData(statement, digests), context);
  const gpus = await Promise.all(bundle.gpus.map((gpu) => verifyGpu({ ...gpu, nonce }, context)));
  record.check('bundle.image', machine.images.includes(statement.image), {
    expected: statement.image,
    got: machine.images.join(' or ') || 'none that the policy lists',
  });
  checkGpus(record, gpus, context.policy);
  await checkEventLog(record, bundle.eventLog, machine.tdReport);
  const parts = [machine.verdict, ...gpus];
  const simulated = parts.map(({ claims }) => claims.simulated);
  checkOneWorld(record, simulated);
  checkNothingUnused(record, [machine, ...gpus.map(({ facts }) => facts ?? noFacts)]);
  return conclude(record, parts, {
    kind: 'bundle',
    simulated: simulated.includes(true),
    statement: { ...statement },
    machine: machine.verdict.claims,
    gpus: gpus.map(({ claims }) => claims),
  });
}

/** Evidence under a simulated root must not lend its name to genuine evidence, nor the other way. */
export function checkOneWorld(record: BundleRecord, simulated: readonly boolean[]): void {
  record.check('bundle.one-world', new Set(simulated).size === 1, {
    expected: 'all genuine, or all simulated',
    got: simulated.map((each) => (each ? 'simulated' : 'genuine')).join(', '),
  });
}

const noFacts: Unused = { unused: [] };

/** What decides nothing is not authenticated either: whoever passes a bundle on could put there what he likes. */
function checkNothingUnused(record: BundleRecord, parts: readonly Unused[]): void {
  const unused = parts.flatMap((part) => part.unused);
  record.check('bundle.nothing-unused', unused.length === 0, {
    expected: 'nothing',
    got: unused.join(', ') || 'nothing',
  });
}

/** The bundle with its bytes decoded. */
interface Decoded {
  readonly statement: Statement;
  readonly machine:
    | { readonly kind: 'tdx'; readonly quote: Bytes; readonly collateral: unknown }
    | {
        readonly kind: 'snp';
        readonly report: Bytes;
        readonly vcek: Bytes;
        readonly chain: Bytes;
        readonly crl: Bytes;
      };
  readonly gpus: readonly {
    readonly report: Bytes;
    readonly certificates: Bytes;
    readonly revocation: GpuPart['revocation'];
  }[];
  readonly eventLog: TdxPart['eventLog'];
}

/** Throws `Malformed`. */
function decode(text: string): Decoded {
  const { statement, machine, gpus }: Bundle = parseBundle(text);
  return {
    statement,
    machine:
      machine.kind === 'tdx'
        ? { kind: 'tdx', quote: fromBase64(machine.quote, 'quote'), collateral: machine.collateral }
        : {
            kind: 'snp',
            report: fromBase64(machine.report, 'report'),
            vcek: fromBase64(machine.vcek, 'VCEK'),
            chain: fromBase64(machine.chain, 'chain'),
            crl: onlyDer(fromBase64(machine.crl, 'CRL')),
          },
    gpus: gpus.map((gpu) => ({
      report: fromBase64(gpu.report, 'GPU report'),
      certificates: fromBase64(gpu.certificates, 'GPU certificates'),
      revocation: gpu.revocation,
    })),
    eventLog: machine.kind === 'tdx' ? machine.eventLog : undefined,
  };
}

/** A CRL in PEM could have others beside it. */
function onlyDer(bytes: Bytes): Bytes {
  demand(bytes[0] === tags.sequence, 'bundle: a CRL that is not DER');
  return bytes;
}

const sha256Of = async (bytes: Bytes) => hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));

function checkStatement(
  record: BundleRecord,
  statement: Statement,
  expected: Expectations,
  { policy, clock }: BundleContext,
): void {
  const keyBytes = (bytesOfHex(statement.hpkePublicKey) ?? new Uint8Array()).length;
  const size = Object.hasOwn(suites, statement.suite)
    ? suites[statement.suite as keyof typeof suites]
    : undefined;
  record.check('bundle.suite', size === keyBytes, {
    expected: size === undefined ? Object.keys(suites).join(' or ') : `a key of ${size} bytes`,
    got: `${statement.suite}, ${keyBytes} bytes`,
  });
  const ends = isoOf(statement.notAfterMs);
  record.check('bundle.not-after', clock.within(Number.MIN_SAFE_INTEGER, statement.notAfterMs), {
    expected: `after ${isoOf(clock.nowMs)}`,
    got: ends,
  });
  const latest = Number.MAX_SAFE_INTEGER - 1;
  record.check('bundle.lifetime', clock.within(statement.notAfterMs - policy.lifetimeMaxMs, latest), {
    expected: `within ${policy.lifetimeMaxMs} ms after ${isoOf(clock.nowMs)}`,
    got: ends,
  });
  const wanted = [
    ['bundle.epoch', expected.epochNonce, statement.epochNonce],
    ['bundle.model', expected.modelDigest, statement.modelDigest],
    ['bundle.config', expected.configDigest, statement.configDigest],
  ] as const;
  for (const [id, want, got] of wanted)
    if (want === undefined) record.waive(id);
    else record.check(id, want === got, { expected: want, got });
}

interface Machine extends Unused {
  readonly verdict: {
    readonly accepted: boolean;
    readonly steps: readonly Step[];
    readonly claims: CommonClaims;
  };
  readonly images: readonly string[];
  readonly tdReport: TdReport | undefined;
}

async function verifyMachine(
  { machine }: Decoded,
  expectedReportData: Bytes,
  context: Context,
): Promise<Machine> {
  if (machine.kind === 'tdx') {
    const verdict = await verifyTdx({ ...machine, expectedReportData }, context);
    const { images = [], unused = [], quote } = verdict.facts ?? {};
    return { verdict, images, unused, tdReport: quote?.report };
  }
  const verdict = await verifySnp({ ...machine, expectedReportData }, context);
  return { verdict, images: verdict.facts?.images ?? [], unused: [], tdReport: undefined };
}

function checkGpus(record: BundleRecord, gpus: readonly PartVerdict<GpuFacts>[], policy: Policy): void {
  const wanted = policy.gpu !== undefined;
  record.check('bundle.gpus', wanted === gpus.length > 0, {
    expected: wanted ? 'at least one' : 'none',
    got: String(gpus.length),
  });
  const chips = gpus.map(({ facts }) => facts?.chipId ?? 'unknown');
  record.check('bundle.gpus-distinct', new Set(chips).size === chips.length, {
    expected: 'each once',
    got: chips.join(', '),
  });
}

/** Steps of several GPUs are told apart by their number. */
function conclude(
  record: BundleRecord,
  parts: readonly { readonly accepted: boolean; readonly steps: readonly Step[] }[],
  claims: Verdict['claims'],
): Verdict {
  const own = record.outcome();
  const [machine, ...gpus] = parts;
  const numbered = gpus.flatMap(({ steps }, i) =>
    steps.map((step) => ({ ...step, id: step.id.replace(/^gpu\./, `gpu-${i}.`) })),
  );
  const accepted = own.accepted && parts.every((part) => part.accepted);
  return {
    verdict: accepted ? 'accepted' : 'rejected',
    steps: [...own.steps, ...(machine?.steps ?? []), ...numbered],
    claims,
  };
}
