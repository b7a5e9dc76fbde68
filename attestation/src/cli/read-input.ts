/** Reads the files named on the command line, in the formats in which vendors and other tools write them. */
import { open } from 'node:fs/promises';
import { bytesOfHex } from '@tussah/protocol/bytes';
import * as v from 'valibot';
import { latin1, type Bytes } from '../bytes/bytes.ts';
import { parseJson } from '../bytes/json.ts';
import { fromBase64, fromHex } from '../bytes/text-encodings.ts';
import { limits } from '../limits.ts';
import { Malformed } from '../malformed.ts';
import { RevocationSchema, DetachedEatSchema, type Revocation } from '../nvidia/revocation.ts';
import type { GpuEvidence } from '../nvidia/verify-gpu.ts';
import { parsePolicy, type Policy } from '../policy/policy.ts';

/** Input that can't be judged at all: not found, too large, not of this kind. */
export class UnusableInput extends Error {
  override readonly name = 'UnusableInput';
  readonly remedy: string;
  constructor(message: string, remedy = 'See npm run verify -- --help.') {
    super(message);
    this.remedy = remedy;
  }
}

export async function readBytes(path: string, maxBytes: number = limits.inputFileBytes): Promise<Bytes> {
  try {
    await using file = await open(path);
    const buffer = new Uint8Array(maxBytes + 1);
    let size = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, size, buffer.length - size);
      if (bytesRead === 0) break;
      size += bytesRead;
    }
    if (size > maxBytes) throw new UnusableInput(`${path} is larger than ${maxBytes} bytes`);
    return buffer.slice(0, size);
  } catch (error) {
    if (error instanceof UnusableInput) throw error;
    throw new UnusableInput(
      `${path} can't be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

export async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UnusableInput(`${path} is not UTF-8 text`);
  }
}

export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return parseJson(text, path);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw new UnusableInput(error.message);
  }
}

export async function readPolicy(path: string): Promise<Policy> {
  const parsed = parsePolicy(await readText(path));
  if (!parsed.ok) throw new UnusableInput(`${path}: ${parsed.failure.message}`, parsed.failure.remedy);
  return parsed.value;
}

const QuoteFileSchema = v.object({ quote: v.string() });

/** A quote or report as it is, as hexadecimal text, or as `quote` of a JSON object, as dstack writes it. */
export async function readEvidenceBytes(path: string): Promise<Bytes> {
  const bytes = await readBytes(path);
  const text = latin1(bytes).trim();
  if (text.startsWith('{')) {
    const parsed = v.safeParse(QuoteFileSchema, jsonOf(text), { abortEarly: true });
    if (parsed.success) return hexText(parsed.output.quote) ?? bytes;
  }
  return hexText(text) ?? bytes;
}

const hexText = (text: string): Bytes | undefined => {
  const digits = text.replace(/\s/g, '').replace(/^0x/, '');
  return digits === '' ? undefined : bytesOfHex(digits);
};

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** NVIDIA's attestation SDK: the chain in PEM and the report, both in base64, and the nonce in hexadecimal. */
const SdkEvidenceSchema = v.pipe(
  v.array(v.object({ certificate: v.string(), evidence: v.string(), nonce: v.string() })),
  v.minLength(1),
  v.maxLength(limits.gpus),
);

export async function readGpuEvidence(path: string): Promise<Omit<GpuEvidence, 'revocation'>[]> {
  const parsed = v.safeParse(SdkEvidenceSchema, await readJson(path), { abortEarly: true });
  if (!parsed.success)
    throw new UnusableInput(
      `${path} is not a list of certificate, evidence and nonce, as NVIDIA's SDK writes it`,
    );
  try {
    return parsed.output.map(({ certificate, evidence, nonce }) => ({
      report: fromBase64(evidence, 'evidence'),
      certificates: fromBase64(certificate, 'certificate'),
      nonce: fromHex(nonce, 'nonce'),
    }));
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw new UnusableInput(`${path}: ${error.message}`);
  }
}

/** `{"ocsp": [...]}`, `{"nras": ...}`, a detached EAT by itself, or an object that has one as `detached_eat`. */
const RevocationFileSchema = v.union([
  RevocationSchema,
  v.pipe(
    DetachedEatSchema,
    v.transform((nras) => ({ nras })),
  ),
  v.pipe(
    v.object({ detached_eat: DetachedEatSchema }),
    v.transform(({ detached_eat }) => ({ nras: detached_eat })),
  ),
]);

export async function readRevocation(path: string): Promise<Revocation> {
  const parsed = v.safeParse(RevocationFileSchema, await readJson(path), { abortEarly: true });
  if (!parsed.success) throw new UnusableInput(`${path} holds neither OCSP responses nor a detached EAT`);
  return parsed.output;
}
