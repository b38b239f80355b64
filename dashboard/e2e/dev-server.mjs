// Serves dist/ and a synthetic API, for development and for screenshots with 1,000 monitors:
//   node e2e/dev-server.mjs [--monitors 1000] [--scenario mixed|up|half] [--port 5174] [--base /sub/]
// It is not a test double for behaviour: the behaviour tests drive the real program.
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { letter, makeResult, makeWorld, monitorShape, overviewItem } from './world.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.html': 'text/html; charset=utf-8' };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";
const EVENTS_KEPT = 2_000;

const json = (response, status, body) => {
  response.writeHead(status, { 'content-type': status >= 400 ? 'application/problem+json' : 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
};
const problem = (response, status, detail) => json(response, status, { type: 'about:blank', title: 'Refused', status, detail });

/** The compact view of one result. */
function compact(id, { monitor, state, since, result }) {
  const one = [monitor, Date.parse(result.scheduled_at), letter[result.verdict], result.timings_us.total, result.reason?.code ?? null, state, Date.parse(since)];
  return `id: ${id}\nevent: results\ndata: ${JSON.stringify({ r: [one] })}\n\n`;
}

function page(items, query, key) {
  const limit = Math.min(1000, Number(query.get('limit') ?? 100));
  const from = Number(query.get(key) ?? 0);
  return { items: items.slice(from, from + limit), next: from + limit < items.length ? String(from + limit) : null };
}

/** Starts the server; `tick_ms` is how often a few monitors get a new result (0: never). */
export async function startDevServer({ monitors = 12, scenario = 'mixed', port = 0, base = '/', tick_ms = 1_000, interval_s = 30 } = {}) {
  const world = makeWorld({ monitors, scenario, interval_s });
  const events = [];
  const clients = new Set();

  function publish(event, data) {
    world.sequence += 1;
    const text = `id: ${world.sequence}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    events.push({ id: world.sequence, text, monitor: data.monitor });
    if (events.length > EVENTS_KEPT) events.shift();
    for (const client of clients) {
      if (client.ids && data.monitor && !client.ids.has(data.monitor)) continue;
      client.response.write(client.compact && event === 'result' ? compact(world.sequence, data) : text);
    }
  }

  function check(m, verdict) {
    const result = makeResult(m, Date.now(), verdict, world.random);
    m.results.push(result);
    if (m.results.length > 300) m.results.shift();
    const { state, since, reason, failing } = m;
    publish('result', { monitor: m.id, state, since, reason, failing, result });
    return result;
  }

  function tick() {
    for (let n = 0; n < Math.max(1, monitors / interval_s); n++) {
      const m = world.list[Math.floor(world.random() * world.list.length)];
      if (m && m.active) check(m, m.state === 'down' ? 'fail' : m.state === 'degraded' ? 'degraded' : 'pass');
    }
  }

  function stream(request, response, query) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const after = Number(request.headers['last-event-id'] ?? query.get('after') ?? 0);
    const resumed = after > 0 && after <= world.sequence && (events.length === 0 || after >= events[0].id - 1);
    const ids = query.get('ids') ? new Set(query.get('ids').split(',')) : null;
    response.write(`event: hello\nid: ${world.sequence}\ndata: ${JSON.stringify({ at: new Date().toISOString(), cursor: String(world.sequence), resumed })}\n\n`);
    if (resumed) for (const event of events) if (event.id > after) response.write(event.text);
    const client = { response, ids, compact: query.get('view') === 'compact' };
    clients.add(client);
    request.on('close', () => clients.delete(client));
  }

  function status() {
    const source = '/etc/watchpost/watchpost.yml';
    return {
      version: '0.1.0', at: new Date().toISOString(), started_at: new Date(world.startedAt).toISOString(), uptime_s: (Date.now() - world.startedAt) / 1000,
      accounts: false, listen: ['127.0.0.1:8080'], loopback_only: true,
      config: { source, loaded_at: new Date(world.startedAt).toISOString(), generation: 3, error: world.configError },
      engine: { monitors: world.list.length, active: world.list.filter((m) => m.active).length, in_flight: 2, waiting: 0, results_queued: 0, commit_lag_ms: 3, lateness_p99_ms: 2, checks_total: 48_213, results_dropped_total: 0, store: world.store },
    };
  }

  function monitorRoute(request, response, path, query) {
    const [encoded, verb = ''] = path.split('/');
    const m = world.list.find((one) => one.id === decodeURIComponent(encoded));
    if (!m) return problem(response, 404, 'There is no such monitor');
    if (request.method === 'POST' && verb === 'check') {
      const result = check(m, m.state === 'down' ? 'fail' : 'pass');
      return json(response, 200, { monitor: { id: m.id, name: m.name, kind: m.kind }, state: m.state, result });
    }
    if (request.method === 'POST' && m.source === 'api') {
      Object.assign(m, { active: verb === 'resume', state: verb === 'resume' ? 'unknown' : 'paused', since: new Date().toISOString(), reason: null });
      return json(response, 200, monitorShape(m));
    }
    if (request.method === 'POST') return problem(response, 409, `say "active: false" in ${m.file.path}:${m.file.line}`);
    if (verb === 'config') return json(response, 200, { id: m.id, name: m.name, http: { url: m.target, headers: { authorization: '***' } }, interval: '30s', expect: { status: '200-399', body: { contains: 'ok: true' } }, alert: [] });
    if (verb === 'results') return json(response, 200, page(m.results.toReversed?.() ?? [...m.results].reverse(), query, 'before'));
    return json(response, 200, monitorShape(m));
  }

  function api(request, response, path, query) {
    if (path === 'status') return json(response, 200, status());
    if (path === 'stream') return stream(request, response, query);
    if (path === 'overview') {
      const recent = Number(query.get('recent') ?? 40);
      const counts = { up: 0, degraded: 0, down: 0, unknown: 0, paused: 0, maintenance: 0 };
      for (const m of world.list) counts[m.state] += 1;
      return json(response, 200, { at: new Date().toISOString(), cursor: String(world.sequence), counts, items: world.list.map((m) => overviewItem(m, recent)) });
    }
    if (path === 'results') {
      const all = world.list.flatMap((m) => m.results.map((r) => ({ monitor: m.id, ...r })))
        .filter((r) => (!query.get('monitor') || r.monitor === query.get('monitor')) && (!query.get('verdict') || r.verdict === query.get('verdict')))
        .sort((a, b) => (a.at < b.at ? 1 : -1));
      return json(response, 200, page(all, query, 'cursor'));
    }
    if (path === 'incidents') {
      const all = world.incidents.filter((i) => (!query.get('monitor') || i.monitor === query.get('monitor')) && (query.get('open') !== 'true' || i.closed_at === null))
        .sort((a, b) => (a.since < b.since ? 1 : -1));
      return json(response, 200, page(all, query, 'cursor'));
    }
    if (path.startsWith('monitors/')) return monitorRoute(request, response, path.slice('monitors/'.length), query);
    return problem(response, 404, 'There is no such path');
  }

  function file(response, path) {
    const found = join(DIST, normalize(`/${path}`));
    const headers = { 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff' };
    if (path !== '' && existsSync(found) && extname(found) !== '') {
      response.writeHead(200, { ...headers, 'content-type': TYPES[extname(found)] ?? 'application/octet-stream' });
      return createReadStream(found).pipe(response);
    }
    const html = readFileSync(join(DIST, 'index.html'), 'utf8').replace('<base href="/" />', `<base href="${base}" />`);
    response.writeHead(200, { ...headers, 'content-type': TYPES['.html'] });
    response.end(html);
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://x');
    if (!url.pathname.startsWith(base)) return problem(response, 404, 'Outside of the base path');
    const path = url.pathname.slice(base.length);
    if (path.startsWith('api/v1/')) return api(request, response, path.slice('api/v1/'.length), url.searchParams);
    return file(response, decodeURI(path));
  });
  await new Promise((ready) => server.listen(port, '127.0.0.1', ready));
  const timer = tick_ms > 0 ? setInterval(tick, tick_ms) : null;
  return {
    url: `http://127.0.0.1:${server.address().port}${base}`,
    world, publish, check,
    /** Breaks all live streams, as a restarted proxy would. */
    cut: () => { for (const client of clients) client.response.destroy(); },
    close: () => { clearInterval(timer ?? undefined); server.closeAllConnections(); return new Promise((done) => server.close(done)); },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { monitors: { type: 'string' }, scenario: { type: 'string' }, port: { type: 'string' }, base: { type: 'string' } } });
  const server = await startDevServer({ monitors: Number(values.monitors ?? 12), scenario: values.scenario ?? 'mixed', port: Number(values.port ?? 5174), base: values.base ?? '/' });
  console.log(server.url);
}
