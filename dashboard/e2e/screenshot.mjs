// Makes the README's pictures again: docs/images/dashboard-light.png and dashboard-dark.png.
//
// The real program watches examples/first-run.yml and its demo services until every bar is full, which takes seven
// minutes; then the overview is photographed in both colour schemes. Nothing in the pictures is made up.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openBrowser, openPage } from './browser.mjs';
import { startProgram } from './program.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const IMAGES = process.env.WATCHPOST_IMAGES ?? join(ROOT, 'docs/images');
/** Wide enough that no reason takes two lines. */
const VIEWPORT = { width: 1200, height: 900 };
/** The picture ends below this row, so that none is cut. */
const LAST_ROW = '[data-id="demo-udp"]';
/** Results in a row's bar. The slowest monitor of the example has one every 10 s. */
const SLOTS = 40;
const FULL_WITHIN_MS = 15 * 60_000;
const LOOK_EVERY_MS = 1_000;
/** GitHub shows the README's first screen no sooner than its picture. */
const BYTES_MAX = 200_000;

/** `cargo xtask demo` on its usual ports, or on those that the variables name. It ends with this process. */
async function startDemo() {
  const child = spawn('cargo', ['run', '--quiet', '--locked', '--package', 'xtask', '--', 'demo'], {
    cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface(child.stdout), 'line');
  assert.match(line, /ready/);
  return child;
}

/** Waits until every bar is full, and the service that fails now and then works again. */
async function worthAPicture(url) {
  const until = Date.now() + FULL_WITHIN_MS;
  while (Date.now() < until) {
    const { items } = await (await fetch(`${url}api/v1/overview?recent=${SLOTS}`)).json();
    const full = items.length > 0 && items.every((item) => !item.active || item.recent.length >= SLOTS);
    const flaky = items.find((item) => item.id === 'demo-flaky');
    if (full && flaky.state === 'up' && Date.now() - Date.parse(flaky.since) > 20_000) return;
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
  }
  assert.fail('the bars did not fill in time');
}

async function photograph(browser, url, colorScheme) {
  const closers = [];
  const { page, complaints } = await openPage(browser, { after: (close) => closers.push(close) }, { viewport: VIEWPORT, colorScheme });
  await page.goto(url);
  await page.waitForSelector('[data-row]');
  const { y, height } = await page.locator(LAST_ROW).boundingBox();
  await page.setViewportSize({ ...VIEWPORT, height: Math.ceil(y + height) });
  await page.evaluate(() => document.fonts.ready);
  const path = join(IMAGES, `dashboard-${colorScheme}.png`);
  await page.screenshot({ path });
  for (const close of closers) await close();
  assert.deepEqual(complaints, []);
  const { size } = statSync(path);
  assert.ok(size < BYTES_MAX, `${path} has ${size} bytes, which is too many for a README`);
  console.log(`${path}: ${size} bytes`);
}

const demo = await startDemo();
const browser = await openBrowser();
const program = await startProgram('monitors: []\n');
try {
  const { port } = new URL(program.url);
  program.configure(readFileSync(join(ROOT, 'examples/first-run.yml'), 'utf8').replaceAll('${WATCHPOST_PORT:-8080}', port));
  console.log(`waiting at ${program.url} for the bars to fill`);
  await worthAPicture(program.url);
  mkdirSync(IMAGES, { recursive: true });
  for (const colorScheme of ['light', 'dark']) await photograph(browser, program.url, colorScheme);
} finally {
  await program.stop();
  await browser.close();
  demo.kill('SIGTERM');
}
