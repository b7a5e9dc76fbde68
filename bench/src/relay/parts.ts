/** The work that the coordinator adds to a relay, each part measured alone: CPU of one job, in microseconds. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadTokenizer } from '@tussah/models/tokenizer';
import { promptRenderer } from '@tussah/models/prompt';
import { readChatRequest } from '@tussah/protocol/chat-request';
import { hashOfIds } from '@tussah/protocol/bytes';
import { ContributorFrameSchema, type ContributorFrame } from '@tussah/protocol/contributor-frames';
import { newId } from '@tussah/protocol/ids';
import { segmentStatement, type Receipt, type ReceiptBody } from '@tussah/protocol/receipts';
import { domains } from '@tussah/protocol/signatures';
import { newSigner, SignatureChecker } from '@tussah/coordinator/shell/signer';
import { openSqliteStore } from '@tussah/coordinator/shell/store/sqlite-store';
import { codecOf } from '@tussah/coordinator/shell/tokenizers';
import * as v from 'valibot';
import { cpuPerCall, median } from '../harness.ts';
import { answer, BUILD, MODEL, requestBody } from './load.ts';

const root = resolve(import.meta.dirname, '../../..');
const json = (name: string): unknown => JSON.parse(readFileSync(join(root, 'models/tiny', name), 'utf8'));

const ids = answer.map(({ id }) => id);
const text = answer.map((piece) => piece.text).join('');
const signer = newSigner();
const contributor = newSigner();
const profile = {
  engine: 'wllama',
  version: 'bench',
  prefix: 'text',
  seedBlock: 16,
  replay: 'bit-exact',
} as const;

function receiptBody(): ReceiptBody {
  const price = { promptNanoPerMillion: '1000000', completionNanoPerMillion: '1000000' };
  return {
    version: 1,
    id: newId('rcp'),
    jobId: newId('job'),
    createdAtMs: Date.now(),
    tier: 'public',
    model: MODEL,
    outcome: 'complete',
    finishReason: 'stop',
    payer: 'acct_bench',
    seedRoot: 'root',
    promptHash: hashOfIds(ids),
    usage: { promptTokens: 36, completionTokens: ids.length },
    segments: [
      {
        contributor: contributor.publicKey,
        build: BUILD,
        profile,
        firstPosition: 0,
        tokens: ids.length,
        billedTokens: ids.length,
        promptTokens: 36,
        idsHash: hashOfIds(ids),
        end: 'stop',
        price,
        chargedNano: '100',
        payNano: '95',
        signature: 'a'.repeat(128),
      },
    ],
    chargedNano: '100',
    networkFeeBasisPoints: 500,
    networkFeeNano: '5',
    coordinator: signer.publicKey,
  };
}

/** Signing the receipt. */
export function signing(): number {
  const body = receiptBody();
  return cpuPerCall(() => void signer.sign(domains.receipt, body));
}

/** Checking the contributor's signature under its segment, and its hash of the ids. */
export function checking(): number {
  const checker = new SignatureChecker();
  const facts = {
    jobId: newId('job'),
    contributor: contributor.publicKey,
    model: MODEL,
    build: BUILD,
    seedRoot: 'root',
    promptHash: hashOfIds(ids),
    firstPosition: 0,
    tokens: ids.length,
    idsHash: hashOfIds(ids),
    end: 'stop',
  } as const;
  const signature = contributor.sign(domains.segment, segmentStatement(facts));
  return cpuPerCall(() => {
    hashOfIds(ids);
    if (!checker.check(contributor.publicKey, domains.segment, segmentStatement(facts), signature))
      throw new Error('a good signature was refused');
  });
}

/** Validating the request and every frame of the answer, and that ids and text agree; counting both with our tokenizer. */
export function validating(): number {
  const tokenizer = loadTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
  if (!tokenizer.ok) throw new Error(tokenizer.failure.message);
  const renderer = promptRenderer(tokenizer.value);
  if (!renderer.ok) throw new Error(renderer.failure.message);
  const codec = codecOf(tokenizer.value);
  const jobId = newId('job');
  const frames: ContributorFrame[] = [
    { type: 'job-accept', jobId },
    ...answer.map((piece, position) => ({
      type: 'text-delta' as const,
      jobId,
      position,
      ids: [piece.id],
      text: piece.text,
    })),
    {
      type: 'job-done',
      jobId,
      finishReason: 'stop',
      tokens: 64,
      idsHash: hashOfIds(ids),
      signature: 'a'.repeat(128),
    },
  ];
  return cpuPerCall(
    () => {
      const chat = readChatRequest(requestBody);
      if (!chat.ok) throw new Error('a good request was refused');
      const prompt = renderer.value.render(chat.value.messages, 1_000);
      if (!prompt.ok) throw new Error('a good prompt was refused');
      hashOfIds(prompt.value.ids);
      for (const frame of frames) {
        if (!v.safeParse(ContributorFrameSchema, frame, { abortEarly: true }).success)
          throw new Error('a good frame was refused');
        if (frame.type === 'text-delta' && codec.textOf(frame.ids) !== frame.text)
          throw new Error('ids and text disagree');
      }
      if (codec.count(text) === 0) throw new Error('no tokens');
    },
    { calls: 300 },
  );
}

/** Writing settlements durably, as many in a group as there are jobs at once. */
export async function ledgerWrite(group: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tussah-bench-'));
  const store = openSqliteStore(join(folder, 'ledger.sqlite'));
  await store.write({
    kind: 'transaction',
    transaction: {
      key: 'credit:bench',
      kind: 'credit',
      atMs: 1,
      receiptId: null,
      entries: [
        { account: 'world:development', amountNano: -1_000_000_000n },
        { account: 'client:acct_bench', amountNano: 1_000_000_000n },
      ],
    },
  });
  const write = (body: ReceiptBody) => {
    const receipt: Receipt = { ...body, signature: 'a'.repeat(128) };
    const record = {
      publicKey: contributor.publicKey,
      wallet: null,
      jobsDone: 1,
      jobsFailed: 0,
      tokens: 64,
      tokensPerSecond: 50,
    };
    return store.write({
      kind: 'settlement',
      settlement: {
        receipt,
        transaction: {
          key: `job:${receipt.jobId}`,
          kind: 'job',
          atMs: receipt.createdAtMs,
          receiptId: receipt.id,
          entries: [
            { account: 'client:acct_bench', amountNano: -100n },
            { account: 'operator:fees', amountNano: 5n },
            { account: `contributor:${contributor.publicKey}`, amountNano: 95n },
          ],
        },
        contributors: [record],
        idempotency: null,
      },
    });
  };
  const rounds: number[] = [];
  for (let round = 0; round < 6; round++) {
    const bodies = Array.from({ length: 25 }, () => Array.from({ length: group }, receiptBody));
    const before = process.cpuUsage();
    for (const batch of bodies) await Promise.all(batch.map(write));
    const { user, system } = process.cpuUsage(before);
    if (round > 0) rounds.push((user + system) / (25 * group));
  }
  await store.close();
  rmSync(folder, { recursive: true, force: true });
  return median(rounds);
}
