/**
 * Evidence of the GPUs through NVIDIA's `nvattest` (NVIDIA Attestation SDK, CLI): `collect-evidence` prints one JSON document
 * with an SPDM report and a certificate chain for each GPU.
 */
import { spawn } from 'node:child_process';
import { hexOf } from '@tussah/protocol/bytes';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import * as v from 'valibot';

export interface GpuEvidence {
  /** SPDM request and response, base64. */
  readonly report: string;
  /** PEM, base64; leaf first. */
  readonly certificates: string;
}

export type NvattestFailureCode = 'nvattest_missing' | 'nvattest_failed' | 'nvattest_malformed';

export interface NvattestOptions {
  readonly executable: string;
  readonly timeoutMs?: number;
}

const GPUS_MAX = 16;
const OUTPUT_BYTES = 4_194_304;
const TIMEOUT_MS = 60_000;

const base64 = v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]+={0,2}$/), v.maxLength(131_072));
const OutputSchema = v.object({
  result_code: v.literal(0),
  evidences: v.pipe(
    v.array(
      v.object({
        evidence: base64,
        certificate: base64,
        nonce: v.pipe(v.string(), v.regex(/^(?:0x)?[0-9a-fA-F]{64}$/)),
      }),
    ),
    v.minLength(1),
    v.maxLength(GPUS_MAX),
  ),
});

/** Evidence of all GPUs over this nonce of 32 bytes. */
export async function collectGpuEvidence(
  nonce: Uint8Array,
  { executable, timeoutMs = TIMEOUT_MS }: NvattestOptions,
): Promise<Result<readonly GpuEvidence[], NvattestFailureCode>> {
  const hex = hexOf(nonce);
  const args = ['collect-evidence', '--device', 'gpu', '--nonce', hex, '--format', 'json'];
  const run = await runBounded(executable, args, timeoutMs);
  if (run.how === 'missing')
    return fail({
      code: 'nvattest_missing',
      message: `There is no executable ${executable}.`,
      remedy: 'Install NVIDIA’s nvattest in the image, or name it with --nvattest.',
    });
  if (run.how !== 'exit 0')
    return fail({
      code: 'nvattest_failed',
      message: `nvattest gave no evidence (${run.how}).`,
      remedy:
        'Run it by hand in the guest: it needs the GPU in confidential-compute mode, the driver and libnvidia-ml.',
    });
  const output = v.safeParse(OutputSchema, parse(run.stdout));
  if (!output.success) return malformed('it is not the JSON that version 1 prints');
  const { evidences } = output.output;
  if (!evidences.every((each) => each.nonce.toLowerCase().replace(/^0x/, '') === hex))
    return malformed('it answers another nonce');
  return ok(evidences.map(({ evidence, certificate }) => ({ report: evidence, certificates: certificate })));
}

const malformed = (what: string): Result<never, NvattestFailureCode> =>
  fail({
    code: 'nvattest_malformed',
    message: `nvattest’s output can’t be used: ${what}.`,
    remedy: 'Use a version whose collect-evidence knows --format json.',
  });

interface Run {
  /** `exit 0`, `exit 3`, `signal SIGKILL`, `timeout`, `output too large`, `missing`. */
  readonly how: string;
  readonly stdout: string;
}

/** Its stderr is not read: it may hold what should not be in a log. */
function runBounded(executable: string, args: readonly string[], timeoutMs: number): Promise<Run> {
  return new Promise((resolve) => {
    const child = spawn(executable, args, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: process.env['PATH'] ?? '', LD_LIBRARY_PATH: process.env['LD_LIBRARY_PATH'] ?? '' },
    });
    const parts: Buffer[] = [];
    let size = 0;
    let why: string | undefined;
    const kill = (reason: string) => {
      why ??= reason;
      child.kill('SIGKILL');
      // A child of its own may hold the pipe open.
      child.stdout.destroy();
    };
    const timer = setTimeout(() => kill('timeout'), timeoutMs);
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > OUTPUT_BYTES) kill('output too large');
      else parts.push(part);
    });
    child.once('error', () => {
      clearTimeout(timer);
      resolve({ how: 'missing', stdout: '' });
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const how = why ?? (code === null ? `signal ${signal}` : `exit ${code}`);
      resolve({ how, stdout: Buffer.concat(parts).toString('utf8') });
    });
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
