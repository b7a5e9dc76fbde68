/**
 * Many sockets that say nothing, or too little: they cost a bounded amount of memory each, are ended in time, and who behaves
 * is served promptly all the while. The long version has 10,000 of them.
 */
import { fork, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { helloStatement, PROTOCOL, type CoordinatorFrame } from '@tussah/protocol/contributor-frames';
import { domains, newIdentity, sign } from '@tussah/protocol/signatures';
import { WebSocket } from 'ws';
import { ScriptedContributor } from './scripted-contributor.ts';
import { BUILD, MODEL, modelsFolder, root, says, temporaryFolder, until } from './testing/harness.ts';
import { openSocket } from './testing/raw-http.ts';

const deep = process.env['TUSSAH_DEEP'] === '1';
const SOCKETS = deep ? 10_000 : 2_000;
const EACH = SOCKETS / 5;
/** Time for requests, hellos and heartbeats. */
const PATIENCE_MS = 6_000;
/**
 * A plain accepted socket of Node’s HTTP server or of ws costs 5 to 9 KB of it. Ten thousand make V8 double its young
 * generation once more, which counts here although it is no cost of theirs.
 */
const RSS_PER_SOCKET = (deep ? 40 : 24) * 1024;
/** With the answers that it has asked for and does not read: Node takes no more requests from it while they wait. */
const RSS_UNREAD = 512 * 1024;
const PROMPT_MS = 3_000;

interface Bad {
  /** Resolves when the connection stands as badly as it will. */
  readonly ready: Promise<unknown>;
  readonly closed: () => boolean;
  readonly destroy: () => void;
}

function raw(url: string, text: string): Bad {
  const socket: Socket = openSocket(url);
  const ready = new Promise((resolve) => socket.once('connect', resolve));
  if (text !== '') socket.write(text);
  socket.resume();
  return { ready, closed: () => socket.destroyed, destroy: () => socket.destroy() };
}

/** A contributor that says hello, or not even that, and answers no ping. */
function mute(url: string, hello: boolean): Bad {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/worker`);
  socket.on('error', () => undefined);
  const greet = async (frame: CoordinatorFrame): Promise<void> => {
    if (frame.type !== 'challenge') return;
    const identity = await newIdentity();
    const statement = helloStatement(frame.coordinator, frame.nonce, identity.publicKey, null);
    const signature = await sign(identity, domains.hello, statement);
    const { publicKey } = identity;
    const about = { wallet: null, agent: 'mute', resume: null };
    socket.send(JSON.stringify({ type: 'hello', protocol: PROTOCOL, publicKey, signature, ...about }));
  };
  const ready = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      const frame = JSON.parse((data as Buffer).toString()) as CoordinatorFrame;
      if (!hello || frame.type === 'welcome') resolve();
      else void greet(frame);
    });
    socket.on('close', () => resolve());
  });
  return { ready, closed: () => socket.readyState === WebSocket.CLOSED, destroy: () => socket.terminate() };
}

/** Asks for a page again and again and never reads an answer. */
function deaf(url: string): Bad {
  const socket = openSocket(url);
  socket.pause();
  const request = 'GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n';
  const ready = new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.write(request.repeat(12));
  let gone = false;
  socket.on('close', () => (gone = true));
  const since = performance.now();
  return {
    ready,
    closed: () => {
      // It does not see the other side's end before it has read what came before.
      if (performance.now() > since + 2 * PATIENCE_MS) socket.resume();
      return gone;
    },
    destroy: () => socket.destroy(),
  };
}

const kinds: Readonly<Record<string, (url: string) => Bad>> = {
  'never send a request': (url) => raw(url, ''),
  'send half a header': (url) => raw(url, 'GET /healthz HTTP/1.1\r\nhost: x\r\nx-half: '),
  'never say hello': (url) => mute(url, false),
  'say hello and then nothing': (url) => mute(url, true),
  'never read their answers': deaf,
};

async function start(): Promise<{ child: ChildProcess; url: string; rss: () => Promise<number> }> {
  const args = [root, modelsFolder, temporaryFolder(), String(PATIENCE_MS), String(2 * SOCKETS)];
  const child = fork(new URL('testing/overload-child.ts', import.meta.url), args, {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const next = <Message>(): Promise<Message> =>
    new Promise((resolve) => child.once('message', (message) => resolve(message as Message)));
  const { url } = await next<{ url: string }>();
  const rss = async (): Promise<number> => {
    const told = next<{ rss: number }>();
    child.send('memory');
    return (await told).rss;
  };
  return { child, url, rss };
}

async function ask(url: string): Promise<number> {
  const before = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'hello' }] }),
  });
  expect(await response.json()).toMatchObject({ choices: [{ message: { content: '12 + 7 = 19.' } }] });
  return performance.now() - before;
}

test(`${SOCKETS} sockets that say nothing cost little, are ended in time, and keep nobody from being served`, async () => {
  const { url, rss } = await start();
  const good = await ScriptedContributor.connect({
    url,
    model: MODEL,
    build: BUILD,
    script: says('12 + 7 = 19.'),
  });
  onTestFinished(() => good.vanish());
  // What is loaded, compiled and allocated once is no cost of a socket.
  for (const open of Object.values(kinds)) {
    const few = Array.from({ length: 100 }, () => open(url));
    await Promise.all(few.map(({ ready }) => ready));
    for (const socket of few) socket.destroy();
  }
  await ask(url);
  const before = await rss();
  for (const [kind, open] of Object.entries(kinds)) {
    const sockets: Bad[] = [];
    onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
    // Not all at once: a full backlog of the system is no business of ours.
    for (let at = 0; at < EACH; at += 100) {
      const some = Array.from({ length: Math.min(100, EACH - at) }, () => open(url));
      sockets.push(...some);
      await Promise.all(some.map(({ ready }) => ready));
    }
    const took = await ask(url);
    const perSocket = ((await rss()) - before) / EACH;
    const openStill = sockets.filter((socket) => !socket.closed()).length;
    expect(openStill, `open of those that ${kind}`).toBe(EACH);
    expect(perSocket, `bytes for each of those that ${kind}`).toBeLessThan(
      open === deaf ? RSS_UNREAD : RSS_PER_SOCKET,
    );
    expect(took, `ms for an answer beside those that ${kind}`).toBeLessThan(PROMPT_MS);
    const left = () => sockets.filter((socket) => !socket.closed()).length;
    const deadline = performance.now() + 2 * PATIENCE_MS + 6_000;
    while (left() > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(left(), `left of those that ${kind}`).toBe(0);
  }
  await until('it still serves', async () => (await ask(url)) < PROMPT_MS);
  expect(good.closeCode).toBeUndefined();
}, 240_000);
