import { expect, test } from 'vitest';
import type { OverviewItem, Result, ResultEvent, State } from '../api/types';
import {
  SLOTS_MAX, applyCompact, applyResult, arrange, countStates, groupNames, latencyNow, matches, overallState, resultRate, summarise,
  titleOf, withSlot,
} from './overview';

function item(id: string, change: Partial<OverviewItem> = {}): OverviewItem {
  return {
    id, name: id, group: null, tags: [], kind: 'http', target: `https://${id}.example.org`, state: 'up',
    since: '2026-11-20T00:00:00.000Z', active: true, interval_s: 30, reason: null, failing: null,
    latency_us: 43_000, uptime_24h: 1, recent: [], ...change,
  };
}

function event(change: Partial<ResultEvent>, result: Partial<Result> = {}): ResultEvent {
  return {
    monitor: 'a', state: 'up', since: '2026-11-20T00:00:00.000Z', reason: null, failing: null,
    result: {
      at: '2026-11-20T00:01:00.100Z', scheduled_at: '2026-11-20T00:01:00.000Z', verdict: 'pass', region: 'local', late: false,
      reason: null, failing: null, missed: null, http: null, tls: null, address: null, icmp: null,
      timings_us: { dns: null, connect: null, tls: null, ttfb: null, transfer: null, total: 12_000 }, ...result,
    },
    ...change,
  };
}

const refused = { code: 'refused', stage: 'connect', text: 'Connection refused' };
const all = { query: '', states: [], group: null };

test('a failing result changes state, cause, latency and bar', () => {
  const after = applyResult(item('a'), event({ state: 'down', since: '2026-11-20T00:01:00.000Z', reason: refused }, { verdict: 'fail', reason: refused }));
  expect(after).toMatchObject({ state: 'down', since: '2026-11-20T00:01:00.000Z', reason: refused, latency_us: null });
  expect(after.recent).toEqual([[Date.UTC(2026, 10, 20, 0, 1), 'f', 12_000, 'refused']]);
});

test('a refused connection has no latency, whatever the server measured', () => {
  const failed: OverviewItem['recent'] = [[1, 'p', 43_000, null], [2, 'f', 140, 'refused']];
  expect(latencyNow(item('a', { recent: failed, latency_us: 140 }))).toBeNull();
  expect(latencyNow(item('a', { state: 'down', latency_us: 140 }))).toBeNull();
  expect(latencyNow(item('a', { state: 'down', recent: [[1, 'p', 900, null]], latency_us: 900 }))).toBeNull();
  expect(latencyNow(item('a', { recent: failed.slice(0, 1) }))).toBe(43_000);
});

test('a replayed result changes nothing', () => {
  const once = applyResult(item('a'), event({}));
  expect(applyResult(once, event({}))).toEqual(once);
});

test('a late result takes its place in time and does not change the latency now', () => {
  const newer = applyResult(item('a'), event({}));
  const after = applyResult(newer, event({}, { scheduled_at: '2026-11-20T00:00:30.000Z', timings_us: { ...event({}).result.timings_us, total: 99_000 } }));
  expect(after.recent.map((slot) => slot[2])).toEqual([99_000, 12_000]);
  expect(after.latency_us).toBe(12_000);
});

test('a bar keeps the newest results only', () => {
  let recent: OverviewItem['recent'] = [];
  for (let i = 0; i < SLOTS_MAX + 5; i++) recent = withSlot(recent, [i, 'p', 1, null]);
  expect(recent).toHaveLength(SLOTS_MAX);
  expect(recent[0]?.[0]).toBe(5);
  expect(recent.at(-1)?.[0]).toBe(SLOTS_MAX + 4);
});

test('the compact view keeps the words of a cause it already knows', () => {
  const down = item('a', { state: 'down', reason: refused });
  const since = Date.UTC(2026, 10, 20, 0, 1);
  expect(applyCompact(down, ['a', since, 'f', null, 'refused', 'down', since]).reason).toEqual(refused);
  expect(applyCompact(down, ['a', since, 'f', null, 'timeout', 'down', since]).reason).toEqual({ code: 'timeout', stage: null, text: '' });
  const up = applyCompact(down, ['a', since, 'p', 900, null, 'up', since]);
  expect(up).toMatchObject({ reason: null, latency_us: 900, state: 'up', since: '2026-11-20T00:01:00.000Z' });
});

test('what is down comes first, newest first, then degraded, then groups in file order', () => {
  const items = [
    item('z', { group: 'Zoo' }), item('a', { group: 'Animals' }), item('none'), item('z2', { group: 'Zoo', state: 'paused' }),
    item('slow', { group: 'Zoo', state: 'degraded' }),
    item('old', { state: 'down', since: '2026-11-19T00:00:00.000Z' }), item('new', { state: 'down', since: '2026-11-20T01:00:00.000Z' }),
  ];
  expect(arrange(items, all).map(({ title, ids }) => [title, ids])).toEqual([
    ['Down', ['new', 'old']], ['Degraded', ['slow']], ['Zoo', ['z', 'z2']], ['Animals', ['a']], ['Without a group', ['none']],
  ]);
});

test('a list without groups has no heading, unless something is down above it', () => {
  expect(arrange([item('a'), item('b')], all).map((section) => section.title)).toEqual([null]);
  expect(arrange([item('a'), item('b', { state: 'down' })], all).map((section) => section.title)).toEqual(['Down', 'Others']);
});

test.each([
  ['', true], ['pl', true], ['PLEX example', true], ['media home', true], ['plex absent', false], ['рентген', false],
])('the search %j finds Plex: %s', (query, found) => {
  const plex = item('plex', { name: 'Plex', group: 'Media', tags: ['home'] });
  expect(matches(plex, { ...all, query })).toBe(found);
});

test('the search ignores case in every script', () => {
  expect(matches(item('x', { name: 'РЕНТГЕН Straße' }), { ...all, query: 'рентген straße' })).toBe(true);
});

test('states and groups filter', () => {
  expect(matches(item('a', { state: 'down' }), { ...all, states: ['up'] })).toBe(false);
  expect(matches(item('a', { group: 'M' }), { ...all, group: 'M', states: ['up', 'down'] })).toBe(true);
  expect(groupNames([item('a', { group: 'B' }), item('b'), item('c', { group: 'A' }), item('d', { group: 'B' })])).toEqual(['B', 'A']);
});

function counts(change: Partial<Record<State, number>>): ReturnType<typeof countStates> {
  return { ...countStates([]), ...change };
}

test.each<[Partial<Record<State, number>>, string, State]>([
  [{}, 'Nothing is watched yet', 'unknown'],
  [{ up: 1 }, '1 monitor, up', 'up'],
  [{ up: 12 }, 'All 12 up', 'up'],
  [{ up: 11, down: 1 }, '1 of 12 down', 'down'],
  [{ up: 9, down: 1, degraded: 2 }, '1 of 12 down, 2 degraded', 'down'],
  [{ up: 10, degraded: 2 }, '2 of 12 degraded', 'degraded'],
  [{ up: 10, unknown: 1, paused: 1 }, '10 of 12 up, 1 unknown, 1 paused', 'up'],
  [{ unknown: 3 }, '3 of 3 unknown', 'unknown'],
  [{ paused: 2 }, '2 of 2 paused', 'paused'],
])('%o reads %j', (change, sentence, state) => {
  expect(summarise(counts(change))).toBe(sentence);
  expect(overallState(counts(change))).toBe(state);
});

test('the tab says how many are down', () => {
  expect(titleOf(counts({ down: 2, up: 1 }), null)).toBe('(2) Watchpost');
  expect(titleOf(counts({ up: 1 }), 'Plex')).toBe('Plex · Watchpost');
});

test('the rate of results decides about the compact view; paused ones do not count', () => {
  expect(resultRate([item('a', { interval_s: 0.5 }), item('b', { interval_s: 10 }), item('c', { active: false, interval_s: 1 }), item('d', { interval_s: null })])).toBeCloseTo(2.1);
});
