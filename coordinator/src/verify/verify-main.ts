/** `npm run verify`: checks receipts, a coordinator's books and attestation evidence without trusting whoever made them. */
import { open } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Readable } from 'node:stream';
import { evidenceHelp, isEvidenceKind, main as verifyEvidence } from '@tussah/attestation/cli/verify-cli';
import { printable } from '@tussah/attestation/cli/printable';
import { UnusableInput, verdictText, type Verdict } from './verdict.ts';
import { verifyBooks } from './verify-books.ts';
import { RECEIPT_FILE_MAX_BYTES, verifyReceiptText } from './verify-receipt.ts';

const help = `npm run verify -- receipt FILE [--coordinator KEY] [--json]
npm run verify -- books DATABASE [--coordinator KEY] [--json]

  receipt   checks a receipt offline: its shape, the coordinator's and the contributors' signatures, and every sum.
            FILE is a receipt of either tier, a whole chat completion, the last chunk of a stream or the receipt event
            of a sealed answer; - reads it from standard input.
  books     recomputes the double-entry books from a coordinator's SQLite file, which may be in use, and checks
            every receipt in it. Nothing is written.

  --coordinator KEY  the public key you expect, 64 hexadecimal digits; without it a receipt is valid for
                     whoever owns the key that it names
  --json             print {"verdict", "checks"} instead of text

Exit status: 0 valid, 1 invalid, 2 the input can't be judged.

${evidenceHelp}`;

export interface Streams {
  readonly stdin: Readable;
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

/** Runs the command and returns its exit status. */
export async function main(args: readonly string[], streams: Streams): Promise<0 | 1 | 2> {
  if (isEvidenceKind(args.find((arg) => !arg.startsWith('-')))) return verifyEvidence(args, streams);
  try {
    const { values, positionals } = parse(args);
    if (values.help === true) {
      streams.out(help);
      return 0;
    }
    const [command, target] = positionals;
    if (target === undefined || positionals.length !== 2) throw usage('a command and one file are needed');
    const verdict = await judge(command, target, values.coordinator, streams);
    streams.out(values.json === true ? `${JSON.stringify(verdict, null, 2)}\n` : verdictText(verdict));
    return verdict.verdict === 'valid' ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UnusableInput)) throw error;
    streams.error(`${printable(error.message)}\n${printable(error.remedy)}\n`);
    return 2;
  }
}

const usage = (message: string) => new UnusableInput(message, 'See npm run verify -- --help.');

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        coordinator: { type: 'string' },
      },
    });
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

async function judge(
  command: string | undefined,
  target: string,
  coordinator: string | undefined,
  streams: Streams,
): Promise<Verdict> {
  if (coordinator !== undefined && !/^[0-9a-f]{64}$/.test(coordinator))
    throw usage('--coordinator takes 64 lowercase hexadecimal digits');
  if (command === 'books') return verifyBooks(target, coordinator);
  if (command !== 'receipt') throw usage(`there is no command ${command}`);
  const bytes = target === '-' ? await readStream(streams.stdin) : await readFile(target);
  return verifyReceiptText(textOf(bytes), coordinator);
}

async function readFile(path: string): Promise<Buffer> {
  try {
    await using file = await open(path);
    return await readStream(file.createReadStream({ autoClose: false }));
  } catch (error) {
    if (error instanceof UnusableInput) throw error;
    throw usage(`${path} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function readStream(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stream) {
    const bytes = Buffer.from(part as Uint8Array | string);
    size += bytes.length;
    if (size > RECEIPT_FILE_MAX_BYTES)
      throw usage(`a receipt of more than ${RECEIPT_FILE_MAX_BYTES} bytes is not read`);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UnusableInput('the input is not UTF-8', 'Save it as UTF-8 text.');
  }
}

if (import.meta.main)
  process.exitCode = await main(process.argv.slice(2), {
    stdin: process.stdin,
    out: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
  });
