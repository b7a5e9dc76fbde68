import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCheck } from './run-check.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tussah-check-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function script(text: string): string {
  const path = join(folder, 'script.mjs');
  writeFileSync(path, text);
  return path;
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('running a check', () => {
  it('keeps both outputs and how it ended', async () => {
    const path = script('console.log("one"); console.error("two"); process.exitCode = 3;');
    const run = await runCheck(path, [], { timeoutMs: 20_000 });
    expect(run).toMatchObject({ ok: false, how: 'exit code 3' });
    expect(run.output.split('\n').sort()).toEqual(['one', 'two']);
  });

  it('ends one that takes too long, with what it started, and says so', { timeout: 30_000 }, async () => {
    const pidFile = join(folder, 'pid');
    const path = script(`
      import { spawn } from 'node:child_process';
      import { writeFileSync } from 'node:fs';
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
      writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));
      setInterval(() => {}, 1000);
    `);
    const run = await runCheck(path, [], { timeoutMs: 2000 });
    expect(run).toMatchObject({ ok: false, how: 'no end within 2 s' });
    const grandchild = Number(readFileSync(pidFile, 'utf8'));
    const deadline = Date.now() + 5000;
    while (isAlive(grandchild) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isAlive(grandchild)).toBe(false);
  });
});
