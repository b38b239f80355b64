// A synthetic world for screenshots and for developing without a server. Deterministic: a seed decides all.

const STAGES = ['dns', 'connect', 'tls', 'ttfb', 'transfer'];
const LONG_NAMES = [
  'Terminvereinbarung und Bürgerservice der Stadtverwaltung Ludwigshafen am Rhein, Außenstelle Oggersheim',
  'Донаудампфшифартсгезельшафт: служба учёта обращений граждан, резервный узел № 2',
  'Straßenverkehrszulassungsbehördenauskunftsschnittstelle',
  'Система передачи медицинских изображений, отделение лучевой диагностики',
];
const GROUPS = ['Public', 'Media', 'Databases', 'Radiology', 'Mail', 'Network', 'Backups and jobs', 'Бухгалтерия'];
const WORDS = ['Portal', 'Shop', 'Billing', 'Search', 'Login', 'Cache', 'Queue', 'Archive', 'Gateway', 'Reports', 'Wiki', 'Registry'];
const REASONS = [
  { code: 'timeout', stage: 'tls', text: 'TLS handshake timed out after 5 s' },
  { code: 'refused', stage: 'connect', text: 'Connection refused by 10.20.30.40:443' },
  { code: 'status', stage: null, text: 'HTTP status 503, expected 200-399' },
  { code: 'dns_not_found', stage: 'dns', text: 'No such name: db-7.internal.example.invalid' },
  { code: 'tls_expired', stage: 'tls', text: 'Certificate expired 3 days ago (CN=shop.example.org)' },
  { code: 'body', stage: null, text: 'Body does not contain "operational"' },
];
const SLOW = { code: 'latency', stage: null, text: 'Answered in 812 ms, degraded above 500 ms' };

/** mulberry32: small, and the same on every machine. */
function randomFrom(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const iso = (ms) => new Date(ms).toISOString();
export const letter = { pass: 'p', degraded: 'd', fail: 'f', inconclusive: 'i' };

export function makeWorld({ monitors = 12, scenario = 'mixed', seed = 7, interval_s = 30 } = {}) {
  const random = randomFrom(seed);
  const now = Date.now();
  const list = [];
  for (let i = 0; i < monitors; i++) list.push(makeMonitor({ i, total: monitors, scenario, random, now, interval_s }));
  return { random, list, incidents: list.flatMap((m) => m.incidents), sequence: 1, startedAt: now - 3_723_000, configError: null, store: 'ok' };
}

function stateFor(i, total, scenario, random) {
  if (scenario === 'up') return 'up';
  if (scenario === 'half') return i % 2 === 0 ? 'down' : 'up';
  if (i === 1) return 'down';
  if (i === 2) return 'degraded';
  if (total > 6 && i === 6) return 'paused';
  if (total > 6 && i === 7) return 'unknown';
  if (total > 6 && i === 8) return 'maintenance';
  const dice = random();
  return total > 50 && dice < 0.02 ? 'down' : total > 50 && dice < 0.05 ? 'degraded' : 'up';
}

function makeMonitor({ i, total, scenario, random, now, interval_s }) {
  const state = stateFor(i, total, scenario, random);
  const kind = ['http', 'http', 'http', 'tcp', 'icmp', 'dns', 'tls', 'udp'][Math.floor(random() * 8)];
  const name = i % 23 === 3 ? LONG_NAMES[(i >> 1) % LONG_NAMES.length] + (i > 30 ? ` ${i}` : '') : `${WORDS[i % WORDS.length]} ${i + 1}`;
  const host = `${WORDS[i % WORDS.length].toLowerCase()}-${i + 1}.example.org`;
  const targets = { http: `https://${host}/health`, tcp: `${host}:5432`, icmp: host, dns: `${host} (AAAA)`, tls: `${host}:443`, udp: `${host}:34197` };
  const base_us = 800 + random() * random() * 180_000;
  const since = now - Math.floor((state === 'down' || state === 'degraded' ? 240_000 : 86_400_000 * 3) * (0.5 + random()));
  const m = {
    id: i === 4 ? 'abt/röntgen 2' : `m-${i + 1}`, name, group: i % 11 === 10 ? null : GROUPS[Math.floor((i / Math.max(total, 12)) * GROUPS.length)],
    tags: i % 3 === 0 ? ['prod', 'web'] : [], kind, target: targets[kind], source: 'file', file: { path: '/etc/watchpost/watchpost.yml', line: 12 + 9 * i }, state, since: iso(since),
    active: state !== 'paused', interval_s, base_us, reason: null, failing: null, results: [], incidents: [],
  };
  if (state === 'down') m.reason = REASONS[i % REASONS.length];
  if (state === 'degraded') m.reason = SLOW;
  if (scenario === 'mixed' && i === 5) { m.failing = { count: 1, of: 3 }; m.reason = REASONS[1]; }
  const steps = total > 300 ? 40 : 200;
  for (let k = steps; k >= 1; k--) {
    const at = now - k * interval_s * 1000 + Math.floor(random() * 900);
    const bad = (at >= since && m.state !== 'up') || (k === 1 && m.failing !== null);
    const verdict = bad && (m.reason || m.failing) && state !== 'degraded' ? 'fail' : bad && state === 'degraded' ? 'degraded' : random() < 0.012 ? 'fail' : random() < 0.01 ? 'inconclusive' : 'pass';
    if (state === 'unknown' || (state === 'paused' && at > since)) continue;
    m.results.push(makeResult(m, at, verdict, random));
  }
  if (state === 'down') m.incidents.push({ id: `i-${i}-1`, monitor: m.id, opened_at: m.since, since: m.since, closed_at: null, reason: m.reason, duration_ms: now - since, closed_by: null });
  if (i % 2 === 0) {
    const start = now - 86_400_000 * 2 - i * 977_000;
    m.incidents.push({ id: `i-${i}-0`, monitor: m.id, opened_at: iso(start), since: iso(start), closed_at: iso(start + 754_000), reason: REASONS[(i + 1) % REASONS.length], duration_ms: 754_000, closed_by: i % 4 === 0 ? 'recovered' : 'changed' });
  }
  return m;
}

export function makeResult(m, at, verdict, random) {
  const spike = verdict === 'degraded' ? 6 : 1;
  const share = { dns: 0.06, connect: 0.14, tls: 0.3, ttfb: 0.42, transfer: 0.08 };
  const staged = m.kind === 'http';
  const timings = { dns: null, connect: null, tls: null, ttfb: null, transfer: null, total: null };
  let total = 0;
  const last = verdict === 'fail' ? (m.reason?.stage ?? 'transfer') : 'transfer';
  for (const stage of STAGES) {
    if (verdict === 'fail' && stage === last) break;
    const us = Math.round(m.base_us * spike * share[stage] * (0.7 + random() * 0.6));
    if (staged) timings[stage] = us;
    total += us;
  }
  timings.total = verdict === 'inconclusive' ? null : total + (m.reason?.code === 'timeout' && verdict === 'fail' ? 5_000_000 : 0);
  const reason = verdict === 'fail' ? (m.reason ?? REASONS[0]) : verdict === 'degraded' ? SLOW : verdict === 'inconclusive' ? { code: 'missed_tick', stage: null, text: 'Not checked: Watchpost did not run' } : null;
  return {
    at: iso(at), scheduled_at: iso(at), verdict, region: 'local', late: false, reason, failing: verdict === 'fail' ? m.failing : null, missed: null,
    timings_us: timings,
    http: staged ? { status: verdict === 'fail' ? null : 200, url: m.target } : null,
    tls: m.kind === 'http' || m.kind === 'tls' ? { not_after: iso(Date.now() + 86_400_000 * (m.base_us > 60_000 ? 9 : 61)), verified: true } : null,
    address: m.kind === 'dns' ? null : '192.0.2.17',
    icmp: m.kind === 'icmp' ? { sent: 5, received: verdict === 'fail' ? 0 : 5, rtt_avg_us: Math.round(total), jitter_us: 210 } : null,
  };
}

export function overviewItem(m, recent) {
  const last = m.results.at(-1);
  const ok = last && (last.verdict === 'pass' || last.verdict === 'degraded');
  const { id, name, group, tags, kind, target, state, since, active, interval_s, reason, failing } = m;
  return {
    id, name, group, tags, kind, target, state, since, active, interval_s, reason, failing,
    latency_us: ok ? last.timings_us.total : null,
    uptime_24h: m.state === 'unknown' ? null : uptime(m),
    recent: m.results.slice(-recent).map((r) => [Date.parse(r.scheduled_at), letter[r.verdict], r.timings_us.total, r.reason?.code ?? null]),
  };
}

function uptime(m) {
  const known = m.results.filter((r) => r.verdict !== 'inconclusive');
  if (known.length === 0) return null;
  return 1 - (known.filter((r) => r.verdict === 'fail').length / known.length) * 0.05;
}

export function monitorShape(m) {
  const { id, name, group, tags, kind, target, source, file, active, interval_s, state, since, reason, failing } = m;
  const day = uptime(m);
  return {
    id, name, group, tags, kind, target, source, file, active, ping_url: null, interval_s, state, since, reason, failing,
    last_result: m.results.at(-1) ?? null, uptime: { '24h': day, '7d': day, '30d': day === null ? null : (day + 2) / 3, '90d': null },
  };
}
