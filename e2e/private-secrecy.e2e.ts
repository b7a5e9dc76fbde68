/**
 * A question and an answer that nobody but client and node may know go through the whole private tier, whatever becomes of their
 * job. Then all that coordinator and nodes have written, and all that went over the wire, is searched for them and for keys.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Policy } from '@tussah/attestation/policy/policy';
import { PrivateClient } from '@tussah/client/private/private-client';
import type { PrivateEvent } from '@tussah/client/private/private-events';
import { formsOf, formsOfBytes, leaksOf, contentsOf } from '@tussah/coordinator/shell/testing/leaks';
import { headerHashOf, type Padding, type SealedRequest } from '@tussah/protocol/private/header';
import { modelDigest } from '@tussah/worker-runtime/confidential/model-digest';
import { openSimulatedWorld } from '@tussah/worker-runtime/confidential/simulated/world-folder';
import {
  scriptedServer,
  type ScriptedServer,
} from '@tussah/worker-runtime/confidential/testing/scripted-server';
import { embeddedWeights } from '@tussah/worker-runtime/confidential/upstream/embedded/embedded-facts';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MODEL, NetworkUnderTest, root } from './network-under-test.ts';
import { Tap } from './tap.ts';

const PROMPT = 'quetzal-91 "façade"\nsecond line of what is asked';
const ANSWER = 'marzipan-47 "naïve"\nanother line of what is said';
const STOP = 'zanzibar-17 stop';
const secrets = [PROMPT, ANSWER, STOP];
/** The answer as it leaves the upstream. */
const pieces = ANSWER.match(/.{1,6}/gsu) ?? [];

type Way = 'whole' | 'fails' | 'hangs';

/** In place of vLLM. Its errors quote what they were asked. */
function upstreamThat(ways: Way[]): Promise<ScriptedServer> {
  const event = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
  const delta = (content: string, finish_reason: string | null = null) =>
    event({ choices: [{ index: 0, delta: { content }, finish_reason }] });
  const usage = { prompt_tokens: 21, completion_tokens: pieces.length };
  return scriptedServer({
    'GET /version': { version: '0.0.0' },
    'GET /v1/models': { data: [{ id: MODEL, max_model_len: 1_024 }] },
    'POST /tokenize': { count: 17 },
    'POST /v1/chat/completions': (response) => {
      const way = ways.shift() ?? 'whole';
      if (way === 'fails')
        return void response.writeHead(500).end(JSON.stringify({ error: { message: PROMPT } }));
      response.writeHead(200);
      if (way === 'hangs')
        return void response.write(
          pieces
            .slice(0, 4)
            .map((piece) => delta(piece))
            .join(''),
        );
      const said = pieces.map((piece) => delta(piece)).join('');
      return void response.end(`${said}${delta('', 'stop')}${event({ choices: [], usage })}data: [DONE]\n\n`);
    },
  });
}

let temporary: string;
let inherited: string | undefined;
let policy: Policy;
let network: NetworkUnderTest;
let upstream: ScriptedServer;
let taps: { readonly client: Tap; readonly node: Tap };
const ways: Way[] = [];
const nodes: { readonly child: ChildProcess; bundle?: string }[] = [];
const nodeOutput: string[] = [];
const errors: string[] = [];
/** Everything that the client drew at random: its body keys are among it. */
const drawn: Buffer[] = [];
const getRandomValues = crypto.getRandomValues.bind(crypto);

async function startNode(): Promise<void> {
  const script = join(root, 'worker-runtime/src/confidential/node-main.ts');
  const { address, port } = upstream.to;
  const args = [
    '--simulated',
    '--state',
    join(temporary, 'world'),
    '--model',
    MODEL,
    '--weights',
    embeddedWeights,
  ];
  const child = spawn(
    process.execPath,
    [script, '--coordinator', taps.node.url, ...args, '--upstream', `http://${address}:${port}`],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const node: { readonly child: ChildProcess; bundle?: string } = { child };
  nodes.push(node);
  createInterface({ input: child.stderr }).on('line', (line) => nodeOutput.push(line));
  await new Promise<void>((attested) =>
    createInterface({ input: child.stdout }).on('line', (line) => {
      nodeOutput.push(line);
      node.bundle = (JSON.parse(line) as { bundle: string }).bundle;
      attested();
    }),
  );
}

async function ask(
  padding: Padding,
  options: {
    readonly content?: string;
    readonly onEvent?: (event: PrivateEvent) => boolean | undefined;
  } = {},
): Promise<{ readonly text: string; readonly last: PrivateEvent }> {
  const client = new PrivateClient({ baseURL: `${taps.client.url}/v1`, policy });
  const messages = [{ role: 'user' as const, content: options.content ?? PROMPT }];
  let text = '';
  let last: PrivateEvent | undefined;
  for await (const event of client.chat({ model: MODEL, messages, stop: [STOP] }, { padding })) {
    if (event.type === 'text-delta') text += event.text;
    if (event.type === 'failed') errors.push(JSON.stringify(event));
    last = event;
    if (options.onEvent?.(event) === false) break;
  }
  if (last === undefined) throw new Error('nothing came');
  return { text, last };
}

/** By where it stands: all that was written or sent so far. */
async function allWritten(): Promise<Map<string, string | Uint8Array>> {
  const written = new Map<string, string | Uint8Array>([
    ['log of the coordinator', network.log.join('\n')],
    ['output of the nodes', nodeOutput.join('\n')],
    ['errors', errors.join('\n')],
    ...taps.client.heard('client'),
    ...taps.node.heard('node'),
    ...contentsOf(temporary),
  ]);
  const { size } = ((await (await fetch(`${network.url}/v1/nodes`)).json()) as { head: { size: number } })
    .head;
  for (const path of [
    '/metrics',
    '/v1/network',
    '/v1/nodes',
    `/v1/nodes/entries?from=0&to=${size}`,
    '/openapi.json',
  ])
    written.set(path, await (await fetch(network.url + path)).text());
  return written;
}

beforeAll(async () => {
  temporary = mkdtempSync(join(tmpdir(), 'tussah-secrecy-'));
  inherited = process.env['TMPDIR'];
  process.env['TMPDIR'] = temporary;
  crypto.getRandomValues = ((array: Uint8Array<ArrayBuffer>) => {
    getRandomValues(array);
    drawn.push(Buffer.from(array));
    return array;
  }) as typeof crypto.getRandomValues;
  const digest = await modelDigest(embeddedWeights);
  if (!digest.ok) throw new Error(digest.failure.message);
  const world = await openSimulatedWorld(
    join(temporary, 'world'),
    { [MODEL]: { digest: digest.value } },
    Date.now(),
  );
  ({ policy } = world);
  network = await NetworkUnderTest.start(['--node-policy', world.policyPath, '--log-level', 'debug']);
  taps = { client: await Tap.on(network.url), node: await Tap.on(network.url) };
  upstream = await upstreamThat(ways);
  await startNode();
  await startNode();
});

afterAll(async () => {
  crypto.getRandomValues = getRandomValues;
  for (const { child } of nodes) child.kill('SIGKILL');
  await Promise.all([taps.client.close(), taps.node.close(), upstream.close()]);
  await network.stop();
  if (inherited === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = inherited;
  rmSync(temporary, { recursive: true, force: true });
});

/** Ids that the client draws are no secrets, nor are those that stand in them. */
const keysDrawn = () => drawn.filter(({ length }) => length === 32);

/** Whether a key opens what was sent (docs/private-tier.md, The sealed request). */
async function opens(key: Buffer, { header, body }: SealedRequest): Promise<boolean> {
  const additionalData = Buffer.concat([
    Buffer.from('tussah-body/1\n'),
    Buffer.from(headerHashOf(header), 'hex'),
  ]);
  const imported = await crypto.subtle.importKey('raw', Uint8Array.from(key), 'AES-GCM', false, ['decrypt']);
  const algorithm = { name: 'AES-GCM', iv: new Uint8Array(12), additionalData };
  return crypto.subtle.decrypt(algorithm, imported, Buffer.from(body, 'base64')).then(
    (inner) => Buffer.from(inner).includes('quetzal-91'),
    () => false,
  );
}

describe('what is private', () => {
  test('stands nowhere but at the client and in the node, however the job ends', async () => {
    for (const padding of ['none', 'buckets', 'paced'] as const) {
      const { text, last } = await ask(padding);
      expect({ text, type: last.type }).toEqual({ text: ANSWER, type: 'finished' });
    }
    ways.push('fails');
    expect((await ask('none')).last).toMatchObject({ type: 'failed', failure: { code: 'upstream_failed' } });
    expect((await ask('none', { content: PROMPT.repeat(20_000) })).last.type).toBe('failed');
    // The client leaves.
    ways.push('hangs');
    await ask('none', { onEvent: ({ type }) => type !== 'text-delta' });
    // The node is gone, and another one goes on with what it said.
    ways.push('hangs');
    let assigned: string | undefined;
    const types: string[] = [];
    await ask('none', {
      onEvent: (event) => {
        types.push(event.type);
        if (event.type === 'assigned') assigned = event.node.bundle;
        if (event.type === 'text-delta' && types.at(-2) === 'assigned' && !types.includes('continued'))
          nodes.find(({ bundle }) => bundle === assigned)?.child.kill('SIGKILL');
        return undefined;
      },
    });
    expect(types).toContain('continued');
    // Somebody takes the wrong address, in the clear.
    const body = JSON.stringify({
      model: MODEL,
      messages: [{ role: 'user', content: PROMPT }],
      tussah: { tier: 'private' },
      header: { model: PROMPT },
      body: PROMPT,
    });
    for (const path of ['/v1/chat/completions', '/v1/sealed/chat/completions']) {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(network.url + path, { method: 'POST', headers, body });
      expect(response.status).toBeGreaterThanOrEqual(400);
      errors.push(await response.text());
    }

    // All of it did go through there.
    expect(
      upstream.asked.filter(({ body: asked }) => JSON.stringify(asked ?? '').includes('quetzal-91')).length,
    ).toBeGreaterThan(6);
    const written = await allWritten();
    const places = [...written.keys()].join('\n');
    for (const place of ['.sqlite-wal', 'client 0, to', 'client 0, from', 'node 0, to', 'node 0, from'])
      expect(places).toContain(place);
    const all = Buffer.concat(
      [...written.values()].map((content) => Buffer.from(content as Uint8Array)),
    ).toString('latin1');
    for (const seen of [
      'sealed-delta',
      'sealed-offer',
      '"type":"assigned"',
      'job-done',
      'sealed-job-started',
    ])
      expect(all.includes(seen), seen).toBe(true);
    expect(secrets.flatMap((secret) => leaksOf(secret, written))).toEqual([]);

    const request = /\{"header":\{"version":1.*?"body":"[^"]*"\}/.exec(all)?.[0];
    const opening = await Promise.all(
      keysDrawn().map((key) => opens(key, JSON.parse(request ?? '') as SealedRequest)),
    );
    expect(opening.filter(Boolean)).toHaveLength(1);
    expect(keysDrawn().flatMap((key) => leaksOf(formsOfBytes(key), written))).toEqual([]);
  });
});

describe('the search', () => {
  test.each(
    secrets.flatMap((secret) => [...formsOf(secret)].map(([name, form]) => [name, secret, form] as const)),
  )('finds a planted %s of %j', (_, secret, form) => {
    const log = Buffer.concat([Buffer.from('{"msg":"x'), form, Buffer.from('y"}')]);
    expect(leaksOf(secret, new Map([['a log', log]]))).not.toEqual([]);
  });

  test('finds what goes over each wire in the clear, masked or not', async () => {
    await fetch(`${taps.client.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: MODEL,
        messages: [{ role: 'user', content: PROMPT }],
        tussah: { tier: 'private' },
      }),
    });
    const socket = new WebSocket(`${taps.node.url.replace('http', 'ws')}/node`);
    await new Promise((opened) => socket.once('message', opened));
    socket.send(JSON.stringify({ type: 'hello', agent: ANSWER }));
    await new Promise((closed) => socket.once('close', closed));
    const written = await allWritten();
    expect(leaksOf(PROMPT, written).join()).toMatch(/JSON in client \d+, to the coordinator/);
    expect(leaksOf(ANSWER, written).join()).toMatch(/JSON in node \d+, to the coordinator/);
  });

  test('finds what is written into a folder, and keys', async () => {
    const key = keysDrawn()[0] ?? Buffer.alloc(0);
    for (const form of formsOfBytes(key).values())
      expect(
        leaksOf(formsOfBytes(key), new Map([['a log', Buffer.concat([Buffer.from('x'), form])]])),
      ).not.toEqual([]);
    const path = readFileSync(join(temporary, 'world', 'policy.json'), 'utf8').slice(0, 40);
    expect(leaksOf(new Map([['raw', Buffer.from(path)]]), await allWritten()).join()).toContain(
      'policy.json',
    );
  });
});
