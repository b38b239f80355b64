// Drives the real program as a user would, in a real browser.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, assertAccessible, assertNoSidewaysScroll, openBrowser, openPage, screenshot } from './browser.mjs';
import { configuration, startProgram, startTargets } from './program.mjs';

const GERMAN = 'Terminvereinbarung und Bürgerservice der Stadtverwaltung Ludwigshafen am Rhein, Außenstelle Oggersheim';
const CYRILLIC = 'Система передачи медицинских изображений, отделение лучевой диагностики, резервный узел № 2';
/** A table's row, or what it becomes on phones. */
const ENTRY = 'tbody tr, .stack li';
const GERMAN_ID = 'amt/bürgerservice 2';

let browser;
let targets;
let program;
let monitors;

before(async () => {
  browser = await openBrowser();
  targets = await startTargets();
  targets.modes.set('broken', 'error');
  targets.modes.set('slow', 'slow');
  monitors = [
    { id: 'shop', name: 'Shop', group: 'Public', tags: ['web'], http: targets.url('shop') },
    { id: 'portal', name: 'Portal', group: 'Public', http: targets.url('portal') },
    { id: GERMAN_ID, name: GERMAN, group: 'Verwaltung', http: targets.url('amt') },
    { id: 'pacs', name: CYRILLIC, group: 'Лучевая диагностика', tcp: targets.address },
    { id: 'broken', name: 'Billing', group: 'Public', http: targets.url('broken') },
    { id: 'slow', name: 'Search', group: 'Public', http: targets.url('slow'), expect: { latency: { degraded: '150ms' } } },
    { id: 'closed', name: 'Database', tcp: targets.closed, interval: '30s' },
    { id: 'off', name: 'Old archive', http: targets.url('off'), active: false },
  ];
  program = await startProgram(configuration(monitors));
});

after(async () => {
  await program?.stop();
  await targets?.stop();
  await browser?.close();
});

const row = (id, state = '') => `.row${state ? `.${state}` : ''}[data-id="${id}"]`;

/** Opens an address below the program's and waits for the first monitors. */
async function open(t, path = '', options = {}) {
  const { page, complaints } = await openPage(browser, t, options);
  await page.goto(program.url + path);
  return { page, complaints };
}

test('the overview tells what is down and why, before all that is well', async (t) => {
  const { page, complaints } = await open(t);
  await page.waitForSelector(`${row('broken', 'down')} >> text=/Down for .*500/s`);
  await page.waitForSelector(`${row('closed', 'down')} >> text=/refused/i`);
  await page.waitForSelector(`${row('slow', 'degraded')} >> text=/Degraded for/`);
  await page.waitForSelector(row(GERMAN_ID, 'up'));
  await page.waitForSelector(row('pacs', 'up'));
  await page.waitForSelector(`${row('off', 'paused')} >> text=Paused`);
  await page.waitForSelector('h1 >> text=2 of 8 down, 1 degraded');
  assert.equal(await page.locator(`${row('closed')} .latency`).textContent(), '–', 'a refused connection has no latency');
  assert.deepEqual(await page.locator('.heading h2').allTextContents(), ['Down', 'Degraded', 'Public', 'Verwaltung', 'Лучевая диагностика', 'Without a group']);
  assert.equal(await page.title(), '(2) Watchpost');
  assert.match(await page.locator('link[rel=icon]').getAttribute('href'), /down/);
  await page.waitForSelector('footer >> text=No accounts yet: listening on loopback only');
  assert.deepEqual(complaints, []);
});

test('a target that breaks moves up with its cause while one looks, and back when it recovers', async (t) => {
  const { page, complaints } = await open(t);
  await page.waitForSelector(row('shop', 'up'));
  targets.modes.set('shop', 'error');
  await page.waitForSelector(`${row('shop', 'down')} >> text=/Down for .*500/s`);
  assert.equal(await page.locator('.row').first().getAttribute('data-id'), 'shop', 'the newest trouble is first');
  await page.waitForFunction(() => document.title === '(3) Watchpost');
  targets.modes.set('shop', 'ok');
  await page.waitForSelector(row('shop', 'up'));
  await page.waitForFunction(() => document.title === '(2) Watchpost');
  assert.deepEqual(complaints, []);
});

test('a row tells each of its results to the pointer and to the arrow keys', async (t) => {
  const { page, complaints } = await open(t);
  await page.waitForSelector(row('portal', 'up'));
  await page.locator(`${row('broken')} svg[role=img][aria-label^="last"]`).hover({ position: { x: 197, y: 10 } });
  await page.waitForSelector('[role=tooltip] >> text=Fail');
  await page.mouse.move(0, 0);
  await page.focus('[data-row="broken"]');
  await page.keyboard.press('ArrowLeft');
  await page.waitForSelector('[role=tooltip] >> text=/HTTP status/i');
  await page.keyboard.press('Escape');
  await page.waitForSelector('[role=tooltip]', { state: 'detached' });
  assert.deepEqual(complaints, []);
});

test('search and filters live in the address', async (t) => {
  const { page, complaints } = await open(t);
  await page.waitForSelector(row('portal'));
  await page.keyboard.press('/');
  await page.keyboard.type('bürgerservice');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
  assert.equal(new URL(page.url()).searchParams.get('q'), 'bürgerservice');
  await page.reload();
  await page.waitForSelector(row(GERMAN_ID));
  assert.equal(await page.locator('.row').count(), 1);
  await page.keyboard.press('/');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 8);
  await page.keyboard.press('Escape');
  await page.click('.count >> text=Paused');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
  assert.equal(new URL(page.url()).search, '?state=paused');
  await page.click(`[data-row="off"]`);
  await page.waitForURL('**/monitors/off');
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
  await page.fill('input[type=search]', 'nothing like it');
  await page.waitForSelector('text=No monitor matches');
  await page.click('text=Show all 8');
  await page.waitForFunction(() => document.querySelectorAll('.row').length === 8);
  assert.deepEqual(complaints, []);
});

test('the page of a monitor shows state, results as they come, incidents and the configuration', async (t) => {
  const { page, complaints } = await open(t, `monitors/${encodeURIComponent(GERMAN_ID)}`);
  await page.waitForSelector(`h1 >> text=${GERMAN}`);
  await page.waitForSelector('text=every 1 s');
  const newest = () => page.locator('tbody tr time').first().getAttribute('datetime');
  await page.waitForSelector('tbody tr');
  const first = await newest();
  await page.waitForFunction((seen) => document.querySelector('tbody tr time').getAttribute('datetime') !== seen, first);
  targets.modes.set('amt', 'reset');
  await page.waitForSelector('section.now.down');
  await page.waitForSelector('tr >> text=Open');
  targets.modes.set('amt', 'ok');
  await page.waitForSelector('section.now.up');
  await page.waitForSelector('tr >> text=Recovered');
  await page.click('summary >> text=Configuration');
  await page.waitForSelector(`pre >> text=${targets.url('amt')}`);
  assert.deepEqual(complaints, []);
});

test('check now shows the trace of what it found', async (t) => {
  const { page, complaints } = await open(t, 'monitors/closed');
  await page.waitForSelector('h1 >> text=Database');
  await page.click('button >> text=Check now');
  await page.waitForSelector('section[aria-label="Check now"] >> text=/Database: fail, .*refused/i');
  await page.waitForSelector('section[aria-label="Check now"] >> code >> text=refused');
  await page.keyboard.press('Escape');
  await page.waitForSelector('section[aria-label="Check now"]', { state: 'detached' });
  assert.deepEqual(complaints, []);
});

test('pausing a monitor of the file says where to do it', async (t) => {
  const { page, complaints } = await open(t, 'monitors/portal');
  await page.waitForSelector('button >> text=/^locked: watchpost\\.yml:\\d+$/');
  assert.equal(await page.locator('button >> text=Pause').count(), 0);
  assert.match(await page.locator('button.lock').getAttribute('title'), /\/watchpost\.yml:\d+$/);
  await page.keyboard.press('p');
  await page.waitForSelector('[role=alert] >> text=/active: false.*watchpost\\.yml:/');
  await page.goto(program.url);
  await page.waitForSelector(row('portal', 'up'));
  await page.focus('[data-row="portal"]');
  await page.keyboard.press('p');
  await page.waitForSelector('.toast >> text=/Portal: .*active: false.*watchpost\\.yml:/');
  assert.deepEqual(complaints, [], 'nothing was asked that is refused');
});

test('everything can be reached by keyboard', async (t) => {
  const { page, complaints } = await open(t);
  await page.waitForSelector(row('slow', 'degraded'));
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  const first = await page.locator('.row').first().getAttribute('data-id');
  await page.waitForFunction((id) => document.activeElement?.dataset.row === id, first);
  await page.keyboard.press('c');
  await page.waitForSelector('.toast >> text=/: fail, /');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/monitors/**');
  await page.keyboard.press('g');
  await page.keyboard.press('r');
  await page.waitForURL('**/results');
  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open] >> text=Check the chosen monitor now');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog[open]', { state: 'detached' });
  await page.keyboard.press('g');
  await page.keyboard.press('o');
  await page.waitForSelector('.row');
  assert.deepEqual(complaints, []);
});

test('results and incidents of all monitors can be filtered', async (t) => {
  const { page, complaints } = await open(t, 'results?verdict=fail');
  await page.waitForSelector('tbody tr');
  const verdicts = new Set(await page.locator('.verdict').allTextContents());
  assert.deepEqual([...verdicts], ['Fail']);
  await page.selectOption('select[aria-label=Monitor]', 'closed');
  await page.waitForFunction(() => [...document.querySelectorAll('td.monitor a')].every((a) => a.textContent === 'Database'));
  assert.equal(new URL(page.url()).search, '?verdict=fail&monitor=closed');
  await page.click('nav >> text=Incidents');
  await page.waitForSelector('tr >> text=Open');
  await page.selectOption('select[aria-label="Which incidents"]', 'true');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 2);
  assert.deepEqual(complaints, []);
});

test('a broken configuration is told with its place while the old one goes on, and a mended one clears it', async (t) => {
  const { page, complaints } = await open(t);
  t.after(() => program.configure(configuration(monitors)));
  await page.waitForSelector(row('portal', 'up'));
  program.configure(configuration([{ ...monitors[0], intervall: '5s' }, ...monitors.slice(1)]));
  await page.waitForSelector('[role=alert] >> text=/watchpost\\.yml:\\d+:\\d+/');
  await page.waitForSelector('[role=alert] >> text=/intervall/');
  await page.waitForSelector('text=The previous configuration goes on');
  await screenshot(page, 'real-configuration-error');
  await assertAccessible(page, 'configuration error');
  program.configure(configuration([...monitors, { id: 'added', name: 'Added while one looks', http: targets.url('added') }]));
  await page.waitForSelector('text=The previous configuration goes on', { state: 'detached' });
  await page.waitForSelector(row('added', 'up'));
  program.configure(configuration(monitors));
  await page.waitForSelector(row('added'), { state: 'detached' });
  assert.deepEqual(complaints, []);
});

test('a restart of the program is told and survived without a reload', async (t) => {
  const { page, complaints } = await open(t);
  await page.waitForSelector(row('portal', 'up'));
  await program.halt();
  await page.waitForSelector('text=Connection lost, retrying');
  targets.modes.set('portal', 'error');
  t.after(() => targets.modes.set('portal', 'ok'));
  await program.start();
  await page.waitForSelector('text=Connection lost, retrying', { state: 'detached' });
  await page.waitForSelector(row('portal', 'down'));
  targets.modes.set('portal', 'ok');
  await page.waitForSelector(row('portal', 'up'));
  // While it stops it may still answer that it does.
  assert.deepEqual(complaints.filter((text) => !/status of 503/.test(text)), []);
});

test('the chosen colours are kept', async (t) => {
  const { page, complaints } = await open(t, 'settings');
  await page.click('label >> text=Dark');
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  const background = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  assert.equal(background, 'rgb(15, 17, 19)');
  assert.deepEqual(complaints, []);
});

for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  for (const colorScheme of ['light', 'dark']) {
    test(`every page fits ${viewport.width} px and is accessible in ${colorScheme}`, async (t) => {
      const { page, complaints } = await open(t, '', { viewport, colorScheme, reducedMotion: 'reduce' });
      const pages = { overview: ['', '.row'], monitor: [`monitors/${encodeURIComponent(GERMAN_ID)}`, ENTRY], down: ['monitors/broken', ENTRY], results: ['results', ENTRY], incidents: ['incidents', ENTRY], settings: ['settings', 'text=Lateness'] };
      for (const [name, [path, ready]] of Object.entries(pages)) {
        await page.goto(program.url + path);
        await page.waitForSelector(ready);
        await assertNoSidewaysScroll(page, name);
        await screenshot(page, `real-${name}-${size}-${colorScheme}`);
        await assertAccessible(page, name);
      }
      assert.deepEqual(complaints, []);
    });
  }
}

test('a program that watches nothing says what to do next', async (t) => {
  const empty = await startProgram('log: { level: info }\n');
  t.after(() => empty.stop());
  const { page, complaints } = await openPage(browser, t);
  await page.goto(empty.url);
  await page.waitForSelector('h1 >> text=Nothing is watched yet');
  await page.waitForSelector('text=watchpost.yml');
  await assertAccessible(page, 'empty page');
  assert.deepEqual(complaints, []);
});
