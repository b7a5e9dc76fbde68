/** Sockets at `/node` that do not keep to the protocol, and what the coordinator writes about those that do. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newIdentity } from '@tussah/protocol/signatures';
import { WebSocket } from 'ws';
import { until } from '../testing/harness.ts';
import { filesUnder } from '../testing/leaks.ts';
import { sealTo, startPrivateNetwork, type PrivateNetwork } from './private-harness.ts';

const says = () => ['hi'];

interface Refused {
  readonly code: string | undefined;
  readonly closeCode: number;
}

/** Sends what it likes once it is challenged, and tells how it was sent away. */
async function send(tier: PrivateNetwork, ...messages: (string | Uint8Array)[]): Promise<Refused> {
  const socket = new WebSocket(`${tier.url.replace(/^http/, 'ws')}/node`);
  onTestFinished(() => socket.terminate());
  const frames: { type: string; code?: string }[] = [];
  let closeCode: number | undefined;
  socket.on('error', () => undefined);
  socket.on('close', (code) => (closeCode = code));
  socket.on('message', (data) => frames.push(JSON.parse((data as Buffer).toString()) as { type: string }));
  await until('the challenge', () => frames.length > 0);
  for (const message of messages) socket.send(message);
  const code = await until('the close', () => closeCode);
  return { code: frames.find(({ type }) => type === 'refused')?.code, closeCode: code };
}

describe('a socket at /node', () => {
  it.each([
    ['binary', Uint8Array.of(1, 2, 3), 'malformed_frame'],
    ['not JSON', 'hello', 'malformed_frame'],
    ['of no type', '{}', 'malformed_frame'],
    ['of the other protocol', JSON.stringify({ type: 'hello', protocol: 'tussah.v1' }), 'protocol_mismatch'],
    ['not a hello', JSON.stringify({ type: 'epoch-request' }), 'illegal_frame'],
    ['with more in it', JSON.stringify({ type: 'epoch-request', x: 1 }), 'malformed_frame'],
    [
      'large before its identity is proven',
      JSON.stringify({ type: 'attest', bundle: 'x'.repeat(10_000) }),
      'too_fast',
    ],
  ])('whose first frame is %s is sent away', async (_, message, code) => {
    const tier = await startPrivateNetwork();
    expect((await send(tier, message)).code).toBe(code);
  });

  it('that sends small things without end before it is proven is sent away', async () => {
    const tier = await startPrivateNetwork();
    const pings = Array.from({ length: 2_000 }, () => JSON.stringify({ type: 'pong', n: 0 }));
    expect((await send(tier, ...pings)).code).toMatch(/illegal_frame|too_fast/);
  });

  it('that says nothing is closed in time', async () => {
    const tier = await startPrivateNetwork({ core: { helloTimeoutMs: 100 } });
    expect((await send(tier)).code).toBe('timeout');
  });

  it('that sends more than its concurrency explains is sent away, and leaves the directory', async () => {
    const tier = await startPrivateNetwork();
    const node = await tier.node(says, { offer: { concurrency: 1 } });
    const { offer, text } = node.epoch;
    const frame = JSON.stringify({
      type: 'attest',
      bundle: text.padEnd(900_000),
      offer,
      signature: '0'.repeat(128),
    });
    for (let i = 0; i < 8; i++) node.sendRaw(frame);
    expect((await node.refused()).code).toMatch(/too_fast|epoch_nonce_unknown/);
    await tier.network.logged('node-left', (line) => line['reason'] === 'misbehaved');
  });

  it('that comes again and again for its evidence to be verified has to wait; who is in may renew', async () => {
    const tier = await startPrivateNetwork({ core: { epochIntervalMs: 0 } });
    const good = await tier.node(says);
    const codes: string[] = [];
    for (let i = 0; i < 40; i++) {
      const flood = await tier.connect(says, { bundleText: () => '{}' });
      codes.push((await flood.refused()).code);
    }
    expect(codes[0]).toBe('evidence_rejected');
    expect(codes.filter((code) => code === 'too_many_attestations').length).toBeGreaterThan(4);
    good.send({ type: 'epoch-request' });
    await good.frame('attested', 1);
  });

  it('is told again and again that its frames are wrong, and never takes the coordinator down', async () => {
    const tier = await startPrivateNetwork();
    const good = await tier.node(says);
    const frames = [
      { type: 'sealed-accept', jobId: 'job_x', responseNonce: '' },
      { type: 'sealed-delta', jobId: `job_${'0'.repeat(24)}`, index: 0, data: '!!!!', last: false },
      { type: 'sealed-delta', jobId: `job_${'0'.repeat(24)}`, index: -1, data: '', last: false },
      { type: 'status', state: 'paused' },
      { type: 'sealed-done', jobId: `job_${'0'.repeat(24)}`, node: null },
      { type: 'sealed-refuse', refusal: {}, signature: '' },
      { type: 'pong', n: 1e300 },
    ];
    for (const frame of frames) {
      const node = await tier.node(says);
      node.sendRaw(JSON.stringify(frame));
      expect((await node.refused()).code).toBe('malformed_frame');
    }
    expect((await tier.ask(await sealTo([good], 'still there?'))).text).toBe('hi');
  });
});

it('nothing of a sealed job is written down but ids, sizes, times, model and price', async () => {
  const tier = await startPrivateNetwork();
  const { key } = await tier.network.account('1000000');
  const identity = await newIdentity();
  const node = await tier.node(() => ['marzipan-47', ' and more'], { identity });
  const sealed = await sealTo([node], 'quetzal-91 is the question');
  const { body, wraps, header } = sealed.request;
  expect((await tier.ask(sealed, { key })).text).toBe('marzipan-47 and more');
  await tier.post({ ...sealed.request, header: { ...header, model: 'quetzal-91' } }, { key });
  const lost = await tier.node(async (job) => {
    await job.accept();
    await job.say({ text: 'marzipan-47' });
    job.node.sendRaw(JSON.stringify({ type: 'sealed-done', marzipan: 'marzipan-47' }));
  });
  await tier.ask(await sealTo([lost], 'quetzal-91'), { key });
  const written = [tier.network.logText.join('')];
  for (const path of ['/metrics', '/v1/network', '/v1/nodes', '/v1/nodes/entries?from=0&to=2'])
    written.push(await (await fetch(`${tier.url}${path}`)).text());
  for (const path of filesUnder(tier.network.dataFolder)) written.push(readFileSync(path).toString('latin1'));
  const all = written.join('\n');
  // The job was there at all.
  expect(all).toContain(header.jobId);
  const secrets = ['quetzal-91', 'marzipan-47', body, wraps[0]?.enc ?? '', wraps[0]?.wrapped ?? ''];
  for (const secret of secrets) expect(all.includes(secret), secret.slice(0, 20)).toBe(false);
  for (const { data } of node.sent) expect(all.includes(data)).toBe(false);
  expect(node.sent.length).toBeGreaterThan(2);
});
