/** The private tier in real processes: coordinator, simulated confidential nodes with their upstream, and a client. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Policy } from '@tussah/attestation/policy/policy';
import { PrivateClient } from '@tussah/client/private/private-client';
import type { PrivateEvent } from '@tussah/client/private/private-events';
import { modelDigest } from '@tussah/worker-runtime/confidential/model-digest';
import { openSimulatedWorld } from '@tussah/worker-runtime/confidential/simulated/world-folder';
import { embeddedWeights } from '@tussah/worker-runtime/confidential/upstream/embedded/embedded-facts';
import {
  scriptedServer,
  type ScriptedServer,
} from '@tussah/worker-runtime/confidential/testing/scripted-server';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MODEL, NetworkUnderTest, root } from './network-under-test.ts';

const QUESTION = 'What is 12 + 7?';
const ANSWER = '12 + 7 = 19.';

/** Where a process's own processes can be found in proc(5). */
const linux = process.platform === 'linux';

/** A confidential node in a process of its own. */
class Node {
  readonly child: ChildProcess;
  readonly log: string[] = [];
  readonly attested: Promise<void>;
  /** Once attested. */
  bundle: string | undefined;
  readonly exited: Promise<number | null>;

  constructor(url: string, state: string, more: readonly string[] = []) {
    const script = join(root, 'worker-runtime/src/confidential/node-main.ts');
    const args = [script, '--coordinator', url, '--simulated', '--state', state, ...more];
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.exited = new Promise((resolve) => this.child.once('exit', resolve));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.attested = promise;
    if (this.child.stdout === null || this.child.stderr === null) throw new Error('no pipes');
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.bundle = (JSON.parse(line) as { bundle: string }).bundle;
      resolve();
    });
    createInterface({ input: this.child.stderr }).on('line', (line) => this.log.push(line));
  }

  /** Processes that it has started itself. */
  children(): number[] {
    const { pid } = this.child;
    const path = `/proc/${pid}/task/${pid}/children`;
    return readFileSync(path, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function gone(pids: readonly number[]): Promise<void> {
  await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([]);
}

let state: string;
let policy: Policy;
let network: NetworkUnderTest;
const nodes: Node[] = [];

beforeEach(async () => {
  state = mkdtempSync(join(tmpdir(), 'tussah-world-'));
  const digest = await modelDigest(embeddedWeights);
  if (!digest.ok) throw new Error(digest.failure.message);
  const world = await openSimulatedWorld(state, { [MODEL]: { digest: digest.value } }, Date.now());
  ({ policy } = world);
  network = await NetworkUnderTest.start(['--node-policy', world.policyPath]);
});
afterEach(async () => {
  for (const node of nodes.splice(0)) {
    node.child.kill('SIGKILL');
    await node.exited;
  }
  // Throws when the books do not verify.
  await network.stop();
  rmSync(state, { recursive: true, force: true });
});

async function startNode(more: readonly string[] = []): Promise<Node> {
  const node = new Node(network.url, state, more);
  nodes.push(node);
  await node.attested;
  return node;
}

/** Asks, and calls `onEvent` with everything that comes. */
async function ask(
  onEvent: (event: PrivateEvent) => void = () => undefined,
  padding: 'none' | 'paced' = 'none',
): Promise<{ readonly text: string; readonly last: PrivateEvent }> {
  const client = new PrivateClient({ baseURL: `${network.url}/v1`, policy });
  let text = '';
  let last: PrivateEvent | undefined;
  const question = { model: MODEL, messages: [{ role: 'user' as const, content: QUESTION }], temperature: 0 };
  for await (const event of client.chat(question, { padding })) {
    onEvent(event);
    if (event.type === 'text-delta') text += event.text;
    last = event;
  }
  if (last === undefined) throw new Error('nothing came');
  return { text, last };
}

/** In place of vLLM: the first answer stops in its middle, the others go on from there. */
function hangingUpstream(): Promise<ScriptedServer> {
  let first = true;
  const event = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
  const delta = (content: string, finish_reason: string | null) =>
    event({ choices: [{ index: 0, delta: { content }, finish_reason }] });
  return scriptedServer({
    'GET /version': { version: '0.0.0' },
    'GET /v1/models': { data: [{ id: MODEL, max_model_len: 1_024 }] },
    'POST /tokenize': { count: 17 },
    'POST /v1/chat/completions': (response) => {
      response.writeHead(200);
      if (first) response.write(delta('12 +', null));
      else {
        const usage = { prompt_tokens: 21, completion_tokens: 6 };
        response.end(`${delta(' 7 = 19.', 'stop')}${event({ choices: [], usage })}data: [DONE]\n\n`);
      }
      first = false;
    },
  });
}

const originOf = ({ to }: ScriptedServer): string => `http://${to.address}:${to.port}`;

describe('the private tier', () => {
  test('answers through verified, sealed and signed, and keeps no word of it anywhere', async () => {
    const node = await startNode();
    const { text, last } = await ask();
    expect(text).toBe(ANSWER);
    expect(last).toMatchObject({ type: 'finished', tier: 'private', attestation: 'simulated' });
    node.child.kill('SIGINT');
    expect(await node.exited).toBe(0);
    const kept = [...node.log, ...network.log].join('\n');
    expect(kept).toContain('job-done');
    const data = join(network.folder, 'data');
    const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
    const stored = files.map((each) => readFileSync(join(each.parentPath, each.name), 'latin1')).join('\n');
    expect(stored).toContain('tussah');
    for (const word of [QUESTION, ANSWER, '12 + 7', '= 19']) {
      expect(kept).not.toContain(word);
      expect(stored).not.toContain(word);
    }
  });

  test.runIf(linux)('lets the running job end before a node stops, and leaves nothing running', async () => {
    const node = await startNode();
    const upstream = node.children();
    expect(upstream).toHaveLength(1);
    const { text, last } = await ask((event) => {
      if (event.type === 'assigned') node.child.kill('SIGTERM');
    }, 'paced');
    expect({ text, type: last.type }).toEqual({ text: ANSWER, type: 'finished' });
    expect(await node.exited).toBe(0);
    await gone(upstream);
  });

  test('goes on at another node when one is killed in mid-answer', async () => {
    const server = await hangingUpstream();
    try {
      const upstream = ['--model', MODEL, '--weights', embeddedWeights, '--upstream', originOf(server)];
      const all = [await startNode(upstream), await startNode(upstream)];
      let assigned: string | undefined;
      const events: string[] = [];
      const { text, last } = await ask((event) => {
        events.push(event.type);
        if (event.type === 'assigned') assigned = event.node.bundle;
        if (event.type !== 'text-delta' || events.includes('continued')) return;
        all.find(({ bundle }) => bundle === assigned)?.child.kill('SIGKILL');
      }, 'paced');
      expect(events).toContain('continued');
      expect({ text, type: last.type }).toEqual({ text: ANSWER, type: 'finished' });
      const sent = server.asked.filter(({ what }) => what.includes('completions'));
      expect(sent.map(({ body }) => (body as { messages: unknown[] }).messages.at(-1))).toEqual([
        { role: 'user', content: QUESTION },
        { role: 'assistant', content: '12 +' },
      ]);
    } finally {
      await server.close();
    }
  });

  test('does not offer a node whose evidence the coordinator does not accept', async () => {
    const foreign = mkdtempSync(join(tmpdir(), 'tussah-world-'));
    try {
      const node = new Node(network.url, foreign);
      nodes.push(node);
      await expect.poll(() => node.log.join('\n'), { timeout: 20_000 }).toMatch(/connection-lost|"failed"/);
      const { last } = await ask();
      expect(last.type).toBe('failed');
    } finally {
      rmSync(foreign, { recursive: true, force: true });
    }
  });
});

test('npm start answers a private question once, through the whole of it', async () => {
  const args = ['start', '--silent', '--', '--once', QUESTION, '--tier', 'private', '--json'];
  const child = spawn('npm', args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  child.stdout.on('data', (part: Buffer) => (out += part.toString()));
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
  expect(JSON.parse(out.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
    answer: ANSWER,
    tier: 'private',
    attestation: 'simulated',
    ledgerBalanced: true,
    usage: { prompt_tokens: 17, completion_tokens: 10 },
    receipt: { tier: 'private', node: { receipt: { outcome: 'complete' } } },
  });
}, 90_000);
