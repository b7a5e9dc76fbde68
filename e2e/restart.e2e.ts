/** A crash of the coordinator in the middle of an answer, as somebody at the Chat page meets it: not at all. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BUILD, piecesOf } from '@tussah/coordinator/shell/testing/harness';
import { ScriptedContributor } from '@tussah/coordinator/shell/scripted-contributor';
import { verifyBooks } from '@tussah/coordinator/verify/verify-books';
import { findBrowser } from '@tussah/worker-runtime/headless/find-browser';
import { chromium, type Browser } from 'playwright';
import { afterAll, expect, test } from 'vitest';
import { MODEL, root } from './network-under-test.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-restart-'));
const data = join(folder, 'data');
const answer = 'One oak leaf, two oak leaves, three oak leaves, four oak leaves, and then it spins.';
let coordinator: ChildProcess | undefined;
let contributor: ScriptedContributor | undefined;
let browser: Browser | undefined;

afterAll(async () => {
  await browser?.close();
  contributor?.vanish();
  await end('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Starts it on what the last one left; resolves with its address. */
function start(port: string): Promise<string> {
  const args = [join(root, 'coordinator/src/main.ts'), '--port', port, '--data', data];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  coordinator = child;
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) =>
      resolve((JSON.parse(line) as { url: string }).url),
    );
    child.once('exit', (code) => reject(new Error(`the coordinator ended with ${code}`)));
  });
}

async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const child = coordinator;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await exited;
}

test('the answer goes on where it was, and is paid for once', async () => {
  const url = await start('0');
  contributor = await ScriptedContributor.connect({
    url,
    model: MODEL,
    build: BUILD,
    script: ({ prefix }) => piecesOf(answer.slice(prefix.text.length), 40),
    reconnects: true,
  });
  const executablePath = findBrowser();
  browser = await chromium.launch(executablePath === undefined ? {} : { executablePath });
  const page = await browser.newPage();
  await page.goto(url);
  await page.getByLabel('Your question').fill('How many leaves does it eat?');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByText('One oak leaf, two').waitFor();

  await end('SIGKILL');
  expect(await page.getByText('and then it spins.').count()).toBe(0);
  await start(new URL(url).port);

  await page.getByText(answer, { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Receipt' }).click();
  await page.getByRole('dialog').getByText('This browser checked it').first().waitFor();
  expect(contributor.offers.map(({ prefix }) => answer.startsWith(prefix.text))).toEqual([true, true]);
  expect(contributor.offers[1]?.prefix.text).not.toBe('');

  await end('SIGTERM');
  const { checks } = await verifyBooks(join(data, 'coordinator.sqlite'));
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
});
