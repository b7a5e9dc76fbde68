/**
 * Hostile input in bulk against a real coordinator in a process of its own, with honest people beside it. A failure names
 * the seed and the number of each act: `TUSSAH_SEED=… npm test -- hostile` sends the same again.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyBooks } from '../../verify/verify-books.ts';
import type { ScriptedContributor } from '../scripted-contributor.ts';
import { MODEL } from '../testing/harness.ts';
import { attack, type Act } from './attack.ts';
import { HonestClient, honestContributor } from './companions.ts';
import { newIdentities } from './hostile-peer.ts';
import { hostileRequest } from './hostile-requests.ts';
import { hostileSession, type Battlefield } from './hostile-sessions.ts';
import { Random } from './random.ts';
import { exchange } from './raw-client.ts';
import { plainRequest, type Credentials } from './request-parts.ts';
import { faultOf } from './request-verdict.ts';
import { Target, type Memory } from './target.ts';

const deep = process.env['TUSSAH_DEEP'] === '1';
const inputs = deep ? 300_000 : 20_000;
const seed = Number(process.env['TUSSAH_SEED'] ?? (deep ? Date.now() % 2 ** 31 : 1));
/** Kinds of requests, and depths of sessions: all of them must have been reached. */
const REQUEST_KINDS = 10;
const SESSION_KINDS = 7;
const TIME_MS = deep ? 3_000_000 : 300_000;
/** Answered or closed within this: the longest waits of the coordinator under test are 2 s, and the machine may be busy. */
const ANSWER_MS = 20_000;
/** What may stay after an attack, of any size: caches and remembered keys have bounds, which take this at most. */
const LIVE_GROWTH_BYTES = 48 * 1024 * 1024;
const RSS_GROWTH_BYTES = 256 * 1024 * 1024;

/** For the reader of the test's output. */
const say = (line: string) => process.stdout.write(`${line}\n`);

let folder: string;
let target: Target;
let contributors: ScriptedContributor[];
let client: HonestClient;
let credentials: Credentials;
let before: Memory;

async function admin<Body>(method: string, path: string, body?: unknown): Promise<Body> {
  const response = await fetch(`${target.url}/v1/admin/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${target.adminToken}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await response.json()) as Body;
}

const newAccount = (name: string) =>
  admin<{ key: string; keyId: string }>('POST', 'accounts', { name, creditNano: '1000000000000' });

const requestAct = async (number: number): Promise<Act> => {
  const request = hostileRequest(new Random(seed, number), credentials);
  const answer = await exchange(target.url, request, ANSWER_MS);
  return {
    kind: request.kind,
    inputs: 1,
    fault:
      target.ended === undefined ? faultOf(request, answer) : `it ended: ${target.ended}\n${target.log.last}`,
    sent: () =>
      JSON.stringify(
        request.parts.map((part) => (typeof part === 'number' ? part : part.toString('latin1'))),
      ),
  };
};

const fieldOf = (): Battlefield => ({
  url: target.url,
  identities: newIdentities(64),
  others: contributors.map((contributor) => {
    const welcome = contributor.frames.find((frame) => frame.type === 'welcome');
    return { publicKey: contributor.publicKey, sessionId: welcome?.sessionId ?? '' };
  }),
  ask: () => void exchange(target.url, plainRequest(credentials, 50_000), ANSWER_MS),
});

const sessionAct = async (field: Battlefield, number: number): Promise<Act> => {
  const act = await hostileSession(field, new Random(seed ^ 0x5e55, number));
  return target.ended === undefined
    ? act
    : { ...act, fault: `it ended: ${target.ended}\n${target.log.last}` };
};

beforeAll(async () => {
  say(`hostile input: seed ${seed}, ${inputs} inputs`);
  folder = mkdtempSync(join(tmpdir(), 'tussah-hostile-'));
  target = await Target.start(folder);
  contributors = await Promise.all(Array.from({ length: 6 }, () => honestContributor(target.url)));
  const [attacker, revoked, honest] = [
    await newAccount('attacker'),
    await newAccount('revoked'),
    await newAccount('honest'),
  ];
  await admin('DELETE', `keys/${revoked.keyId}`);
  credentials = { key: attacker.key, revokedKey: revoked.key, model: MODEL };
  client = new HonestClient(target, honest.key);
  // Everything is loaded and compiled once before memory is compared.
  const field = fieldOf();
  const first = [
    ...(await attack(1_000, 16, requestAct)).faults,
    ...(await attack(300, 8, (number) => sessionAct(field, number))).faults,
  ];
  if (first.length > 0) throw new Error(`seed ${seed}: ${first.join('\n')}`);
  before = await target.memory();
}, 120_000);

afterAll(() => {
  target.kill();
  rmSync(folder, { recursive: true, force: true });
});

describe('a coordinator under attack', () => {
  it(
    'answers every hostile request with a documented refusal, or closes',
    async () => {
      const { sent, faults, kinds } = await attack(inputs / 2, 24, (number) => requestAct(number + 1_000));
      expect(faults, `seed ${seed}`).toEqual([]);
      expect(sent).toBeGreaterThanOrEqual(inputs / 2);
      expect(Math.min(...kinds.values()), JSON.stringify([...kinds])).toBeGreaterThan(5);
      expect(kinds.size).toBe(REQUEST_KINDS);
    },
    TIME_MS,
  );

  it(
    'refuses every hostile frame with a documented code, and goes on',
    async () => {
      const field = fieldOf();
      const { sent, faults, kinds } = await attack(inputs / 2, 12, (number) =>
        sessionAct(field, number + 1_000),
      );
      expect(faults, `seed ${seed}`).toEqual([]);
      expect(sent).toBeGreaterThanOrEqual(inputs / 2);
      expect(Math.min(...kinds.values()), JSON.stringify([...kinds])).toBeGreaterThan(5);
      expect(kinds.size).toBe(SESSION_KINDS);
    },
    TIME_MS,
  );

  it('has served everybody else all along', async () => {
    await client.stop();
    say(`an honest client: ${client.answered} answers, the slowest after ${Math.round(client.slowestMs)} ms`);
    expect(client.complaints.slice(0, 5)).toEqual([]);
    expect(client.answered).toBeGreaterThan(50);
    expect(contributors.map(({ closeCode }) => closeCode)).toEqual(contributors.map(() => undefined));
  }, 60_000);

  it('holds no more memory than before', async () => {
    const after = await target.memory();
    const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
    say(
      `live ${mebibytes(before.live)} to ${mebibytes(after.live)} MiB, resident ${mebibytes(before.rss)} to ${mebibytes(after.rss)} MiB, ` +
        `${Math.round(after.cpuMs / 1000)} s of CPU`,
    );
    expect(after.live - before.live).toBeLessThan(LIVE_GROWTH_BYTES);
    expect(after.rss - before.rss).toBeLessThan(RSS_GROWTH_BYTES);
  });

  it('has written nothing of all that into its log, and no error', () => {
    expect(target.log.lines).toBeGreaterThan(inputs / 4);
    expect(target.log.leaks.slice(0, 5)).toEqual([]);
    expect(target.log.alarms.slice(0, 5)).toEqual([]);
  });

  it('ends well, with books that verify', async () => {
    for (const contributor of contributors) contributor.close();
    expect(await target.stop()).toBe(0);
    const verdict = await verifyBooks(target.database, target.publicKey);
    expect(verdict.checks.filter((check) => !check.ok)).toEqual([]);
    expect(verdict.verdict).toBe('valid');
  }, 60_000);
});
