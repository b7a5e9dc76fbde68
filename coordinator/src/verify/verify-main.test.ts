import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { signBody, signedReceipt } from '@tussah/protocol/receipt-fixture';
import type { Receipt } from '@tussah/protocol/receipts';
import { newIdentity, type Identity } from '@tussah/protocol/signatures';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeBooks } from './books-fixture.ts';
import { mutations } from './mutation-fixture.ts';
import { main } from './verify-main.ts';
import { RECEIPT_FILE_MAX_BYTES, verifyReceiptText } from './verify-receipt.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-verify-main-'));
afterAll(() => rmSync(folder, { recursive: true }));

let coordinator: Identity;
let receipt: Receipt;
beforeAll(async () => {
  coordinator = await newIdentity();
  const [first, second] = await Promise.all([newIdentity(), newIdentity()]);
  receipt = await signedReceipt({
    coordinator,
    segments: [
      { contributor: first, tokens: 40, billedTokens: 38, promptTokens: 20, end: 'lost' },
      { contributor: second, tokens: 24 },
    ],
  });
});

/** Runs the command on a text that stands in a file, or on standard input. */
async function verify(text: string | Buffer, ...options: string[]) {
  const path = join(folder, 'input.json');
  writeFileSync(path, text);
  return run(['receipt', path, ...options]);
}

async function run(args: readonly string[], stdin = '') {
  let [out, error] = ['', ''];
  const status = await main(args, {
    stdin: Readable.from([Buffer.from(stdin)]),
    out: (text) => (out += text),
    error: (text) => (error += text),
  });
  return { status, out, error };
}

const answerOf = (tussah: unknown) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: receipt.model,
  choices: [],
  usage: {
    prompt_tokens: receipt.usage.promptTokens,
    completion_tokens: receipt.usage.completionTokens,
    total_tokens: receipt.usage.promptTokens + receipt.usage.completionTokens,
  },
  tussah,
});
const answer = () => answerOf({ jobId: receipt.jobId, receipt });

describe('npm run verify -- receipt', () => {
  it('accepts a valid receipt, shows each step, and exits with 0', async () => {
    const { status, out } = await verify(JSON.stringify(receipt), '--coordinator', coordinator.publicKey);
    expect(status).toBe(0);
    expect(out).toMatch(/^ok {4}shape: version 1\n/);
    expect(out).toContain('ok    segment 1 signature: not signed: lost\n');
    expect(out).toMatch(/\nvalid\n$/);
  });

  it('prints the verdict and all checks as JSON', async () => {
    const { out } = await verify(JSON.stringify(receipt), '--json');
    const verdict = JSON.parse(out);
    expect(verdict.verdict).toBe('valid');
    expect(verdict.checks.map((check: { name: string }) => check.name)).toEqual([
      'shape',
      'coordinator signature',
      'segment 1 signature',
      'segment 2 signature',
      'positions',
      'usage',
      'prices',
      'fee and pay',
    ]);
  });

  it('accepts a chat completion, a final chunk, and standard input', async () => {
    expect((await verify(JSON.stringify(answer()))).status).toBe(0);
    const chunk = { ...answer(), object: 'chat.completion.chunk', usage: null };
    expect((await verify(JSON.stringify(chunk))).status).toBe(0);
    expect((await run(['receipt', '-'], JSON.stringify(receipt))).status).toBe(0);
  });

  it.each<[string, (value: ReturnType<typeof answer>) => object]>([
    ['answer job', (value) => ({ ...value, tussah: { receipt, jobId: 'job_other' } })],
    ['answer model', (value) => ({ ...value, model: 'other' })],
    ['answer usage', (value) => ({ ...value, usage: { ...value.usage, completion_tokens: 1 } })],
  ])('refuses an answer that its receipt is not for: %s', async (name, change) => {
    const { status, out } = await verify(JSON.stringify(change(answer())));
    expect(status).toBe(1);
    expect(out).toContain(`FAIL  ${name}`);
  });

  it('refuses another coordinator than the expected one', async () => {
    const { publicKey } = await newIdentity();
    const { status, out } = await verify(JSON.stringify(receipt), '--coordinator', publicKey);
    expect(status).toBe(1);
    expect(out).toContain('FAIL  coordinator');
  });

  it('refuses sums that are wrong, though the coordinator signed them', async () => {
    const forged = await signBody(coordinator, { ...receipt, networkFeeNano: '0' });
    const { status, out } = await verify(JSON.stringify(forged));
    expect(status).toBe(1);
    expect(out).toContain('ok    coordinator signature');
    expect(out).toContain('FAIL  fee and pay');
  });

  it('refuses a receipt that differs anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(mutations(receipt), async (mutated) => {
        expect((await verifyReceiptText(JSON.stringify(mutated))).verdict).toBe('invalid');
      }),
      { numRuns: 400 },
    );
  }, 20_000);

  it('does not let a receipt rewrite the screen', async () => {
    const { out } = await verify(JSON.stringify({ ...answer(), model: '\u001b[2J\u202evalid' }));
    expect(out).toContain('FAIL  answer model: \\u{1b}[2J\\u{202e}valid');
  });

  it.each<[string, string | Buffer]>([
    ['nothing', ''],
    ['text', 'hello'],
    ['a list', '[]'],
    ['a stream', 'data: {}'],
    ['an answer without a receipt', '{"object":"chat.completion","choices":[]}'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['too much', Buffer.alloc(RECEIPT_FILE_MAX_BYTES + 1, 0x20)],
    ['depth without end', '['.repeat(5_000_000)],
  ])('does not judge %s: exit 2 and a remedy', async (_, text) => {
    const { status, out, error } = await verify(text);
    expect([status, out]).toEqual([2, '']);
    expect(error.split('\n').length).toBeGreaterThanOrEqual(3);
  });
});

describe('npm run verify', () => {
  it.each([
    [[]],
    [['receipt']],
    [['receipt', 'a', 'b']],
    [['other', 'x']],
    [['receipt', join(folder, 'none')]],
    [['receipt', folder]],
    [['books', join(folder, 'none')]],
    [['--loud']],
    [['receipt', 'x', '--coordinator', 'short']],
  ])('explains what it can not do: %j', async (args) => {
    const { status, error } = await run(args);
    expect(status).toBe(2);
    expect(error).not.toBe('');
  });

  it('explains itself', async () => {
    const { status, out } = await run(['--help']);
    expect(status).toBe(0);
    for (const word of ['receipt', 'books', '--coordinator', '--json', 'Exit status'])
      expect(out).toContain(word);
  });

  it('judges books, and sets the exit status of its process', async () => {
    const path = join(folder, 'books.sqlite');
    await writeBooks(path);
    expect((await run(['books', path])).out).toMatch(/\nvalid\n$/);
    const script = fileURLToPath(new URL('verify-main.ts', import.meta.url));
    const ended = (args: string[]) =>
      new Promise<unknown>((resolve) => {
        execFile(process.execPath, [script, ...args], (error) => resolve(error === null ? 0 : error.code));
      });
    const tampered = { ...receipt, payer: 'acct_other' };
    writeFileSync(join(folder, 'tampered.json'), JSON.stringify(tampered));
    expect(await ended(['books', path])).toBe(0);
    expect(await ended(['receipt', join(folder, 'tampered.json')])).toBe(1);
    expect(await ended(['receipt', path])).toBe(2);
  });
});
