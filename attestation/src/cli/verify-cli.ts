/** `npm run verify -- tdx|snp|gpu|bundle`: verifies evidence without a network, and says what it found, step by step. */
import { parseArgs } from 'node:util';
import type { Policy } from '../policy/policy.ts';
import type { Verdict } from '../verdict.ts';
import { Verifier } from '../verify.ts';
import { printable } from './printable.ts';
import {
  readBytes,
  readEvidenceBytes,
  readGpuEvidence,
  readJson,
  readPolicy,
  readRevocation,
  readText,
  UnusableInput,
} from './read-input.ts';
import { verdictText } from './verdict-text.ts';

export const evidenceKinds = ['tdx', 'snp', 'gpu', 'bundle'] as const;
export type EvidenceKind = (typeof evidenceKinds)[number];
export const isEvidenceKind = (word: string | undefined): word is EvidenceKind =>
  evidenceKinds.some((kind) => kind === word);

export const evidenceHelp = `npm run verify -- tdx --quote FILE --collateral FILE [--at ISO] [--policy FILE] [--json]
npm run verify -- snp --report FILE --vcek FILE --chain FILE [--crl FILE] [--at ISO] [--policy FILE] [--json]
npm run verify -- gpu --evidence FILE [--revocation FILE] [--at ISO] [--policy FILE] [--json]
npm run verify -- bundle FILE --policy FILE [--at ISO] [--json]

  tdx     an Intel TDX quote against its collateral (JSON as DCAP tools write it)
  snp     an AMD SEV-SNP report; certificates in PEM or DER. Without --crl it is rejected: revocation is unknown.
          Without --policy its TCB version is not judged
  gpu     NVIDIA evidence as its SDK writes it. Without --revocation it is rejected: revocation is unknown
  bundle  a whole node: machine, GPUs, and their binding to the node's keys and settings

  --at ISO       the moment to verify for, such as 2026-11-01T12:00:00Z; now when left out
  --policy FILE  what is accepted (attestation/README.md). Without one, evidence is checked for being genuine, current and
                 not in debug mode, and what was not checked is listed as unchecked
  --json         print {"verdict", "steps", "claims"} instead of text

Exit status: 0 accepted, 1 rejected, 2 the input can't be judged.
`;

export interface Output {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

/** Runs the command and returns its exit status. `args` begin with the kind of evidence, or have it behind flags. */
export async function main(args: readonly string[], output: Output): Promise<0 | 1 | 2> {
  try {
    const { values, positionals } = parse(args);
    if (values.help === true) {
      output.out(evidenceHelp);
      return 0;
    }
    const verdict = await judge(values, positionals);
    output.out(values.json === true ? `${JSON.stringify(verdict, null, 2)}\n` : verdictText(verdict));
    return verdict.verdict === 'accepted' ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UnusableInput)) throw error;
    output.error(`${printable(error.message)}\n${printable(error.remedy)}\n`);
    return 2;
  }
}

const file = { type: 'string' } as const;
const options = {
  quote: file,
  collateral: file,
  report: file,
  vcek: file,
  chain: file,
  crl: file,
  evidence: file,
  revocation: file,
  policy: file,
  at: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options });
  } catch (error) {
    throw new UnusableInput(error instanceof Error ? error.message : String(error));
  }
}
type Values = ReturnType<typeof parse>['values'];
type FileOption = Exclude<keyof typeof options, 'at' | 'json' | 'help'>;

/** Which files each kind takes beside the policy; an option of another kind is a mistake, not something to ignore. */
const takes: Readonly<Record<EvidenceKind, readonly FileOption[]>> = {
  tdx: ['quote', 'collateral'],
  snp: ['report', 'vcek', 'chain', 'crl'],
  gpu: ['evidence', 'revocation'],
  bundle: [],
};

async function judge(values: Values, positionals: readonly string[]): Promise<Verdict> {
  const [kind, target, ...more] = positionals;
  if (!isEvidenceKind(kind)) throw new UnusableInput(`there is no evidence of kind ${kind ?? 'nothing'}`);
  const given = Object.keys(values).filter((name) => !['at', 'json', 'help', 'policy'].includes(name));
  const foreign = given.find((name) => !takes[kind].some((own) => own === name));
  if (foreign !== undefined) throw new UnusableInput(`${kind} takes no --${foreign}`);
  if (more.length > 0 || (kind === 'bundle') === (target === undefined))
    throw new UnusableInput(
      kind === 'bundle' ? 'one bundle is needed' : `${kind} takes its files as options`,
    );
  const policy = values.policy === undefined ? undefined : await readPolicy(values.policy);
  const nowMs = moment(values.at);
  switch (kind) {
    case 'tdx':
      return verifyTdxFiles(values, policy, nowMs);
    case 'snp':
      return verifySnpFiles(values, policy, nowMs);
    case 'gpu':
      return verifyGpuFiles(values, policy, nowMs);
    default:
      kind satisfies 'bundle';
      if (policy === undefined) throw new UnusableInput('a bundle needs a --policy');
      return new Verifier().verify({ kind, text: await readText(target ?? '') }, policy, nowMs);
  }
}

function moment(at: string | undefined): number {
  if (at === undefined) return Date.now();
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.test(at)
    ? Date.parse(at)
    : Number.NaN;
  if (Number.isNaN(ms)) throw new UnusableInput(`--at ${at} is not a moment such as 2026-11-01T12:00:00Z`);
  return ms;
}

function needed(values: Values, name: FileOption): string {
  const path = values[name];
  if (path === undefined) throw new UnusableInput(`--${name} is needed`);
  return path;
}

async function verifyTdxFiles(values: Values, policy: Policy | undefined, nowMs: number): Promise<Verdict> {
  const quote = await readEvidenceBytes(needed(values, 'quote'));
  const collateral = await readJson(needed(values, 'collateral'));
  return new Verifier().verify({ kind: 'tdx', quote, collateral }, policy, nowMs);
}

async function verifySnpFiles(values: Values, policy: Policy | undefined, nowMs: number): Promise<Verdict> {
  const report = await readEvidenceBytes(needed(values, 'report'));
  const vcek = await readBytes(needed(values, 'vcek'));
  const chain = await readBytes(needed(values, 'chain'));
  const crl = values.crl === undefined ? undefined : await readBytes(values.crl);
  return new Verifier().verify({ kind: 'snp', report, vcek, chain, crl }, policy, nowMs);
}

/** One file may hold several GPUs; each of them has to be accepted, and they are told apart by their number. */
async function verifyGpuFiles(values: Values, policy: Policy | undefined, nowMs: number): Promise<Verdict> {
  const gpus = await readGpuEvidence(needed(values, 'evidence'));
  const revocation = values.revocation === undefined ? undefined : await readRevocation(values.revocation);
  const verifier = new Verifier();
  const verdicts = await Promise.all(
    gpus.map((gpu) => verifier.verify({ kind: 'gpu', ...gpu, revocation }, policy, nowMs)),
  );
  const [only, ...others] = verdicts;
  if (only !== undefined && others.length === 0) return only;
  return {
    verdict: verdicts.every(({ verdict }) => verdict === 'accepted') ? 'accepted' : 'rejected',
    steps: verdicts.flatMap(({ steps }, i) =>
      steps.map((step) => ({ ...step, id: step.id.replace(/^gpu\./, `gpu-${i}.`) })),
    ),
    claims: {
      kind: 'gpus',
      simulated: verdicts.some(({ claims }) => claims['simulated'] === true),
      gpus: verdicts.map(({ claims }) => claims),
    },
  };
}
