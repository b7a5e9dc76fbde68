/** Requests that are wrong before anybody reads their body: framing, sizes, types, addresses, methods and slowness. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ErrorBodySchema } from '@tussah/protocol/errors';
import { limits } from '@tussah/protocol/limits';
import * as v from 'valibot';
import { pause } from '../scripted-contributor.ts';
import { all, eventsOf, MODEL, openNetwork, says, type TestNetwork } from '../testing/harness.ts';
import { openSocket, responseOf, sendRaw, type RawResponse } from '../testing/raw-http.ts';

const SECRET = 'xylophone-8251';
const ANSWER = '12 + 7 = 19.';
let network: TestNetwork;

beforeAll(async () => {
  network = await openNetwork({ requestTimeoutMs: 400 });
  await network.contribute(says(ANSWER));
});
afterAll(() => network.close());

const CHAT = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n';
const JSON_TYPE = 'content-type: application/json\r\n';

function codeOf(response: RawResponse): string {
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(response.headers.get('x-request-id')).toMatch(/^req_/);
  expect(response.body).not.toContain(SECRET);
  const { error } = v.parse(ErrorBodySchema, JSON.parse(response.body));
  expect(error.remedy.length).toBeGreaterThan(10);
  return `${response.status} ${error.code}`;
}

const bodyOf = (bytes: number): string => {
  const frame = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: SECRET }], user: '' });
  return `${frame.slice(0, -1)}${' '.repeat(bytes - frame.length)}}`;
};
const chunked = (body: string): string =>
  `${(body.match(/[^]{1,65536}/g) ?? []).map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\n`;

describe('a body', () => {
  it('of exactly the largest size is read, with and without a length', async () => {
    const body = bodyOf(limits.requestBodyBytes);
    const whole = await sendRaw(
      network.url,
      `${CHAT}${JSON_TYPE}content-length: ${body.length}\r\n\r\n`,
      body,
    );
    expect(whole.status).toBe(200);
    const parts = await sendRaw(
      network.url,
      `${CHAT}${JSON_TYPE}transfer-encoding: chunked\r\n\r\n`,
      chunked(body),
    );
    expect(parts.status).toBe(200);
  });

  it('one byte larger is refused, with and without a length', async () => {
    const body = bodyOf(limits.requestBodyBytes + 1);
    const whole = await sendRaw(network.url, `${CHAT}${JSON_TYPE}content-length: ${body.length}\r\n\r\n`);
    expect(codeOf(whole)).toBe('413 body_too_large');
    const parts = await sendRaw(
      network.url,
      `${CHAT}${JSON_TYPE}transfer-encoding: chunked\r\n\r\n`,
      chunked(body),
    );
    expect(codeOf(parts)).toBe('413 body_too_large');
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'x',
  ])('of type %s is refused', async (type) => {
    const response = await sendRaw(
      network.url,
      `${CHAT}content-type: ${type}\r\ncontent-length: 2\r\n\r\n{}`,
    );
    expect(codeOf(response)).toBe('415 unsupported_media_type');
  });

  it('without a type is refused', async () => {
    const response = await sendRaw(network.url, `${CHAT}content-length: 2\r\n\r\n{}`);
    expect(codeOf(response)).toBe('415 unsupported_media_type');
  });

  it('that is not UTF-8 is refused or read as replacement characters, never as something else', async () => {
    const body = Buffer.concat([
      Buffer.from('{"model":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('","messages":[]}'),
    ]);
    const response = await sendRaw(
      network.url,
      `${CHAT}${JSON_TYPE}content-length: ${body.length}\r\n\r\n`,
      body,
    );
    expect(codeOf(response)).toMatch(/^400 /);
  });

  it('that does not come is given up, while a slow answer may take its time', async () => {
    const slow = network.contribute(says(ANSWER, 100), { tokensPerSecond: 99_999 });
    const answer = slow.then(() => network.chat({ stream: true, tussah: { minTokensPerSecond: 90_000 } }));
    const socket = openSocket(network.url);
    const received = responseOf(socket);
    socket.write(`${CHAT}${JSON_TYPE}content-length: 100\r\n\r\n{"model":"${SECRET}`);
    expect(codeOf(await received)).toBe('408 request_timeout');
    const events = await all(eventsOf(await answer));
    expect(events.at(-1)?.choices?.[0]?.finish_reason).toBe('stop');
  });

  it('that breaks off is nobody’s error', async () => {
    const socket = openSocket(network.url);
    socket.write(`${CHAT}${JSON_TYPE}content-length: 100\r\n\r\n{"model":"${SECRET}`);
    await pause(20);
    socket.destroy();
    expect((await network.answer({})).choices[0]?.message.content).toBe(ANSWER);
  });
});

describe('a head', () => {
  it.each([
    [
      'too large',
      `GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: ${SECRET.repeat(2_000)}\r\n\r\n`,
      '431 headers_too_large',
    ],
    ['not HTTP', `${SECRET}\r\n\r\n`, '400 invalid_request'],
    ['two lengths', `${CHAT}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`, '400 invalid_request'],
    [
      'length and chunks',
      `${CHAT}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}`,
      '400 invalid_request',
    ],
    ['a negative length', `${CHAT}content-length: -1\r\n\r\n{}`, '400 invalid_request'],
    ['a line break in a header', `GET / HTTP/1.1\r\nhost: x\r\nx-a: a\nb\r\n\r\n`, '400 invalid_request'],
    [
      'an address that cannot be decoded',
      'GET /v1/receipts/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
      '400 invalid_request',
    ],
  ])('%s is refused', async (_, head, code) => {
    expect(codeOf(await sendRaw(network.url, head))).toBe(code);
  });
});

describe('an address', () => {
  it.each([
    ['GET', '/v1/nothing', '404 not_found'],
    ['POST', '/v1/nothing', '404 not_found'],
    ['GET', '/v1/chat/completions', '405 method_not_allowed'],
    ['PUT', '/v1/chat/completions', '405 method_not_allowed'],
    ['DELETE', '/v1/models', '405 method_not_allowed'],
    ['POST', '/v1/models/tussah-tiny', '405 method_not_allowed'],
    ['OPTIONS', '/v1/chat/completions', '405 method_not_allowed'],
    ['GET', '/v1/models/none', '404 model_not_found'],
    ['GET', '/v1/models/__proto__', '404 model_not_found'],
    ['GET', '/v1/receipts/rcp_', '404 receipt_not_found'],
    ['GET', '/v1/receipts/rcp_000000000000000000000000', '404 receipt_not_found'],
    ['GET', `/v1/receipts/rcp_'%20OR%201=1--`, '404 receipt_not_found'],
    ['GET', '/v1/receipts/%00', '404 receipt_not_found'],
    ['GET', '/v1/receipts/..%2f..%2fetc%2fpasswd', '404 receipt_not_found'],
    ['GET', `/v1/receipts/${'r'.repeat(90)}`, '404 receipt_not_found'],
  ])('%s %s: %s', async (method, path, code) => {
    const response = await sendRaw(
      network.url,
      `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
    );
    expect(codeOf(response)).toBe(code);
    if (response.status === 405) expect(response.headers.get('allow')).toMatch(/POST|GET, HEAD/);
  });
});

describe('the log', () => {
  it('holds nothing of all this, and no error', () => {
    expect(network.logText.join('')).not.toContain(SECRET);
    expect(network.log.filter((line) => line.level >= 50)).toEqual([]);
  });
});
