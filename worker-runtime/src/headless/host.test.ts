/** The host in a real Chromium, against a page that follows the bridge and nothing else. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ContributorSnapshot } from '../contributor/snapshot.ts';
import {
  type HeadlessContributor,
  type HeadlessOptions,
  hostTiming,
  startHeadlessContributor,
} from './host.ts';
import { holderOf } from './profile.ts';

/** Says what it was given; a model called `fails` fails; finishing takes a moment and leaves a mark. */
const page = `<!doctype html><title>scripted</title><script type="module">
  const given = new URLSearchParams(location.hash.slice(1));
  const visits = Number(localStorage.getItem('visits') ?? 0) + 1;
  localStorage.setItem('visits', visits);
  const adapter = await navigator.gpu?.requestAdapter();
  const snapshot = {
    phase: 'ready', sentence: given.toString(), progress: null, model: given.get('model'), build: 'SERVED', engine: null,
    engineNote: adapter?.info.architecture ?? null, publicKey: null, jobsDone: visits, tokensDone: 0,
    tokensPerSecond: null, earnedHereNano: '0', earnedTotalNano: null, failure: null,
  };
  const report = (part) => window.tussahHost?.(JSON.stringify(Object.assign(snapshot, part)));
  window.tussahContributor = {
    pause() {}, resume() {},
    async finishThenStop() {
      report({ phase: 'draining' });
      await new Promise((resolve) => setTimeout(resolve, 150));
      report({ phase: 'stopped', sentence: 'finished' });
    },
    async stop() { report({ phase: 'stopped', sentence: 'stopped' }); },
  };
  report(given.get('model') === 'fails'
    ? { phase: 'failed', failure: { code: 'no_build', message: 'No build.', remedy: 'Another.' } }
    : {});
</script>`;

const quick = { ...hostTiming, restartsMax: 2, restartBackOff: { baseMs: 100, capMs: 200 } };
let server: Server;
let origin: string;
/** How often the page was asked for; each shows its number as its build. */
let served = 0;
let dir: string;
let hosts: HeadlessContributor[];

beforeAll(async () => {
  server = createServer((request, response) => {
    response.setHeader('content-type', 'text/html');
    response.statusCode = request.url === '/contribute' ? 200 : 404;
    response.end(request.url === '/contribute' ? page.replace('SERVED', String(++served)) : '');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tussah-host-test-'));
  hosts = [];
});
afterEach(async () => {
  await Promise.all(hosts.map((host) => host.stop({ finish: false })));
  rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

function start(part: Partial<HeadlessOptions> = {}) {
  const options = {
    coordinatorUrl: origin,
    model: 'tiny',
    engine: 'wllama',
    wallet: null,
    profileDir: dir,
  } as const;
  const host = startHeadlessContributor({ ...options, ...part }, quick);
  hosts.push(host);
  const notices: string[] = [];
  host.onNotice((sentence) => void notices.push(sentence));
  return { host, notices };
}

const snapshotOf = (host: HeadlessContributor, is: (snapshot: ContributorSnapshot) => boolean) =>
  new Promise<ContributorSnapshot>((resolve) => {
    if (host.snapshot !== null && is(host.snapshot)) return resolve(host.snapshot);
    const end = host.onSnapshot((snapshot) => {
      if (!is(snapshot)) return;
      end();
      resolve(snapshot);
    });
  });
const ready = (host: HeadlessContributor) => snapshotOf(host, ({ phase }) => phase === 'ready');

/** Processes whose command line names this test's profile. */
function browsersOf(profile: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(profile);
      } catch {
        return false;
      }
    })
    .map(Number);
}

describe('the headless contributor', () => {
  test('opens the page with its settings, finishes, leaves no process, keeps its profile, tells failures', async () => {
    const wallet = 'E'.repeat(48);
    const first = start({ wallet });
    expect((await ready(first.host)).sentence).toBe(`auto=1&model=tiny&engine=wllama&wallet=${wallet}`);
    const second = start();
    expect((await ready(second.host)).jobsDone).toBe(1);
    expect(second.notices[0]).toContain('Another browser is using this profile');
    expect(second.notices[0]).toContain('Without --wallet');

    expect(await first.host.stop({ finish: true })).toMatchObject({
      reason: 'stopped',
      failure: null,
      snapshot: { phase: 'stopped', sentence: 'finished' },
    });
    expect(browsersOf(dir)).toEqual([]);
    expect(await second.host.stop({ finish: false })).toMatchObject({ snapshot: { sentence: 'stopped' } });

    const again = start({ model: 'fails' });
    expect(await again.host.closed).toMatchObject({
      reason: 'failed',
      failure: { code: 'no_build', remedy: 'Another.' },
      snapshot: { jobsDone: 2 },
    });
    expect(again.notices).toEqual([]);
  }, 60_000);

  test('starts the browser again when it or its page dies', async () => {
    const { host, notices } = start();
    const { build: first } = await ready(host);
    process.kill(holderOf(dir) ?? 0, 'SIGKILL');
    const { build: second } = await snapshotOf(host, ({ build }) => build !== first);
    expect(notices).toEqual([expect.stringContaining('The browser ended unexpectedly.')]);
    const renderers = browsersOf(dir).filter((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer'),
    );
    for (const pid of renderers) process.kill(pid, 'SIGKILL');
    await snapshotOf(host, ({ build }) => build !== first && build !== second);
    expect(notices[1]).toContain('The page ended unexpectedly.');
  }, 60_000);

  test('WebLLM on a machine without a GPU gets SwiftShader, and says so', async () => {
    const { host, notices } = start({ engine: 'webllm' });
    expect((await ready(host)).engineNote).toBe('swiftshader');
    expect(notices).toEqual([expect.stringContaining('SwiftShader')]);
  }, 60_000);

  test('a coordinator that can’t be reached is tried again, then given up', async () => {
    const { host, notices } = start({ coordinatorUrl: 'http://127.0.0.1:9' });
    expect(await host.closed).toMatchObject({ reason: 'unreachable', failure: { code: 'unreachable' } });
    expect(notices).toHaveLength(2);
  }, 60_000);

  test('without a browser it says how to get one', async () => {
    const { host } = start({ browserPath: '/nowhere/chromium' });
    expect(await host.closed).toMatchObject({ reason: 'no-browser', failure: { code: 'no_browser' } });
  });
});

test('the command, with an almost empty environment: one SIGINT finishes, exit code 0', async () => {
  const script = fileURLToPath(new URL('contribute-main.ts', import.meta.url));
  const args = [
    script,
    '--coordinator',
    origin,
    '--model',
    'tiny',
    '--engine',
    'wllama',
    '--profile',
    dir,
    '--json',
  ];
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, args, { env: { PATH, HOME }, stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
    if (data.includes('"phase":"ready"')) child.kill('SIGINT');
  });
  const code = await new Promise((resolve) => {
    child.on('exit', resolve);
  });
  const lines = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string });
  expect(lines.at(-1)).toEqual({ type: 'end', reason: 'stopped', exitCode: 0, failure: null });
  expect(lines).toContainEqual(expect.objectContaining({ type: 'snapshot', sentence: 'finished' }));
  expect(code).toBe(0);
  expect(browsersOf(dir)).toEqual([]);
}, 60_000);
