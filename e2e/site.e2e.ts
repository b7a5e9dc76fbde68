/** The site as people meet it: a tab contributes by hand, another one chats, and nothing else is talked to. */
import type { BrowserContext, Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NetworkUnderTest } from './network-under-test.ts';

let network: NetworkUnderTest;
let context: BrowserContext;
const strangers: string[] = [];
const complaints: string[] = [];

beforeAll(async () => {
  network = await NetworkUnderTest.start();
  const browser = await network.browser();
  context = await browser.newContext();
});

afterAll(async () => {
  await network.stop();
});

async function open(path: string, size = { width: 1440, height: 900 }): Promise<Page> {
  const page = await context.newPage();
  await page.setViewportSize(size);
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'blob:' && protocol !== 'data:' && origin.replace('ws:', 'http:') !== network.url)
      strangers.push(request.url());
  });
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(network.url + path);
  return page;
}

test('a tab opened by hand joins, answers another tab’s chat and is paid', async () => {
  const contribute = await open('/contribute');
  await contribute.getByLabel('wllama').check();
  await contribute.getByRole('button', { name: 'Start' }).click();
  await contribute.getByText('Ready', { exact: false }).first().waitFor({ timeout: 60_000 });

  const chat = await open('/', { width: 390, height: 844 });
  await chat.getByText('the contributor and our coordinator can read this').first().waitFor();
  await chat.getByLabel('Your question').fill('What is 12 + 7?');
  await chat.getByRole('button', { name: 'Send' }).click();
  await chat.getByText('12 + 7 = 19.').waitFor({ timeout: 30_000 });

  await chat.getByRole('button', { name: 'Receipt' }).click();
  const receipt = chat.getByRole('dialog');
  await receipt.getByText('This browser checked it').first().waitFor({ timeout: 10_000 });

  await expect
    .poll(() => contribute.getByText('Answers').locator('xpath=following-sibling::dd').innerText(), {
      timeout: 10_000,
    })
    .toBe('1');
  expect(
    await contribute.getByText('Earned in this run').locator('xpath=following-sibling::dd').innerText(),
  ).not.toBe('0 TON');
});

test('nothing was asked of anybody but the coordinator, and nothing was complained about', () => {
  expect(strangers).toEqual([]);
  expect(complaints).toEqual([]);
});

test('an unknown page says so', async () => {
  const page = await context.newPage();
  const response = await page.goto(`${network.url}/nowhere`);
  expect(response?.status()).toBe(404);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.close();
});
