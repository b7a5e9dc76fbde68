/** What hostile input in bulk has found, one test for each. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CoordinatorFrameSchema, closeCodes } from '@tussah/protocol/contributor-frames';
import { ErrorBodySchema } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import * as v from 'valibot';
import {
  MODEL,
  openNetwork,
  piecesOf,
  says,
  startNetwork,
  temporaryFolder,
  until,
  type TestNetwork,
} from '../testing/harness.ts';
import { openRawSocket } from '../testing/raw-socket.ts';
import { MARKER } from './vocabulary.ts';
import { exchange, type RawAnswer } from './raw-client.ts';
import { frameOf, opcodes, RawWebSocket } from './raw-websocket.ts';

const ANSWER = '12 + 7 = 19.';
let network: TestNetwork;
beforeAll(async () => {
  network = await openNetwork();
  await network.contribute(says(ANSWER));
});
afterAll(() => network.close());

async function answersTo(text: string, url = network.url): Promise<readonly RawAnswer[]> {
  const { answers, end } = await exchange(url, { parts: [Buffer.from(text)] }, 10_000);
  expect(end).toBe('closed');
  return answers;
}

async function answerTo(text: string, url = network.url): Promise<RawAnswer> {
  const [answer] = await answersTo(text, url);
  if (answer === undefined) throw new Error('there was no answer');
  return answer;
}

const codeOf = ({ status, body }: RawAnswer): string =>
  `${status} ${v.parse(ErrorBodySchema, JSON.parse(body)).error.code}`;

const chat = (fields: object, close: boolean, key = 'guest'): string => {
  const body = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'x' }], ...fields });
  const connection = close ? 'close' : 'keep-alive';
  return (
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: ${connection}\r\n` +
    `authorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  );
};

describe('a request', () => {
  it('without a Host was refused by Node, in no shape of ours', async () => {
    const answer = await answerTo('GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n');
    expect(codeOf(answer)).toBe('400 invalid_request');
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
    expect((await answerTo('GET /v1/models HTTP/1.0\r\n\r\n')).status).toBe(200);
  });

  it('with an expectation that nobody knows was refused by Node, without a word', async () => {
    const answer = await answerTo(
      'GET /v1/models HTTP/1.1\r\nhost: x\r\nexpect: miracles\r\nconnection: close\r\n\r\n',
    );
    expect(answer.status).toBe(200);
  });

  it('that offers an upgrade, as some clients do with every request, was refused', async () => {
    const offer = 'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n';
    const answer = await answerTo(`GET /v1/models HTTP/1.0\r\nhost: x\r\n${offer}\r\n`);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ object: 'list' });
  });

  it('with a longer id than any was told that its method is not allowed', async () => {
    for (const [path, code] of [
      ['/v1/models/', '404 model_not_found'],
      ['/v1/receipts/', '404 receipt_not_found'],
    ] as const)
      expect(
        codeOf(
          await answerTo(`GET ${path}${'x'.repeat(200)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
        ),
      ).toBe(code);
  });

  it('for a folder of the site could not be read, it was said', async () => {
    const site = temporaryFolder();
    mkdirSync(join(site, 'assets'));
    writeFileSync(join(site, 'index.html'), '<!doctype html>');
    const own = await startNetwork({ flags: ['--site', site] });
    for (const path of ['/assets/', `/assets/${'n'.repeat(300)}.js`])
      expect(
        codeOf(await answerTo(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`, own.url)),
      ).toBe('404 not_found');
  });

  it('among many on one connection made Node warn of a leak', async () => {
    const warnings: string[] = [];
    const note = (warning: Error) => warnings.push(warning.name);
    process.on('warning', note);
    const { key } = await network.account('1000000');
    const answers = await answersTo(`${chat({}, false, key).repeat(15)}${chat({}, true, key)}`);
    // Node emits warnings in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 16 }, () => 200));
    expect(warnings).toEqual([]);
  });

  it.each([false, true])(
    'whose turn on its connection never comes goes with it (stream: %s)',
    async (stream) => {
      const own = await startNetwork();
      await own.contribute(says(ANSWER, 200));
      await own.contribute(says(ANSWER, 200));
      const both = chat({ stream }, false).repeat(2);
      const leaving = exchange(own.url, { parts: [Buffer.from(both), 300], abort: true }, 10_000);
      await until('both run', () => own.log.filter(({ msg }) => msg === 'job-started').length === 2);
      await leaving;
      const ended = () => own.log.filter(({ msg }) => msg === 'job-ended').map((line) => line['outcome']);
      await until('both end', () => ended().length === 2);
      expect(ended()).toEqual(['cancelled', 'cancelled']);
    },
  );
});

describe('an upgrade', () => {
  it.each([
    [
      'of a version that nobody speaks',
      'sec-websocket-version: 99\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
    ],
    ['without a key', 'sec-websocket-version: 13\r\n'],
  ])('%s was refused in no shape of ours', async (_, headers) => {
    const answer = await answerTo(
      `GET /worker HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n${headers}\r\n`,
    );
    expect(codeOf(answer)).toBe('400 invalid_request');
  });

  it('too many was refused without a word', async () => {
    const own = await startNetwork({ flags: ['--contributors-per-network', '1'] });
    await openRawSocket(own.url);
    const handshake =
      'GET /worker HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n' +
      'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
    expect(codeOf(await answerTo(handshake, own.url))).toBe('429 rate_limited');
    const metrics = await (await fetch(`${own.url}/metrics`)).text();
    expect(metrics).toContain('tussah_sockets_dropped_total{reason="network_full"} 1\n');
  });
});

/** A socket at `/worker`, once it is challenged. */
async function challenged(): Promise<RawWebSocket> {
  const socket = new RawWebSocket(network.url);
  await socket.until(() => socket.texts.length > 0, 10_000);
  return socket;
}

describe('a contributor', () => {
  it('could ping without bounds', async () => {
    const socket = await challenged();
    socket.send(
      Buffer.concat(Array.from({ length: 2 * limits.frameBurst }, () => frameOf(opcodes.ping, 'x'))),
    );
    await socket.until(() => socket.closeCode !== undefined, 10_000);
    expect(socket.closeCode).toBe(closeCodes.tooFast);
    expect(JSON.parse(socket.texts.at(-1) ?? '')).toMatchObject({ type: 'refused', code: 'too_fast' });
    socket.destroy();
  });

  it('is still answered when it pings now and then', async () => {
    const { socket } = await openRawSocket(network.url);
    const pong = new Promise<string>((resolve) => {
      socket.on('pong', (data: Buffer) => resolve(data.toString()));
    });
    socket.ping('still there?');
    expect(await pong).toBe('still there?');
  });

  it('could keep a frame in thousands of pieces', async () => {
    const socket = await challenged();
    const piece = frameOf(opcodes.continuation, ' ', { fin: false });
    socket.send(
      Buffer.concat([
        frameOf(opcodes.text, '', { fin: false }),
        ...Array.from({ length: 1_000 }, () => piece),
      ]),
    );
    await socket.until(() => socket.closeCode !== undefined, 10_000);
    expect(socket.closeCode).toBe(1008);
    socket.destroy();
  });

  it('was refused with a frame against our own schema for half a surrogate in a name', async () => {
    const socket = await challenged();
    socket.text('{"type":"pong","n":0,"\\ud800":1}');
    await socket.until(() => socket.closeCode !== undefined, 10_000);
    expect(v.parse(CoordinatorFrameSchema, JSON.parse(socket.texts.at(-1) ?? ''))).toMatchObject({
      type: 'refused',
      code: 'malformed_frame',
    });
    socket.destroy();
  });

  it('could write a prompt into the log, as its reason to fail or decline', async () => {
    const own = await startNetwork();
    await own.contribute(says(ANSWER));
    const cheap = { ask: { promptNanoPerMillion: '1', completionNanoPerMillion: '1' } };
    await own.contribute(
      async ({ jobId }, contributor) => contributor.send({ type: 'job-decline', jobId, reason: MARKER }),
      cheap,
    );
    await own.answer({});
    await own.contribute(async (offer, contributor) => {
      contributor.send({ type: 'job-accept', jobId: offer.jobId });
      await contributor.deliver(offer, piecesOf(ANSWER).slice(0, 2));
      contributor.send({ type: 'job-failed', jobId: offer.jobId, code: MARKER, message: MARKER });
    }, cheap);
    await own.contribute(
      async ({ jobId }, contributor) =>
        contributor.send({ type: 'job-failed', jobId, code: 'device_lost', message: MARKER }),
      cheap,
    );
    await own.answer({});
    const moves = own.log.filter(({ msg }) => msg === 'job-moved').map((line) => line['detail']);
    expect(moves).toContain(null);
    expect(moves).toContain('device_lost');
    expect(own.logText.join('')).not.toContain(MARKER);
  });
});
