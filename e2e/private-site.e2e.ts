/** The private tier as people meet it on the site: verify, choose, ask, check; and the Verify page for anybody's evidence. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SimulatedNetwork } from './simulated-network.ts';

let simulated: SimulatedNetwork;
let browser: Browser;
let url: string;
const strangers: string[] = [];
const complaints: string[] = [];

beforeAll(async () => {
  simulated = await SimulatedNetwork.start();
  ({ url } = simulated.network);
  await simulated.addNode();
  browser = await simulated.network.browser();
});

afterAll(async () => {
  await simulated.stop();
});

/** A page of somebody who has never been here. */
async function open(path: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'blob:' && protocol !== 'data:' && origin !== url) strangers.push(request.url());
  });
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(url + path);
  return page;
}

const send = (page: Page) => page.getByRole('button', { name: 'Send' });
const panel = (page: Page) => page.getByRole('region', { name: 'Private tier' });

async function chooseSimulated(page: Page): Promise<void> {
  await panel(page).getByRole('button', { name: 'Details' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('radio', { name: /for development/ }).check();
  await dialog.getByText('1 machine verified').waitFor({ timeout: 20_000 });
  await dialog.getByRole('button', { name: 'Close' }).click();
}

test('nothing can be sent in private under the policy that accepts nobody, and it never goes out in public', async () => {
  const page = await open('/');
  await page.getByRole('radio', { name: 'Private' }).check();
  await panel(page).getByText('names no image yet').waitFor({ timeout: 20_000 });
  const sent: string[] = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  await page.getByLabel('Your question').fill('What is 12 + 7?');
  expect(await send(page).isDisabled()).toBe(true);
  await page.getByLabel('Your question').press('Enter');
  expect(await page.getByRole('button', { name: 'What is Tussah?' }).isDisabled()).toBe(true);
  expect(sent).toEqual([]);
  await page.context().close();
});

test('a person chooses the simulated policy, sees every step, asks, and checks the receipt', async () => {
  const page = await open('/');
  await page.getByRole('radio', { name: 'Private' }).check();
  await chooseSimulated(page);
  await panel(page).getByText('1 machine verified').waitFor();
  await panel(page).getByText('SIMULATED', { exact: true }).waitFor();

  await panel(page).getByRole('button', { name: 'Details' }).click();
  const details = page.getByRole('dialog');
  await details.getByRole('heading', { name: /^Intel TDX/ }).waitFor();
  await details.getByText('What the node states').click();
  await details.getByText('bundle.not-after').waitFor();
  await details.getByText('protects nothing', { exact: false }).first().waitFor();
  await details.getByText('first load was trusted').waitFor();
  await page.keyboard.press('Escape');

  await page.getByLabel('Your question').fill('What is 12 + 7?');
  await send(page).click();
  const answer = page.getByRole('article', { name: /^Private answer/ });
  await answer.getByText('12 + 7 = 19.').waitFor({ timeout: 30_000 });
  await answer.getByText('Private,').waitFor({ timeout: 20_000 });
  await answer.getByText('SIMULATED', { exact: true }).waitFor();
  await answer.getByRole('button', { name: 'Receipt' }).click();
  await page.getByRole('dialog').getByText('This browser checked it').waitFor({ timeout: 10_000 });
  expect(await page.getByRole('dialog').getByText('Failed:').count()).toBe(0);
  await page.keyboard.press('Escape');

  // It is kept with its tier, and nothing of it goes along in public.
  await page.reload();
  await page.getByRole('article', { name: /^Private answer/ }).waitFor();
  await page.getByRole('radio', { name: 'Public' }).check();
  await page.getByText('None of it is sent in public').waitFor();
  const sent: unknown[] = [];
  await page.route('**/v1/chat/completions', async (route) => {
    sent.push((route.request().postDataJSON() as { messages: unknown }).messages);
    await route.fulfill({ contentType: 'text/event-stream', body: 'data: [DONE]\n\n' });
  });
  await page.getByLabel('Your question').fill('What is Tussah?');
  await send(page).click();
  await page.getByText('Earlier messages are not sent from here on.').waitFor();
  await expect.poll(() => sent).toEqual([[{ role: 'user', content: 'What is Tussah?' }]]);
  await page.context().close();
});

test('the script that verifies and seals may talk to the coordinator alone', async () => {
  const page = await open('/');
  const started = page.waitForEvent('worker');
  await page.getByRole('radio', { name: 'Private' }).check();
  const response = await fetch((await started).url());
  const policy = response.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("connect-src 'self';");
  expect(policy).not.toContain('blob:');
  await page.context().close();
});

function file(name: string, text: string): string {
  const path = join(simulated.network.folder, name);
  writeFileSync(path, text);
  return path;
}
const finding = (page: Page, name: string): Locator => page.getByRole('article', { name });

test('the Verify page judges what is put before it, and sends nothing', async () => {
  const { nodes } = (await (await fetch(`${url}/v1/nodes`)).json()) as {
    nodes: { entry: { bundle: string } }[];
  };
  const bundle = await (await fetch(`${url}/v1/nodes/bundles/${nodes[0]?.entry.bundle}`)).text();
  const page = await open('/verify');
  const posted: string[] = [];
  page.on('request', (request) => request.method() === 'POST' && posted.push(request.url()));
  await page.getByText('first load was trusted').first().waitFor();

  const good = file('bundle.json', bundle);
  const broken = file('broken.json', bundle.replace('"image":"simulated-node"', '"image":"another"'));
  const cut = file('cut.json', bundle.slice(0, 1000));
  await page.getByLabel('Choose files').setInputFiles([good, broken, cut]);
  await finding(page, 'bundle.json').getByText('Bundle: rejected').waitFor({ timeout: 20_000 });

  await page.getByLabel('Choose files').setInputFiles(file('policy.json', JSON.stringify(simulated.policy)));
  await finding(page, 'bundle.json').getByText('Bundle: accepted').waitFor({ timeout: 20_000 });
  await finding(page, 'bundle.json').getByText('SIMULATED', { exact: true }).waitFor();
  await finding(page, 'broken.json').getByText('Bundle: rejected').waitFor();
  await finding(page, 'broken.json')
    .getByRole('list', { name: 'Failed steps' })
    .getByText('bundle.image')
    .waitFor();
  await finding(page, 'cut.json').getByText('This is not JSON').waitFor();
  expect(posted).toEqual([]);
  await page.context().close();
});

test('the Verify page checks a receipt, against its machine’s evidence too, and finds what was changed', async () => {
  const page = await open('/');
  await page.getByRole('radio', { name: 'Private' }).check();
  await panel(page).getByRole('button', { name: 'Details' }).click();
  await page
    .getByLabel('Use a policy file')
    .setInputFiles(file('mine.json', JSON.stringify({ ...simulated.policy, name: 'mine' })));
  await page.getByRole('dialog').getByText('by the policy “mine”').waitFor({ timeout: 20_000 });
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.getByLabel('Your question').fill('What is 17 + 25?');
  await send(page).click();
  await page.getByRole('button', { name: 'Receipt' }).click({ timeout: 30_000 });
  const download = page.waitForEvent('download');
  await page.getByRole('dialog').getByRole('button', { name: 'Download' }).click();
  const path = join(simulated.network.folder, 'receipt.json');
  await (await download).saveAs(path);
  const receipt = JSON.parse(readFileSync(path, 'utf8')) as {
    node: { receipt: { bundle: string } };
  };
  await page.keyboard.press('Escape');

  await page.getByRole('link', { name: 'Verify' }).click();
  await page.getByLabel('Or paste one').fill(JSON.stringify({ ...receipt, chargedNano: '1' }));
  await page.getByRole('button', { name: 'Check it' }).click();
  await finding(page, 'Pasted text').getByText('does not hold', { exact: false }).first().waitFor();
  await page.getByLabel('Choose files').setInputFiles(path);
  await finding(page, 'receipt.json').getByText('Private receipt: holds').waitFor({ timeout: 20_000 });
  const evidence = await (await fetch(`${url}/v1/nodes/bundles/${receipt.node.receipt.bundle}`)).text();
  await page
    .getByLabel('Choose files')
    .setInputFiles({ name: 'evidence.json', mimeType: 'application/json', buffer: Buffer.from(evidence) });
  await finding(page, 'receipt.json').getByText('The machine’s evidence was accepted.').waitFor();
  expect(await finding(page, 'receipt.json').getByText('Failed:').count()).toBe(0);
  await page.context().close();
});

test('nothing was asked of anybody but the coordinator, and nothing was complained about', () => {
  expect(strangers).toEqual([]);
  expect(complaints).toEqual([]);
});
