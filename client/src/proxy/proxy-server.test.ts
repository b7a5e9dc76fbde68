/** The proxy against programs that may use it, and against everybody else. */
import { connect, type Socket } from 'node:net';
import OpenAI, { APIError } from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CoordinatorApi } from '../private/coordinator-api.ts';
import type { PrivateProof } from '../private/openai-shapes.ts';
import { clientOf, network, question, wholeText } from '../private/testing/asking.ts';
import { MODEL } from '../private/testing/scripted-node.ts';
import { startProxy } from './proxy-server.ts';

const token = 'tussah-0123456789abcdef';

async function proxy(requestTimeoutMs = 5_000) {
  const { coordinator, nodes } = await network();
  const client = clientOf(coordinator, { apiKey: 'tsk_of_the_coordinator' });
  const { baseURL, fetch } = coordinator;
  const api = new CoordinatorApi({ baseURL, apiKey: 'tsk_of_the_coordinator', fetch, timeoutMs: 5_000 });
  const bugs: string[] = [];
  const server = await startProxy({
    client,
    api,
    models: new Set([MODEL]),
    padding: 'none',
    port: 0,
    token,
    requestTimeoutMs,
    onBug: (name) => bugs.push(name),
  });
  onTestFinished(async () => {
    await server.close(false);
    expect(bugs).toEqual([]);
  });
  const { port } = server;
  const openai = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: token, maxRetries: 0 });
  return { coordinator, nodes, server, port, openai };
}

/** What a socket says back, once the other side has closed it. */
function answerTo(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (data: Buffer) => (text += data.toString()));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

function open(port: number, ...parts: readonly string[]): { socket: Socket; answer: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  const answer = answerTo(socket);
  for (const part of parts) socket.write(part);
  return { socket, answer };
}

const body = JSON.stringify(question);
const authorization = `authorization: Bearer ${token}\r\n`;

function request(
  port: number,
  headers: string,
  host = `127.0.0.1:${port}`,
  line = 'POST /v1/chat/completions',
): string {
  const sent = line.startsWith('POST') ? body : '';
  return `${line} HTTP/1.1\r\nhost: ${host}\r\n${headers}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(sent)}\r\n\r\n${sent}`;
}

const messages = [...question.messages];

describe("OpenAI's client, with another base URL and key, and nothing else,", () => {
  it('gets private answers, whole and streamed', async () => {
    const { openai, coordinator } = await proxy();
    const answer = await openai.chat.completions.create({ ...question, messages });
    expect(answer.choices[0]?.message.content).toBe(wholeText);
    const { tussah } = answer as unknown as { tussah: PrivateProof };
    expect(tussah).toMatchObject({
      tier: 'private',
      attestation: 'simulated',
      jobId: coordinator.jobs[0]?.jobId,
    });
    const stream = await openai.chat.completions.create({ ...question, messages, stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe(wholeText);
    expect(coordinator.jobs).toHaveLength(2);
  });

  it('sees the models that the policy names', async () => {
    const { openai } = await proxy();
    expect((await openai.models.list()).data).toEqual([]);
  });

  it('gets failures with their code', async () => {
    const { openai, coordinator } = await proxy();
    coordinator.cheats.events = (events) => events.slice(1);
    const asked = openai.chat.completions.create({ ...question, messages });
    await expect(asked).rejects.toMatchObject({ status: 502, code: 'chunk_forged' });
    await expect(openai.embeddings.create({ model: MODEL, input: 'x' })).rejects.toMatchObject({
      status: 404,
    });
    await expect(openai.chat.completions.list()).rejects.toBeInstanceOf(APIError);
  });

  it('that leaves ends its answer where it is made', async () => {
    const { openai, coordinator } = await proxy();
    coordinator.cheats.events = async function* (events) {
      yield* events.slice(0, 3);
      await new Promise(() => undefined);
    };
    const stream = await openai.chat.completions.create({ ...question, messages, stream: true });
    for await (const chunk of stream) if ((chunk.choices[0]?.delta.content ?? '') !== '') break;
    await expect.poll(() => coordinator.cancelled).toEqual([coordinator.jobs[0]?.jobId]);
  });
});

it('a plain socket gets an answer too, and its token goes no further', async () => {
  const { port, coordinator } = await proxy();
  const { answer } = open(port, request(port, `${authorization}connection: close\r\n`));
  expect(await answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(await answer).toContain('"finish_reason":"stop"');
  const sent = coordinator.seen.map(({ headers }) => [...headers.entries()].join());
  expect(sent.join()).toContain('tsk_of_the_coordinator');
  expect(sent.join() + coordinator.seen.map(({ body }) => body).join()).not.toContain(token);
});

describe('whoever is not a program of this machine’s owner is refused, before anything is read:', () => {
  const cases: readonly (readonly [string, (port: number) => string, number])[] = [
    [
      'a name that was made to point here',
      (port) => request(port, authorization, `evil.example:${port}`),
      403,
    ],
    ['the name without the port', (port) => request(port, authorization, '127.0.0.1'), 403],
    ['another port', (port) => request(port, authorization, '127.0.0.1:1'), 403],
    ['no name', (port) => request(port, authorization).replace(/host: [^\r]*\r\n/, ''), 403],
    ['a page', (port) => request(port, `${authorization}origin: https://evil.example\r\n`), 403],
    [
      'a page of this machine',
      (port) => request(port, `${authorization}origin: http://localhost:3000\r\n`),
      403,
    ],
    ['a page without an origin', (port) => request(port, `${authorization}origin: null\r\n`), 403],
    [
      'a preflight',
      (port) =>
        request(
          port,
          'origin: https://evil.example\r\naccess-control-request-method: POST\r\n',
          undefined,
          'OPTIONS /v1/chat/completions',
        ),
      403,
    ],
    ['no token', (port) => request(port, ''), 401],
    ['a wrong token', (port) => request(port, `authorization: Bearer ${token}0\r\n`), 401],
    ['a token of another kind', (port) => request(port, `authorization: Basic ${token}\r\n`), 401],
    ['no token for the catalogue', (port) => request(port, '', undefined, 'GET /v1/models'), 401],
  ];
  it.each(cases)('%s', async (_, make, status) => {
    const { port, coordinator } = await proxy();
    // Closed by the proxy, although it might have been kept.
    const text = await open(port, make(port)).answer;
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(text.toLowerCase()).not.toContain('access-control');
    expect(text).toContain('"remedy"');
    expect(coordinator.seen).toEqual([]);
  });

  it.each(['localhost', '[::1]', 'LOCALHOST'])('but %s is a name of this machine', async (name) => {
    const { port } = await proxy();
    const { answer } = open(port, request(port, `${authorization}connection: close\r\n`, `${name}:${port}`));
    expect(await answer).toMatch(/^HTTP\/1.1 200 /);
  });
});

describe('what is too much, too slow or something else', () => {
  const end = 'connection: close\r\n';
  const cases: readonly (readonly [string, (port: number) => string, number, string])[] = [
    [
      'another address',
      (p) => request(p, authorization + end, undefined, 'POST /v1/embeddings'),
      404,
      'not_found',
    ],
    ['an address that is none', (p) => request(p, authorization + end, undefined, 'GET toString'), 400, ''],
    [
      'another method',
      (p) => request(p, authorization + end, undefined, 'GET /v1/chat/completions'),
      405,
      'GET',
    ],
    [
      'another type',
      (p) => request(p, authorization + end).replace('application/json', 'text/plain'),
      415,
      'media',
    ],
    [
      'what is not JSON',
      (p) => request(p, authorization + end).replace('{"model"', '{{model"'),
      400,
      'invalid_json',
    ],
    [
      'a body that says it is too large',
      (p) =>
        `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${p}\r\n${authorization}content-type: application/json\r\ncontent-length: 2000000\r\n\r\n${'x'.repeat(1_100_000)}`,
      413,
      'body_too_large',
    ],
    [
      'a body in pieces that is too large',
      (p) =>
        `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${p}\r\n${authorization}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${`10000\r\n${'x'.repeat(65_536)}\r\n`.repeat(17)}`,
      413,
      'body_too_large',
    ],
    [
      'headers that are too large',
      (p) => request(p, `x: ${'x'.repeat(20_000)}\r\n`),
      431,
      'headers_too_large',
    ],
    ['what is not HTTP', () => '\u0016\u0003\u0001 hello\r\n\r\n', 400, 'invalid_request'],
  ];
  it.each(cases)('%s', async (_, make, status, code) => {
    const { port, coordinator } = await proxy();
    const text = await open(port, make(port)).answer;
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    if (status !== 405) expect(text).toContain(code);
    expect(coordinator.jobs).toEqual([]);
  });

  it('silence, half a head and half a body are not waited for', async () => {
    const { port, coordinator } = await proxy(300);
    const half = request(port, authorization);
    const started = performance.now();
    const [silence, head, cut] = await Promise.all([
      open(port).answer,
      open(port, half.slice(0, 40)).answer,
      open(port, half.slice(0, -10)).answer,
    ]);
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(silence).toBe('');
    expect(head).toMatch(/^HTTP\/1.1 408 /);
    expect(cut).not.toContain('200 OK');
    expect(coordinator.jobs).toEqual([]);
  });

  it('a head that comes byte by byte is not waited for either', async () => {
    const { port } = await proxy(300);
    const { socket, answer } = open(port);
    const text = request(port, authorization);
    let at = 0;
    const timer = setInterval(() => socket.write(text.charAt(at++)), 20);
    expect(await answer).toMatch(/^HTTP\/1.1 408 /);
    clearInterval(timer);
  });

  it('requests in one row are answered in that row, and none rides on a refused one', async () => {
    const { port, coordinator } = await proxy();
    const good = request(port, authorization);
    const both = open(port, good + request(port, `${authorization}connection: close\r\n`));
    expect((await both.answer).split('HTTP/1.1 200 OK').length).toBe(3);
    expect(coordinator.jobs).toHaveLength(2);
    const refused = await open(port, request(port, '') + good).answer;
    expect(refused.split('HTTP/1.1 ')).toHaveLength(2);
    expect(refused).toMatch(/^HTTP\/1.1 401 /);
  });

  it('upgrades and tunnels are closed', async () => {
    const { port } = await proxy();
    const upgrade = 'connection: upgrade\r\nupgrade: websocket\r\n';
    expect(await open(port, request(port, authorization + upgrade, undefined, 'GET /v1/models')).answer).toBe(
      '',
    );
    expect(
      await open(port, `CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n`).answer,
    ).toBe('');
  });

  it('connections beyond the bound are dropped', async () => {
    const { port } = await proxy();
    const sockets = Array.from({ length: 140 }, () => open(port));
    const dropped = await Promise.race([
      Promise.any(sockets.map(({ answer }) => answer)),
      new Promise((resolve) => setTimeout(() => resolve('none'), 3_000)),
    ]);
    expect(dropped).toBe('');
    for (const { socket } of sockets) socket.destroy();
  });
});

describe('stopping', () => {
  it('waits for running answers, and takes no new ones', async () => {
    const { port, server, coordinator } = await proxy();
    const release = Promise.withResolvers<void>();
    coordinator.cheats.events = async function* (events) {
      yield* events.slice(0, 3);
      await release.promise;
      yield* events.slice(3);
    };
    const { answer } = open(port, request(port, authorization));
    await expect.poll(() => coordinator.jobs).toHaveLength(1);
    const closed = server.close(true);
    await expect(fetch(`http://127.0.0.1:${port}/v1/models`)).rejects.toThrow('fetch failed');
    release.resolve();
    expect(await answer).toContain('"finish_reason":"stop"');
    await closed;
  });

  it('at once cancels them', async () => {
    const { port, server, coordinator } = await proxy();
    coordinator.cheats.events = async function* (events) {
      yield* events.slice(0, 3);
      await new Promise(() => undefined);
    };
    const { answer } = open(port, request(port, authorization));
    await expect.poll(() => coordinator.jobs).toHaveLength(1);
    await server.close(false);
    expect(await answer).not.toContain('finish_reason');
    await expect.poll(() => coordinator.cancelled).toHaveLength(1);
  });
});
