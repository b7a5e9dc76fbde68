/**
 * What an idle contributor costs the coordinator: memory for each of 5,000 that are connected, proven and ready, and CPU for
 * their heartbeats. The floor is a plain `ws` server with as many accepted sockets, treated the same, in the same run.
 *
 * Part of the memory, for both, is V8's young generation: it grows in leaps with the work done, up to a bound, and is empty
 * when we look. Most leaps come after the warm-up and are counted, so that `memory` is more than another contributor costs a
 * coordinator that has run for a while; `live objects` is what it costs for certain.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { metric, type Bench } from '../harness.ts';
import { realContributor } from '../relay/load.ts';
import type { Usage } from './usage.ts';

const CONTRIBUTORS = 5_000;
/**
 * Opened before anything is measured, and kept open: what is loaded, compiled and cached once is no cost of a contributor.
 * As many as the keys that the coordinator remembers (`KEYS_REMEMBERED` of its signer), about.
 */
const WARM_UP = 1_000;
const AT_ONCE = 50;
const KILOBYTES_MAX = 12;
/** Two heartbeats. */
const WATCHED_MS = 30_000;

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
}

function next<Message>(child: ChildProcess): Promise<Message> {
  return new Promise((done) => child.once('message', (message) => done(message as Message)));
}

async function start(script: string): Promise<Server> {
  const child = fork(join(import.meta.dirname, script), {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return { child, url: (await next<{ url: string }>(child)).url };
}

/** After a collection of garbage. */
function usageOf({ child }: Server): Promise<Usage> {
  const told = next<Usage>(child);
  child.send('usage');
  return told;
}

function bareSocket(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws'));
  return new Promise((done, failed) => {
    socket.on('open', () => done(socket));
    socket.on('error', failed);
  });
}

async function openMany(count: number, open: () => Promise<WebSocket>): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  while (sockets.length < count)
    sockets.push(
      ...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, open))),
    );
  return sockets;
}

/** Kilobytes, those of live objects among them, and microseconds of CPU a second, for each socket. */
async function costOf(
  script: string,
  open: (url: string) => Promise<WebSocket>,
  say: (line: string) => void,
) {
  const server = await start(script);
  try {
    const early = await openMany(WARM_UP, () => open(server.url));
    await pause(500);
    const before = await usageOf(server);
    const sockets = await openMany(CONTRIBUTORS, () => open(server.url));
    await pause(500);
    const after = await usageOf(server);
    const each = (bytes: number) => bytes / 1024 / CONTRIBUTORS;
    const kilobytes = each(after.rss - before.rss);
    const live = each(after.heap - before.heap);
    say(`${script}: ${kilobytes.toFixed(1)} KB a socket, ${live.toFixed(1)} KB of them live objects`);
    await pause(WATCHED_MS);
    const later = await usageOf(server);
    const spent = later.cpu.user + later.cpu.system - after.cpu.user - after.cpu.system;
    const gone = [...early, ...sockets].filter(({ readyState }) => readyState !== WebSocket.OPEN).length;
    if (gone > 0) throw new Error(`${gone} sockets were closed`);
    for (const socket of [...early, ...sockets]) socket.removeAllListeners('close').terminate();
    return { kilobytes, live, cpu: spent / (WATCHED_MS / 1000) / (CONTRIBUTORS + WARM_UP) };
  } finally {
    server.child.disconnect();
  }
}

export const idle: Bench = {
  summary: 'memory and CPU of an idle contributor, against a plain ws server',
  async run(say) {
    const floor = await costOf('bare-sockets.ts', bareSocket, say);
    const ours = await costOf('idle-coordinator.ts', realContributor, say);
    return {
      memory: metric(ours.kilobytes, 'KB a contributor', {
        floor: floor.kilobytes,
        target: `at most ${KILOBYTES_MAX}`,
        pass: ours.kilobytes <= KILOBYTES_MAX,
      }),
      'live objects': metric(ours.live, 'KB a contributor', { floor: floor.live }),
      CPU: metric(ours.cpu, 'us a second a contributor', { floor: floor.cpu }),
    };
  },
};
