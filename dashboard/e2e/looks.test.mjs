// How it looks: each page at 390 and 1,440 px, light and dark, with 5 and with 1,000 monitors, on a
// synthetic world. Also what holds for every page: no sideways scroll, no complaint, no axe fault.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, assertAccessible, assertNoSidewaysScroll, openBrowser, openPage, screenshot } from './browser.mjs';
import { startDevServer } from './dev-server.mjs';

const SIZES = { desktop: DESKTOP, phone: PHONE };
/** A table's row, or what it becomes on phones. */
const ENTRY = 'tbody tr, .stack li';
const PAGES = {
  overview: { path: '', ready: '[data-row]' },
  cards: { path: '?view=cards', ready: '[data-row]' },
  monitor: { path: 'monitors/m-2', ready: 'figure svg rect' },
  'monitor-long': { path: 'monitors/m-4', ready: 'figure svg rect' },
  results: { path: 'results', ready: ENTRY },
  incidents: { path: 'incidents', ready: ENTRY },
  settings: { path: 'settings', ready: 'text=Lateness' },
  missing: { path: 'no-such-page', ready: 'text=There is no such page' },
};

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser?.close());

/** The server of one test: it ends with the test, however that ends. */
async function serve(t, options) {
  const server = await startDevServer(options);
  t.after(() => server.close());
  return server;
}

async function look(t, server, name, { path, ready }, options) {
  const { page, complaints } = await openPage(browser, t, options);
  await page.goto(server.url + path);
  await page.waitForSelector(ready);
  await assertNoSidewaysScroll(page, name);
  await screenshot(page, name);
  await assertAccessible(page, name);
  assert.deepEqual(complaints, [], name);
  await page.context().close();
}

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark']) {
    test(`every page at ${viewport.width} px in ${colorScheme}`, async (t) => {
      const server = await serve(t, { monitors: 12, tick_ms: 0 });
      for (const [name, what] of Object.entries(PAGES)) {
        await look(t, server, `${name}-12-${size}-${colorScheme}`, what, { viewport, colorScheme });
      }
    });

    test(`the overview with 5, 1,000 and half down at ${viewport.width} px in ${colorScheme}`, async (t) => {
      for (const [monitors, scenario] of [[5, 'up'], [5, 'mixed'], [1000, 'mixed'], [1000, 'half']]) {
        const server = await serve(t, { monitors, scenario, tick_ms: 0 });
        await look(t, server, `overview-${monitors}-${scenario}-${size}-${colorScheme}`, PAGES.overview, { viewport, colorScheme });
      }
    });
  }
}

test('banners, the empty page, the key list and the wall screen', async (t) => {
  const server = await serve(t, { monitors: 12, tick_ms: 0 });
  server.world.configError = {
    at: new Date().toISOString(),
    text: 'watchpost.yml:12:5: unknown key `intervall`; did you mean `interval`?\n   |\n12 |     intervall: 30s\n   |     ^^^^^^^^^',
  };
  server.world.store = 'failing: disk is full';
  for (const [size, viewport] of Object.entries(SIZES)) {
    await look(t, server, `banners-${size}`, { path: '', ready: 'text=unknown key' }, { viewport });
  }
  server.world.configError = null;
  server.world.store = 'ok';
  await look(t, server, 'kiosk-12', { path: '?kiosk', ready: '[data-row]' }, { viewport: { width: 1920, height: 1080 }, colorScheme: 'dark' });
  const { page, complaints } = await openPage(browser, t);
  await page.goto(server.url);
  await page.waitForSelector('[data-row]');
  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open]');
  await screenshot(page, 'keys');
  await assertAccessible(page, 'key list');
  assert.deepEqual(complaints, []);
  server.world.list.length = 0;
  for (const [size, viewport] of Object.entries(SIZES)) {
    await look(t, server, `empty-${size}`, { path: '', ready: 'text=Nothing is watched yet' }, { viewport });
  }
});

test('a monitor of a file shows its lock, one of the interface its pause button', async (t) => {
  const server = await serve(t, { monitors: 12, tick_ms: 0 });
  Object.assign(server.world.list[0], { source: 'api', file: null });
  const { page, complaints } = await openPage(browser, t);
  await page.goto(server.url);
  await page.hover('.row[data-id="m-4"]');
  await page.waitForSelector('.row[data-id="m-4"] .lock >> text=locked: watchpost.yml:39');
  assert.equal(await page.locator('.row[data-id="m-4"] button').count(), 1, 'check only');
  await page.hover('.row[data-id="m-1"]');
  await page.click('.row[data-id="m-1"] button[title="Pause (p)"]');
  await page.waitForSelector('.row.paused[data-id="m-1"]');
  await page.goto(`${server.url}monitors/m-1`);
  await page.click('button >> text=Resume');
  await page.waitForSelector('button >> text=Pause');
  assert.deepEqual(complaints, []);
});

test('long names use the room of a cause that is not there, and causes on phones take two lines', async (t) => {
  const server = await serve(t, { monitors: 12, tick_ms: 0 });
  server.world.list[1].reason = { code: 'refused', stage: 'connect', text: 'Connection refused by all four addresses of shop-2.example.org, the last one 10.20.30.40:443' };
  const wide = await openPage(browser, t);
  await wide.page.goto(server.url);
  const name = wide.page.locator('.row[data-id="m-4"] .name');
  const [needed, given] = await name.evaluate((element) => [element.scrollWidth, element.clientWidth]);
  assert.ok(needed <= given, `a name of ${needed} px is cut at ${given} px`);
  const phone = await openPage(browser, t, { viewport: PHONE });
  await phone.page.goto(server.url);
  const lines = await phone.page.locator('.row[data-id="m-2"] .cause').evaluate((element) => Math.round(element.clientHeight / parseFloat(getComputedStyle(element).lineHeight)));
  assert.equal(lines, 2);
  const boxes = await phone.page.locator('.row').evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
  assert.deepEqual(boxes.slice(0, 3), [80, 80, 64], 'the heights that the list counts with');
});

test('a thousand monitors keep the page small and scroll to the last', async (t) => {
  const server = await serve(t, { monitors: 2_000, tick_ms: 50 });
  const { page, complaints } = await openPage(browser, t);
  await page.goto(server.url);
  await page.waitForSelector('[data-row]');
  const nodes = await page.evaluate(() => document.querySelectorAll('*').length);
  assert.ok(nodes < 4_000, `${nodes} elements`);
  await page.keyboard.press('k');
  await page.waitForFunction(() => document.activeElement?.hasAttribute('data-row'));
  const id = await page.evaluate(() => document.activeElement.dataset.row);
  assert.ok(await page.evaluate(() => scrollY > 10_000), 'the last row is far down');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/monitors/${id}`);
  await page.goBack();
  await page.waitForFunction(() => scrollY > 10_000, null, { timeout: 5_000 });
  assert.deepEqual(complaints, []);
});

test('two thousand monitors are followed by the compact stream, with the words of a new cause', async (t) => {
  const server = await serve(t, { monitors: 2_000, scenario: 'up', tick_ms: 0 });
  const { page, complaints } = await openPage(browser, t);
  const streams = [];
  page.on('request', (request) => request.url().includes('/stream') && streams.push(request.url()));
  await page.goto(server.url);
  await page.waitForSelector('h1 >> text=/All 2.000 up/');
  await page.waitForFunction(() => document.title === 'Watchpost');
  const target = server.world.list[1_500];
  target.state = 'down';
  target.since = new Date().toISOString();
  target.reason = { code: 'refused', stage: 'connect', text: 'Connection refused by 192.0.2.17:443' };
  server.check(target, 'fail');
  await page.waitForSelector(`.row.down[data-id="${target.id}"] >> text=Connection refused`);
  await page.waitForSelector(`.row.down[data-id="${target.id}"] >> text=by 192.0.2.17:443`);
  assert.match(streams[0], /view=compact/);
  await page.click(`[data-row="${target.id}"]`);
  await page.waitForSelector('section.now.down');
  server.check(target, 'fail');
  await page.waitForSelector('tbody tr:first-child >> text=now');
  assert.deepEqual(complaints, []);
});

test('hosted under a sub-path with an id that needs encoding', async (t) => {
  const server = await serve(t, { monitors: 12, base: '/sub/path/', tick_ms: 0 });
  const { page, complaints } = await openPage(browser, t);
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(server.url);
  await page.click('a[data-row="abt/röntgen 2"]');
  await page.waitForURL('**/sub/path/monitors/abt%2Fr%C3%B6ntgen%202');
  await page.waitForSelector('figure svg rect');
  await page.reload();
  await page.waitForSelector('figure svg rect');
  assert.deepEqual(asked.filter((path) => !path.startsWith('/sub/path/')), []);
  const icon = await page.evaluate(async () => (await fetch(document.querySelector('link[rel=icon]').href)).headers.get('content-type'));
  assert.equal(icon, 'image/svg+xml');
  assert.deepEqual(complaints, []);
});

test('a broken stream is told, then resumed without a gap', async (t) => {
  const server = await serve(t, { monitors: 5, scenario: 'up', tick_ms: 0 });
  const { page, complaints } = await openPage(browser, t);
  await page.goto(server.url);
  await page.waitForSelector('[data-row]');
  await page.context().setOffline(true);
  server.cut();
  await page.waitForSelector('text=Connection lost, retrying');
  const target = server.world.list[3];
  target.state = 'down';
  target.since = new Date().toISOString();
  target.reason = { code: 'refused', stage: 'connect', text: 'Connection refused' };
  server.check(target, 'fail');
  await page.context().setOffline(false);
  await page.waitForSelector(`.row.down[data-id="${target.id}"] >> text=Connection refused`);
  await page.waitForSelector('text=Connection lost, retrying', { state: 'detached' });
  assert.match(await page.title(), /^\(1\) /);
  assert.deepEqual(complaints.filter((text) => !/ERR_INTERNET_DISCONNECTED/.test(text)), []);
});
