// A headless Chromium for the tests, with what every page is held to: no console errors, no broken
// content security policy, no serious accessibility fault.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const SHOTS = process.env.WATCHPOST_ARTIFACTS ?? fileURLToPath(new URL('../../artifacts/screenshots', import.meta.url));

export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };

export async function openBrowser() {
  assert.ok(existsSync(EXECUTABLE), `no browser at ${EXECUTABLE}: install Debian's package chromium or set CHROMIUM`);
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/** A page that remembers every complaint of the browser; `complaints` must stay empty. */
export async function openPage(browser, t, { viewport = DESKTOP, colorScheme = 'light', reducedMotion = 'no-preference' } = {}) {
  const context = await browser.newContext({
    viewport, colorScheme, reducedMotion, locale: 'en-GB', timezoneId: 'Europe/Riga',
    deviceScaleFactor: 1, hasTouch: viewport.width < 700,
  });
  const page = await context.newPage();
  t.after(() => context.close());
  page.setDefaultTimeout(15_000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)));
  page.on('console', (message) => {
    // A refused command (409) and a server that is away on purpose are the test's doing, not a fault of the page.
    const expected = /status of 409|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/;
    if (message.type() === 'error' && !expected.test(message.text())) complaints.push(message.text());
  });
  return { page, complaints };
}

/** Serious and critical faults found by axe-core, in words. It runs in its own world, past the page's policy. */
export async function axeFaults(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
  await session.send('Runtime.evaluate', { expression: `${AXE};0`, contextId: executionContextId });
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression: `axe.run(document, { runOnly: ['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice'] }).then((r) => JSON.stringify(
      r.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical')
        .map((v) => v.id + ': ' + v.help + ' at ' + v.nodes.slice(0, 3).map((n) => n.target.join(' ') + ' [' + n.failureSummary.replaceAll('\\n', ' ') + ']').join(', '))))`,
    contextId: executionContextId, awaitPromise: true, returnByValue: true,
  });
  await session.detach();
  assert.ok(!exceptionDetails, `axe failed: ${JSON.stringify(exceptionDetails)}`);
  return JSON.parse(result.value);
}

export async function assertAccessible(page, what) {
  assert.deepEqual(await axeFaults(page), [], `accessibility of ${what}`);
}

/** Nothing may stick out of the window sideways. */
export async function assertNoSidewaysScroll(page, what) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${what} is ${content} px wide in a window of ${window} px`);
}

export async function screenshot(page, name, { full = false } = {}) {
  mkdirSync(SHOTS, { recursive: true });
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: full });
}
