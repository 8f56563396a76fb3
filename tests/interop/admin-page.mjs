// The page of the admin API, /admin/docs, in a real browser.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { adminKey, baseUrl } from './lib/hub.mjs';
import { run, setting, test } from './lib/suite.mjs';

const profile = mkdtempSync(join(tmpdir(), 'gateway-browser-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: setting('GATEWAY_TEST_CHROMIUM'),
  headless: true,
  viewport: { width: 1400, height: 1000 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
});
const page = await browser.newPage();
const asked = [];
const complaints = [];
page.on('request', request => asked.push(request.url()));
page.on('requestfailed', request => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
page.on('response', response => response.status() >= 400 && complaints.push(`${response.url()}: ${response.status()}`));
page.on('console', message => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
page.on('pageerror', error => complaints.push(String(error)));

test('the page shows the operations', async () => {
  await page.goto(`${baseUrl}/admin/docs`);
  await page.getByRole('heading', { name: 'Agent Gateway admin API' }).waitFor();
  for (const tag of ['Virtual keys', 'Providers', 'Revisions and audit']) {
    await page.getByText(tag, { exact: true }).first().waitFor();
  }
});

test('a request with an admin key works from the page', async () => {
  await page.locator('input[placeholder="Token"]').first().fill(adminKey);
  await page.goto(`${baseUrl}/admin/docs#tag/admin-keys/GET/adminkeys`);
  await page.locator('button', { hasText: 'Test Request' }).first().click();
  const answer = page.waitForResponse(response => new URL(response.url()).pathname === '/admin/v1/adminkeys');
  await page.locator('button', { hasText: 'Send' }).first().click();
  const response = await answer;
  assert.equal(response.status(), 200);
  assert.ok((await response.json()).adminKeys.some(known => adminKey.includes(known.id)));
});

test('nothing fails and nobody else is asked', async () => {
  assert.deepEqual(complaints, []);
  assert.ok(asked.length >= 4, asked.join());
  const others = asked.filter(url => !url.startsWith('data:') && !url.startsWith('blob:') && new URL(url).origin !== new URL(baseUrl).origin);
  assert.deepEqual(others, []);
});

await run(async () => {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
});
