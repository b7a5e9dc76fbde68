/**
 * The coordinator is killed again and again under load, at every phase of a job and of a commit, and started anew on what
 * it left. `TUSSAH_SEED=… npm test -- sigkill` kills at the same places again; `--deep` kills five times as often.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { ReceiptSchema, type Receipt } from '@tussah/protocol/receipts';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Verdict } from '../../verify/verdict.ts';
import { verifyBooks } from '../../verify/verify-books.ts';
import { until } from '../testing/harness.ts';
import { killPhases, type KillPhase, type KillPlan } from './kill-switch.ts';
import { KilledCoordinator } from './killed-coordinator.ts';
import { answerTo, idsFor, Load, tokensIn } from './load.ts';

const deep = process.env['TUSSAH_DEEP'] === '1';
const seed = Number(process.env['TUSSAH_SEED'] ?? (deep ? Date.now() % 2 ** 31 : 1));
const rounds = deep ? 5 : 1;
const TIME_MS = rounds * 120_000;

/** The latest occurrence of each phase to die at; the load reaches it within about a second on an idle machine. */
const latest: Readonly<Record<KillPhase, number>> = {
  queued: 20,
  offered: 12,
  'running, before the first token': 12,
  'running, after the first token': 300,
  'running, after a checkpoint': 100,
  recovering: 1,
  checking: 10,
  settling: 10,
  'before the commit of a settlement': 10,
  'inside the transaction of a settlement': 10,
  'after the commit, before the acknowledgement': 10,
  'inside the transaction of a checkpoint': 24,
};

/** Every phase in turn, each time at another occurrence. */
const plans = Array.from({ length: rounds * killPhases.length }, (_, i): KillPlan => {
  const phase = killPhases[i % killPhases.length] ?? 'queued';
  const random = createHash('sha256').update(`${seed} ${i}`).digest().readUInt32LE();
  return { phase, occurrence: 1 + (random % latest[phase]) };
});

const folder = mkdtempSync(join(tmpdir(), 'tussah-crash-'));
const database = join(folder, 'coordinator.sqlite');
const coordinator = new KilledCoordinator(folder);
const load = new Load();
let reservedTon: number;
let exit: Awaited<ReturnType<KilledCoordinator['stop']>>;
/** After each kill, on what it left, and at the very end. */
const verdicts: Verdict[] = [];
let receipts: Receipt[];

beforeAll(async () => {
  await coordinator.start(plans[0] ?? null);
  const accounts = await Promise.all([1, 2, 3].map(() => coordinator.newAccount()));
  await load.start(
    coordinator.url,
    accounts.map(({ key }) => key),
  );
  for (const [i, plan] of plans.entries()) {
    await coordinator.killed(plan);
    verdicts.push(await verifyBooks(database, coordinator.publicKey));
    process.stdout.write(`seed ${seed}, kill ${i + 1}: ${plan.phase}, occurrence ${plan.occurrence}\n`);
    await coordinator.start(plans[i + 1] ?? null);
  }
  const offered = load.contributors.map(({ offers }) => offers.length);
  await until('every contributor serves again', () =>
    load.contributors.every(({ offers }, i) => offers.length > (offered[i] ?? 0)),
  );
  await load.stop();
  await until('no job is open', async () => (await coordinator.gauge('tussah_jobs_open')) === 0);
  reservedTon = await coordinator.gauge('tussah_reserved_ton');
  load.leave();
  exit = await coordinator.stop();
  verdicts.push(await verifyBooks(database, coordinator.publicKey));
  receipts = receiptsIn(database);
}, TIME_MS);

afterAll(async () => {
  load.leave();
  await coordinator.clear();
  rmSync(folder, { recursive: true, force: true });
});

function receiptsIn(path: string): Receipt[] {
  const db = new SqliteDatabase(path, { readonly: true });
  const bodies = db.prepare<[], string>('SELECT body FROM receipts').pluck().all();
  db.close();
  return bodies.map((body) => v.parse(ReceiptSchema, JSON.parse(body)));
}

const deliveredBy = (receipt: Receipt): number =>
  receipt.segments.reduce((tokens, segment) => tokens + segment.tokens, 0);
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe(`a coordinator killed ${plans.length} times (seed ${seed})`, () => {
  it('is under a load that meets the kills', () => {
    expect(load.count('resumable', null)).toBeGreaterThan(plans.length);
    expect(sum(load.asked.map(({ resumed }) => resumed))).toBeGreaterThan(0);
    expect(load.count('stream', 'cut')).toBeGreaterThan(0);
    expect(load.count('stream', null)).toBeGreaterThan(0);
    expect(load.asked.some(({ kind, texts }) => kind === 'repeated stream' && texts.length > 1)).toBe(true);
    expect(load.count('repeated once', null)).toBeGreaterThan(0);
  });

  it('keeps every receipt that a client was given, unchanged', () => {
    const given = load.asked.flatMap(({ receipt }) => (receipt === null ? [] : [receipt]));
    const kept = new Map(receipts.map((receipt) => [receipt.id, receipt]));
    expect(given.filter((receipt) => !isSame(receipt, kept.get(receipt.id)))).toEqual([]);
  });

  it('has no two receipts of one job', () => {
    expect(new Set(receipts.map(({ jobId }) => jobId)).size).toBe(receipts.length);
  });

  it('holds nothing back once all jobs are over', () => {
    expect(reservedTon).toBe(0);
  });

  it('leaves books that verify after each kill', () => {
    expect(verdicts).toHaveLength(plans.length + 1);
    expect(verdicts.flatMap(({ checks }) => checks.filter(({ ok }) => !ok))).toEqual([]);
  });

  it('leaves no checkpoint in the end', () => {
    const db = new SqliteDatabase(database, { readonly: true });
    expect(db.prepare('SELECT job_id FROM checkpoints').all()).toEqual([]);
    db.close();
  });

  it('gives resumable clients their whole answer, and charges each token once', () => {
    for (const { question, kind, texts, receipt, code } of load.asked) {
      if (kind !== 'resumable') continue;
      expect({ question, code, text: texts[0] }).toEqual({ question, code: null, text: answerTo(question) });
      const charged = load.receiptsOf(question, receipts);
      expect(charged, `receipts of question ${question}`).toEqual([receipt]);
      expect(charged.map(deliveredBy)).toEqual([idsFor(question).length]);
    }
  });

  it('charges plain streams at most for what they received', () => {
    for (const { question, kind, texts, code } of load.asked) {
      if (kind !== 'stream' && kind !== 'repeated stream') continue;
      const received = texts.map((text) => tokensIn(question, text));
      expect(received, `text of question ${question}`).not.toContain(undefined);
      const charged = load.receiptsOf(question, receipts).map(deliveredBy);
      expect(sum(charged), `question ${question}, ${code}`).toBeLessThanOrEqual(sum(received.map(Number)));
    }
  });

  it('charges an answer in one piece once, and only whole', () => {
    for (const { question, kind, texts, receipt, code } of load.asked) {
      if (kind !== 'repeated once') continue;
      const charged = load.receiptsOf(question, receipts);
      expect(
        charged.map(({ outcome }) => outcome),
        `question ${question}`,
      ).toEqual(['complete']);
      if (code === null)
        expect({ texts, charged }).toEqual({ texts: [answerTo(question)], charged: [receipt] });
      else expect(code).toBe('idempotency_result_expired');
    }
  });

  it('is found again by its contributors, who go on where the answer was cut', () => {
    expect(load.faults).toEqual([]);
    // Some lives are over before they are back.
    for (const { sessions } of load.contributors) expect(sessions).toBeGreaterThan(plans.length / 2);
  });

  it('stops properly in the end, and has complained of nothing', () => {
    expect(exit).toEqual({ code: 0, signal: null });
    expect(coordinator.errors).toBe('');
  });

  it('has written down nothing of what was asked and answered', () => {
    for (const name of readdirSync(folder))
      expect(readFileSync(join(folder, name)).includes('oak leaves'), name).toBe(false);
  });
});

const isSame = (given: Receipt, kept: Receipt | undefined): boolean =>
  JSON.stringify(given) === JSON.stringify(kept);
