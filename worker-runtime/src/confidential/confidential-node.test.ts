import { simulatedPolicy, newSimulatedWorld } from '@tussah/attestation/simulated/bundle';
import { parseBundle } from '@tussah/attestation/bundle/bundle';
import { helloStatement } from '@tussah/protocol/contributor-frames';
import type { SealedHeader } from '@tussah/protocol/private/header';
import { ok } from '@tussah/protocol/errors';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { RefusalCode } from '@tussah/protocol/private/statements';
import { domains, newIdentity, verifySignature } from '@tussah/protocol/signatures';
import { afterEach, describe, expect, it } from 'vitest';
import { ConfidentialNode } from './confidential-node.ts';
import { jsonLog } from './log.ts';
import { SimulatedAttester } from './simulated/simulated-attester.ts';
import {
  coordinatorKey,
  ScriptedCoordinator,
  type Listed,
  type SealedJob,
} from './testing/scripted-coordinator.ts';
import { ScriptedUpstream } from './testing/scripted-upstream.ts';
import { settle, TestClock, until } from './testing/test-clock.ts';

const NOW = Date.UTC(2026, 10, 1);
const MINUTE = 60_000;
const world = await newSimulatedWorld(NOW);
const identity = await newIdentity();
const price = { promptNanoPerMillion: '1000000', completionNanoPerMillion: '4000000' };

const open: ConfidentialNode[] = [];
afterEach(() => {
  for (const node of open.splice(0)) node.stop();
});

async function newNode(suite: SealedHeader['suite'] = 'x25519-hkdf-sha256-aes256gcm') {
  const clock = new TestClock(NOW);
  const upstream = new ScriptedUpstream();
  const coordinator = new ScriptedCoordinator(simulatedPolicy(world), clock.nowMs);
  const log: string[] = [];
  const node = new ConfidentialNode(
    {
      goods: {
        suite,
        identity: identity.publicKey,
        model: 'tussah-tiny',
        modelDigest: '12'.repeat(32),
        price,
        concurrency: 2,
        lifeMs: 60 * MINUTE,
      },
      identity,
      wallet: null,
      agent: 'test',
    },
    {
      attester: new SimulatedAttester(world, clock.nowMs),
      upstream,
      clock,
      log: jsonLog('simulated', (line) => log.push(line), clock.nowMs),
      openSocket: coordinator.openSocket,
    },
  );
  open.push(node);
  node.start();
  const hello = await coordinator.welcome();
  const listed = await coordinator.epoch();
  return { node, clock, upstream, coordinator, listed, hello, log };
}
type Net = Awaited<ReturnType<typeof newNode>>;

const running = (net: Net, n = 0) => until(() => net.upstream.answering[n], 'the upstream’s turn');

async function offer(net: Net, changes: Parameters<ScriptedCoordinator['seal']>[1] = {}): Promise<SealedJob> {
  const job = await net.coordinator.seal(net.listed, changes);
  net.coordinator.send(job.offer);
  return job;
}

async function refusal(net: Net, listed: Listed = net.listed): Promise<RefusalCode> {
  const { refusal, signature } = await net.coordinator.next('sealed-refuse');
  const { receiptKey } = parseBundle(listed.text).statement;
  expect(await verifySignature(receiptKey, domains.nodeRefusal, refusal, signature)).toBe(true);
  return refusal.code;
}

/** Time passes, and the coordinator is heard. */
async function alive(net: Net, minutes: number): Promise<void> {
  for (let i = 0; i < 2 * minutes; i++) {
    await net.clock.advance(MINUTE / 2);
    net.coordinator.send({ type: 'ping', n: i });
  }
}

/** The answer as its client reads it; chunks that came too fast have to wait for their time. */
async function answerOf(net: Net, job: SealedJob) {
  const isDone = () => net.coordinator.frames.some(({ type }) => type === 'sealed-done');
  for (let i = 0; i < 100 && !isDone(); i++) await net.clock.advance(privateLimits.chunkSpacingMs);
  return net.coordinator.answer(job);
}

describe('a node that registers', () => {
  it('proves its identity, and binds keys, nonce and offer to its evidence', async () => {
    const { hello, listed, node } = await newNode();
    const statement = helloStatement(coordinatorKey, '11'.repeat(32), identity.publicKey, null);
    expect(await verifySignature(hello.publicKey, domains.nodeHello, statement, hello.signature)).toBe(true);
    const { receiptKey } = parseBundle(listed.text).statement;
    const { offer, signature } = listed.attest;
    expect(await verifySignature(receiptKey, domains.nodeOffer, offer, signature)).toBe(true);
    expect(offer).toMatchObject({
      coordinator: coordinatorKey,
      identity: identity.publicKey,
      bundle: listed.name,
      contextTokens: 2_048,
      concurrency: 2,
    });
    await until(() => (node.state.current?.bundle === listed.name ? true : undefined), 'the epoch');
  });

  it('tries again, with a new nonce, when the machine gives no evidence', async () => {
    const net = await newNode();
    net.upstream.facts = { ok: false, failure: { code: 'upstream_unknown', message: 'x', remedy: 'y' } };
    net.coordinator.lose();
    await net.clock.advance(1_000);
    await net.coordinator.welcome();
    net.coordinator.send({ type: 'epoch', epochNonce: '77'.repeat(32) });
    await until(() => net.log.find((line) => line.includes('evidence-failed')), 'the failure');
    net.upstream.facts = new ScriptedUpstream().facts;
    await net.clock.advance(privateLimits.epochIntervalMs);
    expect(net.coordinator.frames.some(({ type }) => type === 'epoch-request')).toBe(false);
    await net.clock.advance(7_000);
    await net.coordinator.next('epoch-request');
    const again = await net.coordinator.epoch();
    expect(again.name).not.toBe(net.listed.name);
  });
});

describe('a sealed job', () => {
  it.each(['x25519-hkdf-sha256-aes256gcm', 'xwing-hkdf-sha256-aes256gcm'] as const)(
    'is opened, answered, counted and signed for (%s)',
    async (suite) => {
      const net = await newNode(suite);
      const job = await offer(net);
      const { inner, onText, end } = await running(net);
      expect(inner.messages[0]?.content).toBe('a secret question');
      onText('12 + 7');
      onText(' = 19.');
      end({ how: 'complete', finishReason: 'stop', promptTokens: 17, completionTokens: 10 });
      const { text, done, payloads, transcript, closed } = await answerOf(net, job);
      expect(text).toBe('12 + 7 = 19.');
      expect(closed).toBe(true);
      expect(payloads.at(-1)?.end).toEqual({ finishReason: 'stop', promptTokens: 17, completionTokens: 10 });
      const { receipt, signature } = done.node;
      const { receiptKey } = parseBundle(net.listed.text).statement;
      expect(await verifySignature(receiptKey, domains.nodeReceipt, receipt, signature)).toBe(true);
      expect(receipt).toMatchObject({
        jobId: job.jobId,
        headerHash: job.sealed.headerHash,
        bundle: net.listed.name,
        identity: identity.publicKey,
        outcome: 'complete',
        promptTokens: 17,
        completionTokens: 10,
        price,
        chunks: payloads.length,
        transcript,
      });
    },
  );

  it('leaves no word of prompt and answer in the log', async () => {
    const net = await newNode();
    const job = await offer(net, { inner: { stop: ['a secret stop'] } });
    const { onText, end } = await running(net);
    onText('a secret answer');
    end({ how: 'complete', finishReason: 'stop', promptTokens: 17, completionTokens: 3 });
    await answerOf(net, job);
    expect(net.log.length).toBeGreaterThan(4);
    expect(net.log.join()).not.toContain('secret');
    expect(net.log.every((line) => JSON.parse(line).attestation === 'simulated')).toBe(true);
  });

  it('is cut off when the client goes: what was sent is signed for, no more is', async () => {
    const net = await newNode();
    const job = await offer(net);
    const { onText, signal } = await running(net);
    onText('one');
    await net.clock.advance(privateLimits.chunkSpacingMs);
    onText(' two');
    onText(' three, too soon to leave');
    net.coordinator.send({ type: 'job-cancel', jobId: job.jobId, reason: 'client gone' });
    const { done, text, payloads, closed } = await answerOf(net, job);
    expect(signal.aborted).toBe(true);
    expect({ text, closed }).toEqual({ text: 'one two', closed: false });
    expect(done.node.receipt).toMatchObject({
      outcome: 'cancelled',
      promptTokens: 17,
      completionTokens: 2,
      chunks: payloads.length,
    });
  });

  it('says that the upstream failed, and is signed for as failed', async () => {
    const net = await newNode();
    const job = await offer(net);
    const { onText, end } = await running(net);
    onText('half');
    end({ how: 'failed', code: 'upstream_failed' });
    const { payloads, done, closed } = await answerOf(net, job);
    expect(payloads.at(-1)?.failed).toEqual({ code: 'upstream_failed' });
    expect(closed).toBe(true);
    expect(done.node.receipt).toMatchObject({ outcome: 'failed', completionTokens: 1 });
  });

  it('never counts more than its header allows', async () => {
    const net = await newNode();
    net.upstream.promptTokens = { ok: true, value: null };
    const job = await offer(net, { header: { maxPromptTokens: 10, maxTokens: 4 } });
    const { onText, end } = await running(net);
    onText('text');
    end({ how: 'complete', finishReason: 'length', promptTokens: 5_000, completionTokens: 900 });
    const { done, payloads } = await answerOf(net, job);
    expect(done.node.receipt).toMatchObject({ promptTokens: 10, completionTokens: 4 });
    expect(payloads.at(-1)?.end).toMatchObject({ promptTokens: 10, completionTokens: 4 });
  });

  it('ends after half an hour, whatever the upstream does', async () => {
    const net = await newNode();
    const job = await offer(net);
    const { onText } = await running(net);
    onText('endless');
    for (let minute = 0; minute < 31; minute++) {
      await net.clock.advance(MINUTE / 2);
      net.coordinator.send({ type: 'ping', n: minute });
      await net.clock.advance(MINUTE / 2);
      net.coordinator.send({ type: 'ping', n: minute });
    }
    const { payloads, done } = await answerOf(net, job);
    expect(payloads.at(-1)?.failed?.code).toBe('upstream_failed');
    expect(done.node.receipt.outcome).toBe('failed');
  });

  it('leaves under paced in chunks of one size, at the beat, with cover up to eight', async () => {
    const net = await newNode();
    const job = await offer(net, { header: { padding: 'paced' } });
    const { onText, end } = await running(net);
    onText('a');
    await until(() => net.coordinator.frames.find(({ type }) => type === 'sealed-delta'), 'the first chunk');
    onText('b');
    await settle();
    const deltas = () => net.coordinator.frames.filter(({ type }) => type === 'sealed-delta').length;
    expect(deltas()).toBe(1);
    await net.clock.advance(100);
    await until(() => (deltas() === 2 ? true : undefined), 'the second chunk');
    await net.clock.advance(200);
    end({ how: 'complete', finishReason: 'stop', promptTokens: 17, completionTokens: 2 });
    await settle();
    await net.clock.advance(1_000);
    const { payloads, sizes, text } = await answerOf(net, job);
    expect(text).toBe('ab');
    expect(payloads).toHaveLength(8);
    expect(new Set(sizes)).toEqual(new Set([256 + 16]));
  });
});

describe('what a node refuses, in words that its receipt key signs', () => {
  const minute = (n: number) => NOW + n * MINUTE;
  it.each<[string, RefusalCode, Partial<SealedHeader>]>([
    ['a job whose time is over', 'expired', { notAfterMs: minute(0) }],
    ['a job for much later', 'too_far_ahead', { notAfterMs: minute(11) }],
    ['another model', 'header_mismatch', { model: 'other' }],
    ['another digest of the model', 'header_mismatch', { modelDigest: '99'.repeat(32) }],
    ['less money than it takes', 'header_mismatch', { maxPriceNano: '1' }],
    ['an answer that does not fit', 'too_long', { maxTokens: 2_040 }],
    ['a prompt above its bound', 'too_long', { maxPromptTokens: 16 }],
  ])('%s', async (_, code, header) => {
    const net = await newNode();
    await offer(net, { header, inner: header.model === undefined ? {} : { model: header.model } });
    expect(await refusal(net)).toBe(code);
    expect(net.upstream.answering).toHaveLength(0);
  });

  it('a header that was changed on its way', async () => {
    const net = await newNode();
    const job = await net.coordinator.seal(net.listed);
    const changed = { ...job.offer.header, maxTokens: 65 };
    net.coordinator.send({ ...job.offer, header: changed });
    expect(await refusal(net)).toBe('unopenable');
  });

  it('the same job twice, however the first ended, and long after', async () => {
    const net = await newNode();
    net.upstream.unsupportedMember = 'seed';
    const refused = await offer(net);
    expect(await refusal(net)).toBe('unsupported');
    net.upstream.unsupportedMember = undefined;
    const answered = await offer(net);
    (await running(net)).end({ how: 'complete', finishReason: 'stop', promptTokens: 1, completionTokens: 0 });
    await answerOf(net, answered);
    for (const minutes of [0, 4, 1]) {
      await alive(net, minutes);
      for (const job of [refused, answered]) {
        net.coordinator.send(job.offer);
        expect(await refusal(net)).toBe(minutes === 1 ? 'expired' : 'replayed');
      }
    }
    expect(net.upstream.answering).toHaveLength(1);
  });

  it('what does not open, which takes no room in its memory of jobs, nor from the job itself', async () => {
    const net = await newNode();
    const job = await net.coordinator.seal(net.listed);
    for (let i = 0; i < 3; i++) {
      net.coordinator.send({ ...job.offer, body: Buffer.alloc(1_040).toString('base64') });
      expect(await refusal(net)).toBe('unopenable');
    }
    net.coordinator.send(job.offer);
    await running(net);
  });

  it('a job under the id of one that runs, even when that has run for so long that its id is forgotten', async () => {
    const net = await newNode();
    const { jobId } = await offer(net);
    await running(net);
    net.upstream.unsupportedMember = 'seed';
    for (let i = 0; i < 2; i++) {
      await alive(net, 11);
      await offer(net);
      expect(await refusal(net)).toBe('unsupported');
    }
    await offer(net, { header: { jobId } });
    expect(await refusal(net)).toBe('replayed');
  });

  it('a bundle that is not its own', async () => {
    const net = await newNode();
    const job = await net.coordinator.seal(net.listed);
    const stranger = { ...job.offer.header, candidates: ['ab'.repeat(32)] };
    net.coordinator.send({ ...job.offer, header: stranger });
    await until(() => net.log.find((line) => line.includes('key_rotated')), 'the refusal');
    expect(net.coordinator.frames.filter(({ type }) => type.startsWith('sealed'))).toEqual([]);
  });

  it('what its upstream would not honour', async () => {
    const net = await newNode();
    net.upstream.unsupportedMember = 'seed';
    await offer(net);
    expect(await refusal(net)).toBe('unsupported');
  });

  it('more jobs at once than it offers', async () => {
    const net = await newNode();
    await offer(net);
    await offer(net);
    await running(net, 1);
    await offer(net);
    expect(await refusal(net)).toBe('busy');
  });

  it('a job that is cancelled before it is accepted, which is no sign of being busy', async () => {
    const net = await newNode();
    const { jobId } = await offer(net);
    net.coordinator.send({ type: 'job-cancel', jobId, reason: 'client gone' });
    expect(await refusal(net)).toBe('cancelled');
  });

  it('a job while it drains, and stops after the last one', async () => {
    const net = await newNode();
    const job = await offer(net);
    const { end } = await running(net);
    net.node.finish();
    expect(await net.coordinator.next('status')).toMatchObject({ state: 'draining' });
    await offer(net);
    expect(await refusal(net)).toBe('draining');
    end({ how: 'complete', finishReason: 'stop', promptTokens: 17, completionTokens: 1 });
    await answerOf(net, job);
    expect(await net.node.ended).toBeNull();
  });
});

describe('epochs', () => {
  it('asks for the next ten minutes before the end, with new keys, and opens with the old ones until then', async () => {
    const net = await newNode();
    await alive(net, 49);
    expect(net.coordinator.frames.some(({ type }) => type === 'epoch-request')).toBe(false);
    await alive(net, 1);
    await net.coordinator.next('epoch-request');
    const second = await net.coordinator.epoch();
    const keys = [net.listed, second].map(({ text }) => parseBundle(text).statement);
    expect(keys[0]?.hpkePublicKey).not.toBe(keys[1]?.hpkePublicKey);
    expect(keys[0]?.receiptKey).not.toBe(keys[1]?.receiptKey);
    await until(() => net.node.state.overlapping[0], 'the overlap');
    await alive(net, 9);
    const old = await offer(net);
    const { onText, end } = await running(net);
    await alive(net, 1);
    expect(net.node.state.overlapping).toEqual([]);
    // The job goes on past its epoch, and is signed for by that epoch's key.
    onText('late');
    end({ how: 'complete', finishReason: 'stop', promptTokens: 17, completionTokens: 1 });
    const { done } = await answerOf(net, old);
    const { receipt, signature } = done.node;
    const { receiptKey } = keys[0] ?? { receiptKey: '' };
    expect(await verifySignature(receiptKey, domains.nodeReceipt, receipt, signature)).toBe(true);
    // What was sealed to the old keys does not open any more.
    await offer(net);
    expect(await refusal(net)).toBe('key_rotated');
  });

  it('of another configuration open nothing from the moment that the new one is there', async () => {
    const net = await newNode();
    const facts = await net.upstream.identify();
    if (!facts.ok) throw new Error('no facts');
    await alive(net, 50);
    await net.coordinator.next('epoch-request');
    net.upstream.facts = ok({ ...facts.value, configDigest: '56'.repeat(32) });
    const second = await net.coordinator.epoch();
    await until(() => net.node.state.overlapping[0], 'the overlap');
    // The evidence that its client has verified says something else than what would answer now.
    await offer(net);
    expect(await refusal(net)).toBe('key_rotated');
    net.coordinator.send((await net.coordinator.seal(second)).offer);
    await running(net);
  });

  it('ends all keys and jobs with the connection, and says nothing of them on the next one', async () => {
    const net = await newNode();
    await offer(net);
    const { signal, onText } = await running(net);
    net.coordinator.lose();
    expect(signal.aborted).toBe(true);
    onText('late');
    await net.clock.advance(1_000);
    await net.coordinator.welcome();
    const next = await net.coordinator.epoch();
    expect(net.coordinator.frames.filter(({ type }) => type.startsWith('sealed-d'))).toEqual([]);
    await offer(net);
    await until(() => net.log.find((line) => line.includes('key_rotated')), 'the refusal');
    expect(next.name).not.toBe(net.listed.name);
  });
});
