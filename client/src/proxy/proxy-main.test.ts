/** The proxy as a command: what it prints, keeps and returns. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, chmodSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { policy } from '../private/testing/asking.ts';
import { MODEL } from '../private/testing/scripted-node.ts';

const main = fileURLToPath(new URL('./proxy-main.ts', import.meta.url));

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tussah-proxy-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

interface Run {
  readonly code: Promise<number | null>;
  readonly lines: () => { readonly event: string; readonly [name: string]: unknown }[];
  readonly text: () => string;
  readonly error: () => string;
  signal(name: NodeJS.Signals): void;
}

const run = (...args: readonly string[]): Run => runWith({}, ...args);

function runWith(environment: NodeJS.ProcessEnv, ...args: readonly string[]): Run {
  const env = { ...process.env, ...environment };
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [out, error] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (error += text));
  return {
    code: new Promise((resolve) => child.once('close', resolve)),
    lines: () =>
      out
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as { event: string }),
    text: () => out,
    error: () => error,
    signal: (name) => void child.kill(name),
  };
}

const serving = ['--coordinator', 'http://127.0.0.1:9', '--port', '0', '--json'];

/** Long enough for a busy machine. */
const started = async (proxy: Run): Promise<{ readonly [name: string]: unknown }> => {
  await expect.poll(() => proxy.lines().length, { timeout: 15_000 }).toBeGreaterThan(0);
  return proxy.lines()[0] ?? {};
};

describe('npm run proxy', { timeout: 30_000 }, () => {
  it('serves under a token that only its owner can read, the same one next time, and ends when asked to', async () => {
    const state = join(folder(), 'state');
    const proxy = run(...serving, '--state', state);
    const facts = await started(proxy);
    const path = join(state, 'token');
    expect(facts).toMatchObject({
      event: 'listening',
      tokenPath: path,
      policy: 'strict',
      models: [],
      simulated: false,
    });
    expect(facts['notices']).toEqual([
      expect.stringContaining('--coordinator-key'),
      expect.stringContaining('--policy FILE'),
    ]);
    expect(readFileSync(path, 'utf8')).toBe(`${String(facts['token'])}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(state).mode & 0o777).toBe(0o700);
    const response = await fetch(`${String(facts['url'])}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${String(facts['token'])}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'x' }] }),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'model_not_in_policy' } });
    proxy.signal('SIGINT');
    expect(await proxy.code).toBe(0);

    const again = run(...serving, '--state', state);
    expect((await started(again))['token']).toBe(facts['token']);
    again.signal('SIGTERM');
    expect(await again.code).toBe(0);

    chmodSync(path, 0o644);
    const exposed = run(...serving, '--state', state);
    expect((await started(exposed))['token']).not.toBe(facts['token']);
    exposed.signal('SIGTERM');
    expect(await exposed.code).toBe(0);
  });

  it('says SIMULATED, loudly, under a policy that accepts simulated evidence', async () => {
    const path = join(folder(), 'policy.json');
    writeFileSync(path, JSON.stringify(policy));
    const args = serving.filter((arg) => arg !== '--json');
    const proxy = run(...args, '--policy', path, '--state', folder());
    await expect.poll(() => proxy.text(), { timeout: 15_000 }).toContain('Ctrl-C');
    expect(proxy.text()).toContain('SIMULATED');
    expect(proxy.text()).toMatch(/API key: tussah-[0-9a-f]{64}\n/);
    proxy.signal('SIGINT');
    expect(await proxy.code).toBe(0);
  });

  it('explains itself', async () => {
    const proxy = run('--help');
    expect(await proxy.code).toBe(0);
    expect(proxy.text()).toContain('--policy FILE');
  });

  it.each([
    [[], '--coordinator is missing'],
    [['--coordinator', 'ftp://x'], '--coordinator is not'],
    [['--coordinator', 'http://x/v1'], '--coordinator is not'],
    [['--coordinator', 'http://x', '--port', '70000'], '--port'],
    [['--coordinator', 'http://x', '--padding', 'thick'], '--padding'],
    [['--coordinator', 'http://x', '--coordinator-key', 'ab'], '--coordinator-key'],
    [['--coordinator', 'http://x', '--max-price', 'cheap'], '--max-price is not'],
    [['--coordinator', 'http://x', '--policy', '/nowhere'], '/nowhere'],
    [['--coordinator', 'http://x', '--policy', main], "can't be used"],
    [['--unknown'], '--unknown'],
  ])('refuses %j', async (args, message) => {
    const proxy = run(...args, '--json');
    expect(await proxy.code).toBe(2);
    expect(proxy.error()).toContain(message);
    expect(proxy.lines()).toMatchObject([
      { event: 'failed', failure: { message: expect.stringContaining(message) } },
    ]);
  });

  it('sends no API key in the clear to another machine', async () => {
    const environment = { TUSSAH_API_KEY: 'tsk_1' };
    const proxy = runWith(environment, '--coordinator', 'http://tussah.example', '--state', folder());
    expect(await proxy.code).toBe(2);
    expect(proxy.error()).toContain('in the clear');
    const here = runWith(environment, ...serving, '--state', folder(), '--coordinator-key', 'ab'.repeat(32));
    expect((await started(here))['notices']).toEqual([expect.stringContaining('--policy FILE')]);
  });

  it('leaves a folder as it is, and does not start in one that others can write to', async () => {
    const state = folder();
    chmodSync(state, 0o755);
    const proxy = run(...serving, '--state', state);
    await started(proxy);
    expect(statSync(state).mode & 0o777).toBe(0o755);
    chmodSync(state, 0o777);
    const other = run(...serving, '--state', state);
    expect(await other.code).toBe(1);
    expect(other.error()).toContain('Choose another --state folder.');
  });

  it('does not start on heads that it can’t read', async () => {
    const state = folder();
    writeFileSync(join(state, 'heads.json'), '{');
    const proxy = run(...serving, '--state', state);
    expect(await proxy.code).toBe(1);
    expect(proxy.error()).toContain('Choose another --state folder.');
  });

  it('says so when its port is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await new Promise((resolve) => holder.once('listening', resolve));
    const { port } = holder.address() as AddressInfo;
    const proxy = run('--coordinator', 'http://x', '--port', String(port), '--state', folder());
    expect(await proxy.code).toBe(1);
    expect(proxy.error()).toContain('Choose another --port.');
  });
});
