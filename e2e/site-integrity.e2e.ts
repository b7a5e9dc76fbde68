/** The site's service worker in real Chromium, against a server that changes its mind. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ensureSite } from '../tools/start/site.ts';
import { newKey } from '../web/release/sign.ts';
import { NetworkUnderTest, root } from './network-under-test.ts';
import { awayUrl, launchAway, SiteUnderTest } from './site-under-test.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-integrity-'));
const keyFile = join(folder, 'release.pem');
const otherKeyFile = join(folder, 'other.pem');
const key = newKey(keyFile);
const otherKey = newKey(otherKeyFile);
const firstAtMs = Date.UTC(2026, 0, 1);
const day = 86_400_000;

let site: SiteUnderTest;
let away: string;
let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  const built = await ensureSite();
  if (!built.ok) throw new Error(built.failure.message);
  site = await SiteUnderTest.start(join(folder, 'site'));
  away = awayUrl(site.url);
  browser = await launchAway(site.url);
});
afterAll(async () => {
  await browser.close();
  await site.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A context has service workers and caches of its own. */
beforeEach(async () => {
  site.reset(join(root, 'web/dist'));
  site.publish('1.0.0', [key]);
  context = await browser.newContext();
});
afterEach(() => context.close());

/** The first visit, until the copy is kept. */
async function firstVisit(url = away): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await page
    .getByRole('button', { name: /^(The first load was trusted|This is your own machine)/ })
    .waitFor();
  return page;
}

const refused = (page: Page) => page.getByRole('alert', { name: 'The site’s server offers other files' });

/** Another page title is a change that anybody can see. */
function changeIndex(title: string): void {
  site.write('index.html', site.read('index.html').replace(/<title>.*<\/title>/, `<title>${title}</title>`));
}

/** All that the notice says, the folded part too. */
async function notice(page: Page): Promise<string> {
  await refused(page).waitFor();
  return (await refused(page).textContent()) ?? '';
}

const servedTitle = (page: Page) =>
  page.evaluate(async () => /<title>(.*)<\/title>/.exec(await (await fetch('/index.html')).text())?.[1]);

test('a page whose file was changed on the server is not taken, and the visitor is told', async () => {
  site.sign(keyFile, firstAtMs);
  const page = await firstVisit();
  changeIndex('Evil');
  await page.reload();
  expect(await notice(page)).toMatch(/index\.html[\s\S]*file_changed/);
  expect(await servedTitle(page)).toBe('Tussah');
  // It stays so without the server, and goes when the server is put right.
  changeIndex('Tussah');
  await page.reload();
  await refused(page).waitFor({ state: 'detached' });
});

test('a script that is fetched later is hashed as well', async () => {
  site.sign(keyFile, firstAtMs);
  const page = await firstVisit();
  const engine = /assets\/webllm-adapter-[\w-]+\.js/.exec(site.read('release.json'))?.[0] ?? '';
  const load = () => page.evaluate<string>(`import('/${engine}').then(() => 'ran', () => 'refused')`);
  const whole = site.read(engine);
  site.write(engine, `globalThis.evil = true;${whole}`);
  expect(await load()).toBe('refused');
  expect(await page.evaluate(() => 'evil' in globalThis)).toBe(false);
  expect(await notice(page)).toContain(engine);

  site.write(engine, whole);
  await page.reload();
  expect(await load()).toBe('ran');
  await refused(page).waitFor({ state: 'detached' });
});

test('a new release signed by a key of the first is announced, and there at the next load', async () => {
  site.sign(keyFile, firstAtMs);
  const page = await firstVisit();
  changeIndex('Tussah 1.1');
  site.publish('1.1.0', [key, otherKey]);
  site.sign(keyFile, firstAtMs + day);
  await page.reload();
  await page.getByText('A new release is ready, and its signature holds').waitFor();
  await page.getByRole('button', { name: 'Load it' }).click();
  await page.getByText('A new release is ready').waitFor({ state: 'detached' });
  expect(await servedTitle(page)).toBe('Tussah 1.1');

  // That release named another key, which may sign the one after it.
  changeIndex('Tussah 1.2');
  site.publish('1.2.0', [otherKey]);
  site.sign(otherKeyFile, firstAtMs + 2 * day);
  await page.reload();
  await page.getByText('A new release is ready').waitFor();

  // And nobody can go back to one before, though it was well signed in its time.
  await page.reload();
  changeIndex('Tussah');
  site.publish('1.0.1', [otherKey]);
  site.sign(otherKeyFile, firstAtMs);
  await page.reload();
  expect(await notice(page)).toContain('rolled_back');
  expect(await servedTitle(page)).toBe('Tussah 1.2');
});

test('a release that nobody signed, or somebody unknown, is refused', async () => {
  site.sign(keyFile, firstAtMs);
  const page = await firstVisit();
  changeIndex('Evil');
  site.publish('1.1.0', [key]);
  await page.reload();
  expect(await notice(page)).toMatch(/index\.html[\s\S]*unsigned_release/);

  site.publish('1.1.0', [otherKey]);
  site.sign(otherKeyFile, firstAtMs + day);
  await page.reload();
  await expect.poll(() => notice(page)).toContain('unknown_key');
  expect(await servedTitle(page)).toBe('Tussah');
});

test('the copy opens without the server, with the headers of the site', async () => {
  site.sign(keyFile, firstAtMs);
  const page = await firstVisit();
  await site.stop();
  const response = await page.reload();
  await page.getByRole('link', { name: 'Contribute' }).click();
  await page.getByRole('button', { name: 'Start' }).waitFor();
  expect(response?.fromServiceWorker()).toBe(true);
  expect(response?.headers()).toMatchObject({
    'content-security-policy': expect.stringContaining("default-src 'none'"),
    'cross-origin-opener-policy': 'same-origin',
    'content-type': 'text/html; charset=utf-8',
  });
  await site.startAgain();
});

test('the API is the server’s alone, and a document of its own cannot act as the site', async () => {
  site.sign(keyFile, firstAtMs);
  const page = await firstVisit();
  site.write('v1/models', '{"answered":true}');
  expect(await page.evaluate(async () => (await fetch('/v1/models')).json())).toEqual({ answered: true });
  site.write('page.evil', '<script>document.title = "ran"</script><title>evil</title>');
  const response = await page.goto(`${away}/page.evil`);
  expect(response?.headers()['content-security-policy']).toContain('sandbox');
  expect(await page.evaluate(() => origin)).toBe('null');
});

test('a visitor can give up the copy and trust the server anew', async () => {
  const page = await firstVisit();
  changeIndex('Moved on, unsigned');
  site.publish('2.0.0', []);
  await page.reload();
  await refused(page).getByText('What changed', { exact: true }).click();
  await page.getByRole('button', { name: 'Give up my copy' }).click();
  await expect.poll(() => servedTitle(page)).toBe('Moved on, unsigned');
  await refused(page).waitFor({ state: 'detached' });
});

test('on a developer’s own machine each build is shown at once, signed or not', async () => {
  site.sign(keyFile, firstAtMs);
  const page = await firstVisit(site.url);
  changeIndex('Next build');
  site.publish('1.0.0', []);
  await page.reload();
  expect(await page.evaluate(() => fetch('/index.html').then((r) => r.text()))).toContain('Next build');
  expect(await refused(page).count()).toBe(0);
  await page.getByRole('button', { name: 'Development build, unsigned' }).waitFor();
  await site.stop();
  expect((await page.reload())?.status()).toBe(200);
  expect(await servedTitle(page)).toBe('Next build');
  await site.startAgain();
});

test('engines run from the kept copy, and answers are streamed past it', async () => {
  const network = await NetworkUnderTest.start(['--site', site.folder]);
  const other = await launchAway(network.url);
  try {
    await context.close();
    context = await other.newContext();
    const page = await firstVisit(awayUrl(network.url));
    const response = await page.goto(`${awayUrl(network.url)}/contribute`);
    expect(response?.fromServiceWorker()).toBe(true);
    await page.getByLabel('wllama').check();
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByText('Ready', { exact: false }).first().waitFor({ timeout: 60_000 });
    const events = await page.evaluate(async () => {
      const response = await fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'tussah-tiny',
          messages: [{ role: 'user', content: 'What is 12 + 7?' }],
          stream: true,
        }),
      });
      return (await response.text()).split('\n\n');
    });
    expect(events.at(-2)).toBe('data: [DONE]');
  } finally {
    await other.close();
    await network.stop();
  }
});
