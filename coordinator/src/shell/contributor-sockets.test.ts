/** Frames that break the protocol over a real socket: each ends the connection with a frame that says why, and a code. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  closeCodes,
  helloStatement,
  PROTOCOL,
  type ContributorFrame,
} from '@tussah/protocol/contributor-frames';
import { limits } from '@tussah/protocol/limits';
import { newId } from '@tussah/protocol/ids';
import { priceToWire } from '@tussah/protocol/money';
import { domains, newIdentity, sign, type Identity } from '@tussah/protocol/signatures';
import {
  BUILD,
  listPrice,
  MODEL,
  openNetwork,
  says,
  startNetwork,
  until,
  type TestNetwork,
} from './testing/harness.ts';
import { openRawSocket, refusedUpgrade, type RawSocket } from './testing/raw-socket.ts';

const ANSWER = '12 + 7 = 19.';
let network: TestNetwork;
beforeAll(async () => {
  network = await openNetwork();
  await network.contribute(says(ANSWER));
});
afterAll(() => network.close());

const profile = {
  engine: 'wllama',
  version: 'scripted',
  prefix: 'text',
  seedBlock: 16,
  replay: 'bit-exact',
} as const;
const ready = {
  type: 'model-ready',
  model: MODEL,
  build: BUILD,
  profile,
  tokensPerSecond: 50,
  ask: null,
} as const;

/** A hello for a challenge, with what a test changes in it. */
async function helloFor(
  { frames }: RawSocket,
  identity: Identity,
  change: Partial<Extract<ContributorFrame, { type: 'hello' }>> = {},
  nonce?: string,
): Promise<string> {
  const challenge = frames[0];
  if (challenge?.type !== 'challenge') throw new Error('no challenge');
  const statement = helloStatement(challenge.coordinator, nonce ?? challenge.nonce, identity.publicKey, null);
  return JSON.stringify({
    type: 'hello',
    protocol: PROTOCOL,
    publicKey: identity.publicKey,
    signature: await sign(identity, domains.hello, statement),
    wallet: null,
    agent: 'raw/1',
    resume: null,
    ...change,
  });
}

async function welcomed(): Promise<RawSocket> {
  const peer = await openRawSocket(network.url);
  peer.socket.send(await helloFor(peer, await newIdentity()));
  await until('the welcome', () => peer.frames.some((frame) => frame.type === 'welcome'));
  return peer;
}

/** The code and the close code with which a connection was ended. */
async function refusalOf(peer: RawSocket): Promise<[string, number]> {
  const { code, last } = await peer.closed();
  if (last?.type !== 'refused') return ['nothing', code];
  expect(last.message.length).toBeGreaterThan(10);
  expect(last.remedy.length).toBeGreaterThan(10);
  return [last.code, code];
}

const malformed: [string, string | Buffer][] = [
  ['text that is not JSON', 'hello'],
  ['nothing', ''],
  ['JSON that is not an object', '[1]'],
  ['null', 'null'],
  ['a binary frame', Buffer.from('{"type":"pong","n":0}')],
  ['an unknown type', '{"type":"job-steal","jobId":"x"}'],
  ['the type of an inherited property', '{"type":"__proto__"}'],
  ['a type that is no text', '{"type":{"toString":1}}'],
  ['an unknown field', '{"type":"pong","n":0,"more":1}'],
  ['__proto__ as a field', '{"type":"pong","n":0,"__proto__":{"admin":true}}'],
  ['constructor as a field', '{"type":"pong","n":0,"constructor":{"prototype":{}}}'],
  ['a missing field', '{"type":"pong"}'],
  ['a wrong type', '{"type":"pong","n":"0"}'],
  ['a negative count', '{"type":"pong","n":-1}'],
  ['a fractional count', '{"type":"pong","n":0.5}'],
  ['an infinite count', '{"type":"pong","n":1e999}'],
  ['a frame of the coordinator', '{"type":"ping","n":1}'],
  ['a state that does not exist', '{"type":"status","state":"busy"}'],
  ['an id of another kind', `{"type":"job-accept","jobId":"${newId('rcp')}"}`],
  ['deep nesting', `{"type":"pong","n":${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
];

describe('a frame that cannot be read', () => {
  it.each(malformed)('before the hello: %s', async (_, data) => {
    const peer = await openRawSocket(network.url);
    peer.socket.send(data);
    expect(await refusalOf(peer)).toEqual(['malformed_frame', closeCodes.malformedFrame]);
  });

  it.each(malformed)('in a session: %s', async (_, data) => {
    const peer = await welcomed();
    peer.socket.send(data);
    expect(await refusalOf(peer)).toEqual(['malformed_frame', closeCodes.malformedFrame]);
  });

  it('is too large', async () => {
    const peer = await welcomed();
    peer.socket.send(JSON.stringify({ type: 'pong', n: 0, x: 'x'.repeat(limits.contributorFrameBytes) }));
    expect(await refusalOf(peer)).toEqual(['frame_too_large', closeCodes.frameTooLarge]);
  });

  it('is so large that it is not even received', async () => {
    const peer = await welcomed();
    peer.socket.send('x'.repeat(8 * limits.contributorFrameBytes));
    expect((await peer.closed()).code).toBe(1009);
  });

  it('is one too many', async () => {
    const peer = await welcomed();
    for (let i = 0; i < 2 * limits.frameBurst; i++) peer.socket.send('{"type":"pong","n":0}');
    expect(await refusalOf(peer)).toEqual(['too_fast', closeCodes.tooFast]);
  });
});

describe('a frame at the wrong time', () => {
  it.each<[string, object]>([
    ['model-ready', ready],
    ['status', { type: 'status', state: 'ready' }],
    ['pong', { type: 'pong', n: 0 }],
    ['job-accept', { type: 'job-accept', jobId: newId('job') }],
  ])('%s before the hello', async (_, frame) => {
    const peer = await openRawSocket(network.url);
    peer.socket.send(JSON.stringify(frame));
    expect(await refusalOf(peer)).toEqual(['illegal_frame', closeCodes.illegalFrame]);
  });

  it('anything while the hello is being checked', async () => {
    const peer = await openRawSocket(network.url);
    peer.socket.send(await helloFor(peer, await newIdentity()));
    peer.socket.send(JSON.stringify({ type: 'pong', n: 5 }));
    expect(await refusalOf(peer)).toEqual(['illegal_frame', closeCodes.illegalFrame]);
  });

  it.each<[string, object]>([
    ['a pong to no ping', { type: 'pong', n: 5 }],
    ['job-accept without an offer', { type: 'job-accept', jobId: newId('job') }],
    ['job-decline without an offer', { type: 'job-decline', jobId: newId('job'), reason: 'no' }],
    ['text of no job', { type: 'text-delta', jobId: newId('job'), position: 0, ids: [65], text: 'a' }],
    ['job-failed of no job', { type: 'job-failed', jobId: newId('job'), code: 'x', message: 'x' }],
  ])('%s', async (_, frame) => {
    const peer = await welcomed();
    peer.socket.send(JSON.stringify(frame));
    expect(await refusalOf(peer)).toEqual(['illegal_frame', closeCodes.illegalFrame]);
  });

  it('a second hello', async () => {
    const peer = await welcomed();
    peer.socket.send(await helloFor(peer, await newIdentity()));
    expect(await refusalOf(peer)).toEqual(['illegal_frame', closeCodes.illegalFrame]);
  });
});

describe('a hello', () => {
  it.each([
    ['with a signature of zeros', { signature: '0'.repeat(128) }],
    ['for another key', { publicKey: 'a'.repeat(64) }],
    ['for another wallet', { wallet: 'A'.repeat(48) }],
  ])('%s is refused', async (_, change) => {
    const peer = await openRawSocket(network.url);
    peer.socket.send(await helloFor(peer, await newIdentity(), change));
    expect(await refusalOf(peer)).toEqual(['key_not_proven', closeCodes.unauthorized]);
  });

  it('replayed from another connection is refused', async () => {
    const [first, second] = [await openRawSocket(network.url), await openRawSocket(network.url)];
    const hello = await helloFor(first, await newIdentity());
    first.socket.send(hello);
    await until('the first is welcome', () => first.frames.length > 1);
    second.socket.send(hello);
    expect(await refusalOf(second)).toEqual(['key_not_proven', closeCodes.unauthorized]);
  });

  it('of another version of the protocol is told so, whatever else it holds', async () => {
    const peer = await openRawSocket(network.url);
    peer.socket.send(JSON.stringify({ type: 'hello', protocol: 'tussah.v2', passport: true }));
    expect(await refusalOf(peer)).toEqual(['protocol_mismatch', closeCodes.protocolMismatch]);
  });

  it('that does not come in time ends the connection', async () => {
    const own = await startNetwork({ core: { helloTimeoutMs: 80 } });
    expect(await refusalOf(await openRawSocket(own.url))).toEqual(['timeout', closeCodes.timeout]);
  });

  it('of a key that is already here replaces the older connection', async () => {
    const identity = await newIdentity();
    const first = await network.contribute(says(ANSWER), { identity });
    const second = await network.contribute(says(ANSWER), { identity });
    expect(await first.closed()).toBe(closeCodes.replaced);
    expect(first.frames.at(-1)).toMatchObject({ type: 'refused', code: 'session_replaced', retry: false });
    expect(second.closeCode).toBeUndefined();
    second.vanish();
  });
});

describe('an announcement', () => {
  const dear = priceToWire({
    ...listPrice,
    completionNanoPerMillion: listPrice.completionNanoPerMillion + 1n,
  });
  it.each<[string, object, string]>([
    ['of a price above the list', { ask: dear }, 'ask_too_high'],
    ['of a build that is not listed', { build: 'wllama-other' }, 'unknown_build'],
    ['of a build under another model', { model: 'smollm2-135m-instruct' }, 'unknown_build'],
    ['of a model that is not listed', { model: '__proto__' }, 'unknown_build'],
    [
      'of another engine than the build is for',
      { profile: { ...profile, engine: 'webllm' } },
      'unknown_build',
    ],
  ])('%s is refused', async (_, change, code) => {
    const peer = await welcomed();
    peer.socket.send(JSON.stringify({ ...ready, ...change }));
    expect(await refusalOf(peer)).toEqual([code, closeCodes.illegalFrame]);
  });
});

describe('connections', () => {
  it('that do not answer pings end', async () => {
    const own = await startNetwork({ core: { heartbeatMs: 30, heartbeatTimeoutMs: 400 } });
    const peer = await openRawSocket(own.url);
    peer.socket.send(await helloFor(peer, await newIdentity()));
    expect(await refusalOf(peer)).toEqual(['timeout', closeCodes.timeout]);
    expect(peer.frames.filter((frame) => frame.type === 'ping').length).toBeGreaterThan(1);
    const lively = await own.contribute(says(ANSWER));
    await until('pings', () => lively.frames.filter((frame) => frame.type === 'ping').length > 5);
    expect(lively.closeCode).toBeUndefined();
  });

  it('are bounded for each network and altogether, and to their own address', async () => {
    const own = await startNetwork({ flags: ['--contributors-per-network', '2', '--contributors-max', '3'] });
    const peers = [await openRawSocket(own.url), await openRawSocket(own.url)];
    expect(await refusedUpgrade(`${own.url}/worker`)).toBe(429);
    expect(await refusedUpgrade(`${own.url}/elsewhere`)).toBe(404);
    peers[0]?.socket.terminate();
    await until('there is room again', async () => {
      const metrics = await (await fetch(`${own.url}/metrics`)).text();
      return /^tussah_connections 1$/m.test(metrics);
    });
    await openRawSocket(own.url);
  });
});

describe('everybody else', () => {
  it('is served all the same', async () => {
    expect((await network.answer({})).choices[0]?.message.content).toBe(ANSWER);
    expect(network.log.filter((line) => line.level >= 50)).toEqual([]);
  });
});
