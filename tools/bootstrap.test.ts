/** Runs the real bootstrap in a small checkout of its own, with a stand-in for npm. */
import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const tools = dirname(fileURLToPath(import.meta.url));
let root = '';
let children: ChildProcess[] = [];

const path = (...names: string[]) => join(root, ...names);

/** Stands in for npm: notes that it ran, then does `then`. */
function fakeNpm(then: string): void {
  mkdirSync(path('bin'), { recursive: true });
  writeFileSync(path('bin', 'npm'), `#!/bin/sh\necho "$@" >> npm-runs\nmkdir -p node_modules\n${then}\n`);
  chmodSync(path('bin', 'npm'), 0o755);
}
const npmRuns = () =>
  existsSync(path('npm-runs')) ? readFileSync(path('npm-runs'), 'utf8').trim().split('\n').length : 0;

/** What `npm run verify` runs here. */
const command = (text: string) => writeFileSync(path('tools/verify.ts'), text);

function begin(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [path('tools/bootstrap.mjs'), ...args], {
    cwd: root,
    env: { PATH: [path('bin'), '/usr/bin', '/bin'].join(delimiter), HOME: path('home'), ...env },
  });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, stdout, stderr })),
  );
  const printed = async (text: string) => {
    while (!stdout.includes(text)) await new Promise((resolve) => setTimeout(resolve, 20));
    return stdout;
  };
  return { child, ended, printed };
}
const run = (args: readonly string[], env?: Record<string, string>) => begin(args, env).ended;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tussah-bootstrap-'));
  for (const folder of ['tools', 'home']) mkdirSync(path(folder), { recursive: true });
  cpSync(join(tools, 'bootstrap.mjs'), path('tools/bootstrap.mjs'));
  cpSync(join(tools, 'setup'), path('tools/setup'), { recursive: true });
  writeFileSync(path('package.json'), '{"type":"module","workspaces":["coordinator"]}');
  writeFileSync(path('package-lock.json'), '{}');
  command('console.log(JSON.stringify(process.argv.slice(2)));');
  fakeNpm('echo "npm http fetch GET 200 https://r.example/a/-/a-1.0.0.tgz 5ms" >&2');
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  rmSync(root, { recursive: true, force: true });
});

// The stand-in for npm is a shell script, and Windows has no signals.
describe.skipIf(process.platform === 'win32')('the bootstrap', { timeout: 20_000 }, () => {
  it('installs once, again after a change of the lock file, and leaves stdout to the command', async () => {
    const first = await run(['verify', 'receipt', 'a b']);
    expect(first).toMatchObject({ code: 0, stdout: '["receipt","a b"]\n' });
    expect(first.stderr).toContain('Installing the packages');
    const second = await run(['verify']);
    expect([second.stderr, npmRuns()]).toEqual(['', 1]);
    writeFileSync(path('package-lock.json'), '{"changed":true}');
    await run(['verify']);
    expect(npmRuns()).toBe(2);
  });

  it('installs again where packages were deleted', async () => {
    await run(['verify']);
    rmSync(path('node_modules'), { recursive: true });
    await run(['verify']);
    expect(npmRuns()).toBe(2);
  });

  it('lets the second of two at once wait for the first', async () => {
    fakeNpm('sleep 0.7');
    const both = await Promise.all([run(['verify']), run(['verify'])]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(npmRuns()).toBe(1);
  });

  it('takes over the lock of a process that is gone', async () => {
    mkdirSync(path('.tussah'));
    const { hostname } = await import('node:os');
    const gone = { pid: 2 ** 22 + 1, host: hostname(), token: 'x' };
    writeFileSync(path('.tussah/install.lock'), JSON.stringify(gone));
    expect(await run(['verify'])).toMatchObject({ code: 0 });
    expect(existsSync(path('.tussah/install.lock'))).toBe(false);
  });

  it.each([
    ['offline', 'echo "npm error code ENOTFOUND" >&2; exit 1'],
    ['disk_full', 'echo "npm error nospc ENOSPC: no space left" >&2; exit 1'],
    ['not_writable', 'echo "npm error code EACCES" >&2; exit 1'],
    ['install_failed', 'echo "npm error something else" >&2; exit 1'],
  ])('says %s, with a remedy, also as JSON, and tries again the next time', async (code, script) => {
    fakeNpm(script);
    const failed = await run(['verify', '--json']);
    expect(failed.code).toBe(1);
    const { error } = JSON.parse(failed.stdout) as { error: { code: string; remedy: string } };
    expect(error.code).toBe(code);
    expect(failed.stderr).toContain(error.remedy);
    fakeNpm('true');
    expect(await run(['verify'])).toMatchObject({ code: 0 });
  });

  it('says that npm is missing', async () => {
    rmSync(path('bin/npm'));
    expect((await run(['verify'], { PATH: path('bin') })).stderr).toContain('npm was not found');
  });

  it('says that the home folder cannot be written', async () => {
    writeFileSync(path('file'), '');
    const failed = await run(['verify', '--json'], { HOME: path('file', 'home') });
    expect(failed.stdout).toContain('"code":"home_not_writable"');
    expect(npmRuns()).toBe(0);
  });

  it('names its commands when asked for another', async () => {
    const failed = await run(['vreify']);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('start, test, coordinator, contribute, node, proxy, verify, sim, bench');
  });

  it("ends with the command's exit code", async () => {
    command('process.exit(7);');
    expect((await run(['verify'])).code).toBe(7);
  });

  it('passes a signal on once, even when it comes twice, and waits for the command to end', async () => {
    command(`let n = 0; process.on('SIGINT', () => { n++; setTimeout(() => { console.log('n=' + n); process.exit(5); }, 300); });
      setInterval(() => {}, 1000); console.log('up');`);
    const { child, ended, printed } = begin(['verify']);
    await printed('up');
    child.kill('SIGINT');
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 5, stdout: 'up\nn=1\n' });
  });

  it('takes the command with it when it is killed itself', async () => {
    command(`setInterval(() => {}, 1000); console.log('pid=' + process.pid);`);
    const { child, printed } = begin(['verify']);
    const pid = Number(/pid=(\d+)\n/.exec(await printed('\n'))?.[1]);
    child.kill('SIGKILL');
    const alive = () => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    while (alive()) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(alive()).toBe(false);
  });
});
