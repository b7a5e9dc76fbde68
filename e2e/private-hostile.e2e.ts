/** A coordinator that cheats, in front of a real confidential node: the node refuses in words that it signs, and reads nothing. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseBundle } from '@tussah/attestation/bundle/bundle';
import { newNodeKeys } from '@tussah/client/sealing/suites';
import { sealRequest } from '@tussah/client/sealing/seal-request';
import { limits } from '@tussah/protocol/limits';
import type { SealedHeader } from '@tussah/protocol/private/header';
import type { InnerRequest } from '@tussah/protocol/private/inner-request';
import type { SealedOffer } from '@tussah/protocol/private/node-frames';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { RefusalCode } from '@tussah/protocol/private/statements';
import { domains, verifySignature } from '@tussah/protocol/signatures';
import { modelDigest } from '@tussah/worker-runtime/confidential/model-digest';
import { openSimulatedWorld } from '@tussah/worker-runtime/confidential/simulated/world-folder';
import {
  ScriptedCoordinator,
  type Listed,
  type SealedJob,
} from '@tussah/worker-runtime/confidential/testing/scripted-coordinator';
import {
  scriptedServer,
  type ScriptedServer,
} from '@tussah/worker-runtime/confidential/testing/scripted-server';
import { embeddedWeights } from '@tussah/worker-runtime/confidential/upstream/embedded/embedded-facts';
import { WebSocketServer } from 'ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MODEL, root } from './network-under-test.ts';

const MINUTE = 60_000;
const http = createServer();
const sockets = new WebSocketServer({ server: http, path: '/node' });
const log: string[] = [];
let folder: string;
let upstream: ScriptedServer;
let coordinator: ScriptedCoordinator;
let listed: Listed;
let child: ChildProcess;

/** Questions that reached the model. */
const heard = () => upstream.asked.filter(({ what }) => what.includes('/chat/completions')).length;

/** Lets the node in once more, after it has left. */
async function comesBack(): Promise<void> {
  await coordinator.welcome();
  listed = await coordinator.epoch();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tussah-hostile-'));
  const digest = await modelDigest(embeddedWeights);
  if (!digest.ok) throw new Error(digest.failure.message);
  const { policy } = await openSimulatedWorld(folder, { [MODEL]: { digest: digest.value } }, Date.now());
  coordinator = new ScriptedCoordinator(policy, Date.now);
  sockets.on('connection', (socket) => {
    const node = coordinator.openSocket({
      onOpen: () => undefined,
      onMessage: (text) => socket.send(String(text)),
      onClose: () => socket.close(),
    });
    socket.on('message', (data) => node.send((data as Buffer).toString()));
  });
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
  const event = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
  const said = event({ choices: [{ index: 0, delta: { content: 'Silk.' }, finish_reason: 'stop' }] });
  const usage = event({ choices: [], usage: { prompt_tokens: 17, completion_tokens: 2 } });
  upstream = await scriptedServer({
    'GET /version': { version: '0.0.0' },
    'GET /v1/models': { data: [{ id: MODEL, max_model_len: 2_048 }] },
    'POST /tokenize': { count: 17 },
    'POST /v1/chat/completions': (response) =>
      void response.writeHead(200).end(`${said}${usage}data: [DONE]\n\n`),
  });
  const { address, port } = upstream.to;
  const args = ['--coordinator', `http://127.0.0.1:${(http.address() as AddressInfo).port}`];
  args.push('--simulated', '--state', folder, '--model', MODEL, '--weights', embeddedWeights);
  const script = join(root, 'worker-runtime/src/confidential/node-main.ts');
  child = spawn(process.execPath, [script, ...args, '--upstream', `http://${address}:${port}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', (line) => log.push(line));
  await comesBack();
});

afterAll(async () => {
  child.kill('SIGKILL');
  for (const socket of sockets.clients) socket.terminate();
  http.close();
  await upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

async function refusalOf(offer: SealedOffer): Promise<RefusalCode> {
  const before = heard();
  coordinator.send(offer);
  const { refusal, signature } = await coordinator.next('sealed-refuse');
  const { receiptKey } = parseBundle(listed.text).statement;
  expect(await verifySignature(receiptKey, domains.nodeRefusal, refusal, signature)).toBe(true);
  expect(refusal.jobId).toBe(offer.header.jobId);
  expect(heard()).toBe(before);
  return refusal.code;
}

const seal = (header: Partial<SealedHeader> = {}): Promise<SealedJob> => coordinator.seal(listed, { header });
const flipped = (base64: string): string => (base64.startsWith('A') ? 'B' : 'A') + base64.slice(1);

async function answers(): Promise<SealedJob> {
  const job = await seal();
  coordinator.send(job.offer);
  expect((await coordinator.answer(job)).text).toBe('Silk.');
  coordinator.frames.length = 0;
  return job;
}

describe('a header that was changed after it was sealed', () => {
  const other: { readonly [Member in keyof SealedHeader]?: readonly [SealedHeader[Member], RefusalCode] } = {
    suite: ['x25519-hkdf-sha256-aes256gcm', 'header_mismatch'],
    jobId: ['job_000000000000000000000001', 'unopenable'],
    model: ['other', 'header_mismatch'],
    modelDigest: ['00'.repeat(32), 'header_mismatch'],
    maxPromptTokens: [999, 'unopenable'],
    maxTokens: [63, 'unopenable'],
    maxPriceNano: ['1000000001', 'unopenable'],
    padding: ['paced', 'unopenable'],
    notAfterMs: [Date.now() + 6 * MINUTE, 'unopenable'],
  };
  test.each(Object.entries(other))('%s', async (member, [value, code]) => {
    const { offer } = await seal();
    expect(await refusalOf({ ...offer, header: { ...offer.header, [member]: value } })).toBe(code);
  });

  test('candidates: more, and in another order', async () => {
    const { offer } = await seal();
    for (const candidates of [
      [listed.name, 'ab'.repeat(32)],
      ['ab'.repeat(32), listed.name],
    ]) {
      const header = { ...offer.header, jobId: offer.header.jobId, candidates };
      const fresh = { ...header, jobId: `${header.jobId.slice(0, -1)}${candidates.indexOf(listed.name)}` };
      const at = { ...offer, header: fresh, candidate: candidates.indexOf(listed.name) };
      expect(await refusalOf(at)).toBe('unopenable');
    }
  });

  test('a price that the node does not work for', async () => {
    expect(await refusalOf((await seal({ maxPriceNano: '1' })).offer)).toBe('header_mismatch');
  });

  test('every member was tried', () => {
    const sealedMembers = Object.keys(other).concat('candidates', 'version').toSorted();
    return expect(seal().then(({ offer }) => Object.keys(offer.header).toSorted())).resolves.toEqual(
      sealedMembers,
    );
  });
});

describe('a sealed job', () => {
  test('that was answered is not answered again', async () => {
    const job = await answers();
    expect(await refusalOf(job.offer)).toBe('replayed');
    expect(await refusalOf(job.offer)).toBe('replayed');
  });

  test('that was kept until its time was over', async () => {
    const { offer } = await seal({ notAfterMs: Date.now() + 300 });
    await new Promise((done) => setTimeout(done, 350));
    expect(await refusalOf(offer)).toBe('expired');
  });

  test('for much later', async () => {
    const notAfterMs = Date.now() + privateLimits.headerAheadMs + MINUTE;
    expect(await refusalOf((await seal({ notAfterMs })).offer)).toBe('too_far_ahead');
  });

  test.each<[string, (offer: SealedOffer, another: SealedOffer) => SealedOffer]>([
    ['another encapsulated key', (o) => ({ ...o, wrap: { ...o.wrap, enc: flipped(o.wrap.enc) } })],
    [
      'a wrapped key that was changed',
      (o) => ({ ...o, wrap: { ...o.wrap, wrapped: flipped(o.wrap.wrapped) } }),
    ],
    ['the wrap of another job', (o, { wrap }) => ({ ...o, wrap })],
    ['a body that was changed', (o) => ({ ...o, body: flipped(o.body) })],
    ['the body of another job', (o, { body }) => ({ ...o, body })],
    ['body and wrap of another job', (o, { body, wrap }) => ({ ...o, body, wrap })],
    ['no body', (o) => ({ ...o, body: '' })],
    ['a short encapsulated key', (o) => ({ ...o, wrap: { ...o.wrap, enc: 'AAAA' } })],
    [
      'an encapsulated key of zeros',
      (o) => ({ ...o, wrap: { ...o.wrap, enc: Buffer.alloc(privateLimits.encBytes).toString('base64') } }),
    ],
  ])('with %s', async (_, change) => {
    const [one, another] = [await seal(), await seal()];
    expect(await refusalOf(change(one.offer, another.offer))).toBe('unopenable');
  });

  test('sealed to a key of the coordinator', async () => {
    const { offer, sealed } = await seal();
    const { publicKey } = await newNodeKeys(offer.header.suite);
    const { jobId, model, maxTokens } = offer.header;
    const inner: InnerRequest = {
      version: 1,
      jobId,
      model,
      maxTokens,
      messages: [{ role: 'user', content: 'forged' }],
      sampling: { temperature: 0, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
      stop: [],
      seed: null,
      continuation: null,
    };
    const forged = await sealRequest({
      header: offer.header,
      inner,
      recipients: [{ bundle: listed.text, hpkePublicKey: publicKey }],
    });
    expect(forged.headerHash).toBe(sealed.headerHash);
    const [wrap = offer.wrap] = forged.request.wraps;
    expect(await refusalOf({ ...offer, wrap, body: forged.request.body })).toBe('unopenable');
  });

  test('for somebody else is not even refused: nobody would believe it', async () => {
    const { offer } = await seal();
    coordinator.send({ ...offer, header: { ...offer.header, candidates: ['ab'.repeat(32)] } });
    await expect.poll(() => log.some((line) => line.includes('key_rotated'))).toBe(true);
    await answers();
  });
});

describe('what ends the connection, and all keys with it', () => {
  const cases: [string, (offer: SealedOffer) => unknown][] = [
    [
      'a body above its bound',
      (o) => ({ ...o, body: 'A'.repeat(4 * Math.ceil((privateLimits.bodyBytes + 3) / 3)) }),
    ],
    ['a frame above its bound', () => 'x'.repeat(limits.coordinatorFrameBytes + 1)],
    ['a header of another version', (o) => ({ ...o, header: { ...o.header, version: 2 } })],
    ['a question in the clear', (o) => ({ ...o, messages: [{ role: 'user', content: 'x' }] })],
  ];
  test.each(cases)('%s', async (_, frame) => {
    const before = heard();
    const { offer } = await seal();
    const { connections } = coordinator;
    coordinator.frames.length = 0;
    coordinator.send(frame(offer) as never);
    await expect.poll(() => coordinator.connections, { timeout: 20_000 }).toBe(connections + 1);
    await comesBack();
    // Sealed to the keys of before.
    coordinator.send(offer);
    await answers();
    expect(heard()).toBe(before + 1);
    expect(log.join('\n')).not.toContain('secret');
  });
});
