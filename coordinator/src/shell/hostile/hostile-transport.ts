/** Requests that are wrong below their meaning: lengths, chunks, upgrades, many at once, and uploads that stop. */
import { limits } from '@tussah/protocol/limits';
import { mutatedJson, mutatedText } from './json-mutations.ts';
import type { Random } from './random.ts';
import {
  CHAT,
  chatHead,
  render,
  setHeader,
  smallRequest,
  wholeRequest,
  type Credentials,
  type HostileRequest,
} from './request-parts.ts';
import { MARKER, methods } from './vocabulary.ts';

const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

export function wrongFraming(random: Random, given: Credentials): HostileRequest {
  const text = JSON.stringify(smallRequest(given.model));
  const head = `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ${given.key}\r\ncontent-type: application/json\r\n`;
  const smuggled = `GET /v1/${MARKER} HTTP/1.1\r\nhost: x\r\n\r\n`;
  const chunked = 'transfer-encoding: chunked\r\n';
  const made = random.pick([
    `${head}content-length: ${text.length}\r\n${chunked}\r\n${chunk(text)}0\r\n\r\n`,
    `${head}content-length: 4\r\n${chunked}\r\n0\r\n\r\n${smuggled}`,
    `${head}content-length: ${text.length}\r\ncontent-length: 1\r\n\r\n${text}`,
    `${head}content-length: +${text.length}\r\n\r\n${text}`,
    `${head}content-length: ${text.length}, ${text.length}\r\n\r\n${text}`,
    `${head}content-length: 99999999999999999999\r\n\r\n${text}`,
    `${head}content-length: ${limits.requestBodyBytes + 1}\r\n\r\n${text}`,
    `${head}content-length: 0x10\r\n\r\n${text}`,
    `${head}content-length: ${text.length - 3}\r\n\r\n${text}${smuggled}`,
    `${head}content-length : ${text.length}\r\n\r\n${text}`,
    `${head} content-length: ${text.length}\r\n\r\n${text}`,
    `${head}transfer-encoding: xchunked\r\n\r\n${chunk(text)}0\r\n\r\n`,
    `${head}transfer-encoding: gzip, chunked\r\n\r\n${chunk(text)}0\r\n\r\n`,
    `${head}transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n${chunk(text)}0\r\n\r\n`,
    `${head}${chunked}\r\n${chunk(text)}0\r\nx-trailer: ${MARKER}\r\n\r\n`,
    `${head}${chunked}\r\n${chunk(text).replace('\r\n', `;${MARKER}=${'e'.repeat(20_000)}\r\n`)}0\r\n\r\n`,
    `${head}${chunked}\r\nzz\r\n${text}\r\n0\r\n\r\n`,
    `${head}${chunked}\r\n-1\r\n${text}\r\n0\r\n\r\n`,
    `${head}${chunked}\r\nffffffffffffffff\r\n${text}\r\n0\r\n\r\n`,
    `${head}${chunked}\r\n5\r\n${text}\r\n0\r\n\r\n`,
    `${head}${chunked}\r\n${[...text].map(chunk).join('')}0\r\n\r\n`,
    `${head.replaceAll('\r\n', '\n')}content-length: ${text.length}\n\n${text}`,
    `${head.replaceAll('\r\n', '\r')}\r\r${text}`,
    `${head}x-a: a\nb\r\n\r\n${text}`,
    `${head}x-folded: a\r\n ${MARKER}\r\n\r\n${text}`,
    `\r\n\r\n\r\n${head}content-length: ${text.length}\r\n\r\n${text}`,
    `CONNECT ${MARKER}:443 HTTP/1.1\r\nhost: x\r\n\r\n`,
    `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    `\u0016\u0003\u0001\u0002\u0000\u0001${MARKER}`,
    random.bytes(1 + random.below(400)).toString('latin1'),
    mutatedText(random, `${head}content-length: ${text.length}\r\n\r\n${text}`),
  ]);
  return { kind: 'framing', parts: [Buffer.from(made, 'latin1')], silent: true };
}

export function wrongUpgrade(random: Random): HostileRequest {
  const path = random.pick(['/worker', '/worker?x=1', '/worker/', '/', CHAT, '/v1/models', `/${MARKER}`]);
  const headers: [string, string][] = [
    ['host', 'x'],
    ['connection', random.pick(['Upgrade', 'upgrade, close', 'close', 'Upgrade, HTTP2-Settings'])],
    ['upgrade', random.pick(['websocket', 'WebSocket', 'h2c', MARKER, 'websocket, h2c', ''])],
    ['sec-websocket-version', random.pick(['13', '8', '0', '-1', MARKER, '13, 8'])],
    ['sec-websocket-key', random.pick(['', MARKER, 'AAAA', 'A'.repeat(400)])],
    ['sec-websocket-protocol', random.pick(['', 'tussah.v1', ',', MARKER, '"'])],
    [
      'sec-websocket-extensions',
      random.pick(['permessage-deflate', ';;;', MARKER, 'permessage-deflate; client_max_window_bits=99']),
    ],
  ];
  const kept = headers.filter(() => random.chance(0.9));
  const method = random.chance(0.9) ? 'GET' : random.pick(methods);
  return {
    kind: 'upgrade',
    head: method === 'HEAD',
    parts: [
      Buffer.from(render({ method, path, version: 'HTTP/1.1', headers: [...kept, ['connection', 'close']] })),
    ],
    silent: true,
  };
}

/** Many requests in one breath, the last of which closes. */
export function pipelined(random: Random, given: Credentials): HostileRequest {
  const one = () => {
    const body = Buffer.from(
      random.chance(0.5)
        ? JSON.stringify(smallRequest(given.model))
        : mutatedJson(random, smallRequest(given.model)),
    );
    const head = chatHead(given, body);
    setHeader(head, 'connection', 'keep-alive');
    return Buffer.concat([Buffer.from(render(head)), body]);
  };
  const last = Buffer.from(`GET /v1/${MARKER} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  return {
    kind: 'pipelined',
    parts: [Buffer.concat([...Array.from({ length: 1 + random.below(16) }, one), last])],
  };
}

/** Uploads that stop: cut at once, or left hanging until the server gives them up. */
export function brokenOff(random: Random, given: Credentials): HostileRequest {
  const body = Buffer.from(JSON.stringify({ ...wholeRequest(given.model), user: MARKER }));
  const whole = Buffer.concat([Buffer.from(render(chatHead(given, body))), body]);
  const cut = whole.subarray(0, 1 + random.below(whole.length - 1));
  if (random.chance(0.8))
    return {
      kind: 'aborted',
      parts: [random.chance(0.3) ? whole : cut],
      abort: true,
      silent: true,
    };
  if (random.chance(0.5)) return { kind: 'slow', parts: [cut], silent: true };
  const pieces = Array.from({ length: 8 }, (_, i) =>
    whole.subarray((i * whole.length) / 8, ((i + 1) * whole.length) / 8),
  );
  return { kind: 'dribbled', parts: pieces.flatMap((piece) => [piece, 20]) };
}
