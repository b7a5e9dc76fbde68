/** The coordinator is killed at each phase of sealed jobs, and started anew on what it left. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newSimulatedWorld, simulatedPolicy } from '@tussah/attestation/simulated/bundle';
import type { DirectoryHead, NodeList } from '@tussah/protocol/private/directory';
import type { SealedRequest } from '@tussah/protocol/private/header';
import { verifyConsistency } from '@tussah/protocol/private/merkle';
import { PrivateReceiptSchema, type PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import SqliteDatabase from 'better-sqlite3';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Verdict } from '../../verify/verdict.ts';
import { verifyBooks } from '../../verify/verify-books.ts';
import { readAnswer, sealTo, type SealedAnswer } from '../private/private-harness.ts';
import { ScriptedNode } from '../private/scripted-node.ts';
import { pause } from '../scripted-contributor.ts';
import { until } from '../testing/harness.ts';
import type { KillPlan } from './kill-switch.ts';
import { KilledCoordinator } from './killed-coordinator.ts';

const plans: readonly KillPlan[] = [
  { phase: 'offered', occurrence: 3 },
  { phase: 'running, before the first token', occurrence: 4 },
  { phase: 'running, after the first token', occurrence: 50 },
  { phase: 'checking', occurrence: 5 },
  { phase: 'settling', occurrence: 4 },
  { phase: 'before the commit of a settlement', occurrence: 3 },
  { phase: 'inside the transaction of a settlement', occurrence: 4 },
  { phase: 'after the commit, before the acknowledgement', occurrence: 3 },
];
const CLIENTS = 4;
const NODES = 2;
const words = ['oak ', 'leaves, ', 'шёлк ', '🐛, ', 'and ', 'again ', 'oak ', 'leaves.'];
const wholeText = words.join('');

interface Asked {
  readonly request: SealedRequest;
  /** Undefined where the connection broke. */
  readonly answer: SealedAnswer | undefined;
}

const folder = mkdtempSync(join(tmpdir(), 'tussah-crash-'));
const database = join(folder, 'coordinator.sqlite');
const policyPath = join(folder, 'node-policy.json');
const coordinator = new KilledCoordinator(folder, policyPath);
const asked: Asked[] = [];
const verdicts: Verdict[] = [];
/** The newest that was shown in each life, and whether it goes on from the one of the life before. */
const heads: { readonly head: DirectoryHead; readonly goesOn: boolean }[] = [];
/** Requests of a life that was over before they were, sent once more in the next. */
const repeated: SealedAnswer[] = [];
let reservedTon: number;
let exit: Awaited<ReturnType<KilledCoordinator['stop']>>;
let receipts: PrivateReceipt[];

async function post(key: string, request: SealedRequest): Promise<Response | undefined> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const init = { method: 'POST', headers, body: JSON.stringify(request) };
  return fetch(`${coordinator.url}/v1/sealed/chat/completions`, init).catch(() => undefined);
}

/** Asks on until the coordinator is gone, or is told to stop. */
async function client(nodes: readonly ScriptedNode[], key: string, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const sealed = await sealTo(nodes, 'what do wild silk moths eat?', { maxTokens: 20 });
    const response = await post(key, sealed.request);
    const answer = response && (await readAnswer(response, sealed).catch(() => undefined));
    asked.push({ request: sealed.request, answer });
    if (answer === undefined) return;
  }
}

async function look(): Promise<void> {
  const { head } = (await (await fetch(`${coordinator.url}/v1/nodes`)).json()) as NodeList;
  const before = heads.at(-1)?.head;
  const from = before?.size ?? 0;
  const path = `/v1/nodes/consistency?from=${from}&to=${head.size}`;
  const { proof } = (await (await fetch(coordinator.url + path)).json()) as { proof: string[] };
  const goesOn =
    before === undefined ||
    verifyConsistency({ from, fromRoot: before.rootHash, to: head.size, toRoot: head.rootHash, proof });
  heads.push({ head, goesOn });
}

beforeAll(async () => {
  const world = await newSimulatedWorld(Date.now());
  writeFileSync(policyPath, JSON.stringify(simulatedPolicy(world)));
  await coordinator.start(plans[0] ?? null);
  const { key } = await coordinator.newAccount();
  for (const [i, plan] of [...plans, null].entries()) {
    const lost = asked.filter(({ answer }) => answer?.receipt === undefined).slice(-CLIENTS);
    for (const { request } of lost) {
      const response = await post(key, request);
      if (response !== undefined) repeated.push(await readAnswer(response, { responses: [] }));
    }
    const { url } = coordinator;
    const nodes = await Promise.all(
      Array.from({ length: NODES }, () =>
        ScriptedNode.connect({ url, world, script: () => words, delayMs: 3 }),
      ),
    );
    await Promise.all(nodes.map((node) => node.frame('attested')));
    await look();
    const untilMs = performance.now() + 500;
    const isOver = () => plan === null && performance.now() > untilMs;
    const clients = Array.from({ length: CLIENTS }, (_, n) =>
      client(n % 2 === 0 ? nodes : nodes.toReversed(), key, isOver),
    );
    if (plan !== null) await coordinator.killed(plan);
    await Promise.all(clients);
    for (const node of nodes) node.vanish();
    if (plan === null) break;
    verdicts.push(await verifyBooks(database, coordinator.publicKey));
    await coordinator.start(plans[i + 1] ?? null);
  }
  await until('no job is open', async () => {
    await pause(20);
    reservedTon = await coordinator.gauge('tussah_reserved_ton');
    return reservedTon === 0;
  });
  exit = await coordinator.stop();
  verdicts.push(await verifyBooks(database, coordinator.publicKey));
  const db = new SqliteDatabase(database, { readonly: true });
  const bodies = db.prepare<[], string>('SELECT body FROM receipts').pluck().all();
  db.close();
  receipts = bodies.map((body) => v.parse(PrivateReceiptSchema, JSON.parse(body)));
}, 120_000);

afterAll(async () => {
  await coordinator.clear();
  rmSync(folder, { recursive: true, force: true });
});

describe(`a coordinator killed ${plans.length} times under sealed jobs`, () => {
  it('is under a load that meets the kills', () => {
    expect(asked.filter(({ answer }) => answer === undefined).length).toBeGreaterThanOrEqual(plans.length);
    expect(asked.filter(({ answer }) => answer?.done === true).length).toBeGreaterThan(plans.length);
    expect(repeated.length).toBeGreaterThanOrEqual(plans.length);
  });

  it('leaves books that verify, the directory among them', () => {
    expect(verdicts).toHaveLength(plans.length + 1);
    expect(verdicts.flatMap(({ checks }) => checks.filter(({ ok }) => !ok))).toEqual([]);
  });

  it('keeps every receipt that a client was given, and one for each job', () => {
    const kept = new Map(receipts.map((receipt) => [receipt.node.receipt.jobId, receipt]));
    expect(kept.size).toBe(receipts.length);
    for (const { answer } of asked)
      if (answer?.receipt !== undefined)
        expect(kept.get(answer.receipt.node.receipt.jobId)).toEqual(answer.receipt);
  });

  it('gives whoever has a receipt the whole answer', () => {
    const told = asked.flatMap(({ answer }) => (answer?.receipt === undefined ? [] : [answer]));
    expect(told.filter(({ text, whole }) => text !== wholeText || !whole)).toEqual([]);
  });

  it('charges nobody for what was lost, and answers no job twice', () => {
    const ids = new Set(asked.map(({ request }) => request.header.jobId));
    expect(receipts.every(({ node }) => ids.has(node.receipt.jobId))).toBe(true);
    // Known by its receipt, or sealed to keys that have gone with the connection.
    const codes = new Set(repeated.map(({ code }) => code));
    expect([...codes].filter((code) => code !== 'job_known' && code !== 'no_candidate')).toEqual([]);
    expect(codes).toContain('job_known');
    expect(repeated.every(({ text, receipt }) => text === '' && receipt === undefined)).toBe(true);
    const told = asked.filter(({ answer }) => answer?.receipt !== undefined).length;
    // At most those that were between commit and acknowledgement.
    expect(receipts.length - told).toBeLessThanOrEqual(plans.length * CLIENTS);
    expect(reservedTon).toBe(0);
  });

  it('goes on with the directory that it has shown', () => {
    expect(heads.map(({ goesOn }) => goesOn)).toEqual(heads.map(() => true));
    expect(heads.at(-1)?.head.size).toBeGreaterThan(plans.length * NODES);
  });

  it('stops properly in the end, and has complained of nothing', () => {
    expect(exit).toEqual({ code: 0, signal: null });
    expect(coordinator.errors).toBe('');
  });
});
