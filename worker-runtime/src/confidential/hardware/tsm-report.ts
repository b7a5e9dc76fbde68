/**
 * Quotes and reports through Linux's configfs-tsm (6.7 and later): Documentation/ABI/testing/configfs-tsm. One folder is made
 * for one request and removed after it; `generation` tells whether somebody else wrote into it.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '@tussah/protocol/errors';

export const tsmReportFolder = '/sys/kernel/config/tsm/report';

export type TsmProvider = 'tdx_guest' | 'sev_guest';

export interface TsmReport {
  readonly provider: TsmProvider;
  readonly outblob: Uint8Array<ArrayBuffer>;
  /** Certificates that the host has stapled; empty where there are none. */
  readonly auxblob: Uint8Array<ArrayBuffer>;
}

export type TsmFailureCode = 'tsm_missing' | 'tsm_refused' | 'tsm_raced' | 'tsm_malformed';

/** The file operations that are needed; the kernel's files, or a scripted kernel's. */
export interface TsmFiles {
  mkdir(path: string): Promise<unknown>;
  readFile(path: string): Promise<Uint8Array>;
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  rmdir(path: string): Promise<void>;
}

export const kernelFiles: TsmFiles = {
  mkdir: (path) => mkdir(path),
  readFile: (path) => readFile(path),
  writeFile: (path, bytes) => writeFile(path, bytes),
  rmdir: (path) => rmdir(path),
};

const REPORT_DATA_BYTES = 64;
/** The kernel's own bound, TSM_REPORT_OUTBLOB_MAX. */
const BLOB_BYTES = 32_768;
const providers: readonly string[] = ['tdx_guest', 'sev_guest'] satisfies TsmProvider[];

/** `reportData` is what the hardware signs. */
export async function tsmReport(
  reportData: Uint8Array,
  root: string = tsmReportFolder,
  files: TsmFiles = kernelFiles,
): Promise<Result<TsmReport, TsmFailureCode>> {
  if (reportData.length !== REPORT_DATA_BYTES) throw new RangeError('report data has 64 bytes');
  const folder = join(root, `tussah-${randomUUID()}`);
  try {
    await files.mkdir(folder);
  } catch (error) {
    return missing(root, codeOf(error));
  }
  try {
    return await request(folder, reportData, files);
  } catch (error) {
    return refused(codeOf(error));
  } finally {
    // A folder that stays costs the kernel a little memory; the report is good all the same.
    await files.rmdir(folder).catch(() => undefined);
  }
}

async function request(
  folder: string,
  reportData: Uint8Array,
  files: TsmFiles,
): Promise<Result<TsmReport, TsmFailureCode>> {
  const text = async (name: string) =>
    new TextDecoder().decode(await files.readFile(join(folder, name))).trim();
  const before = await text('generation');
  // The kernel takes it when the file is closed: in one piece.
  await files.writeFile(join(folder, 'inblob'), reportData);
  const provider = await text('provider');
  const outblob = await files.readFile(join(folder, 'outblob'));
  const auxblob = await files.readFile(join(folder, 'auxblob')).catch(() => new Uint8Array());
  const after = await text('generation');
  if (!/^\d{1,18}$/.test(before) || !/^\d{1,18}$/.test(after))
    return malformed('its generation is no number');
  if (BigInt(after) !== BigInt(before) + 1n) return raced();
  if (!providers.includes(provider)) return malformed(`its provider is ${provider.slice(0, 40)}`);
  if (outblob.length === 0 || outblob.length > BLOB_BYTES)
    return malformed(`a report of ${outblob.length} bytes`);
  if (auxblob.length > BLOB_BYTES) return malformed(`certificates of ${auxblob.length} bytes`);
  return ok({
    provider: provider as TsmProvider,
    outblob: Uint8Array.from(outblob),
    auxblob: Uint8Array.from(auxblob),
  });
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown';

const missing = (root: string, code: string): Result<never, TsmFailureCode> =>
  fail({
    code: 'tsm_missing',
    message: `There is no attestation at ${root} (${code}).`,
    remedy:
      'Run inside a TDX or SEV-SNP guest with Linux 6.7 or newer, configfs mounted, module tdx_guest or sev-guest, as root; or use --simulated.',
  });
const refused = (code: string): Result<never, TsmFailureCode> =>
  fail({
    code: 'tsm_refused',
    message: `The kernel gave no report (${code}).`,
    remedy:
      'Look at dmesg. On TDX the host needs a quote generation service; SEV-SNP limits how often it may be asked.',
  });
const raced = (): Result<never, TsmFailureCode> =>
  fail({
    code: 'tsm_raced',
    message: 'Somebody else has written into the request for a report.',
    remedy: 'Nothing else in the image should use configfs-tsm folders of this name: look who does.',
  });
const malformed = (what: string): Result<never, TsmFailureCode> =>
  fail({
    code: 'tsm_malformed',
    message: `The kernel’s report can’t be used: ${what}.`,
    remedy: 'Supported are the providers tdx_guest and sev_guest.',
  });
