import { expect, test } from 'vitest';
import type { Result, Slot } from '../api/types';
import { mergeResults } from './results';
import { barPaths, barWords, slotAt, slotLines } from './slots';
import { stageShares } from './stages';

const slots: Slot[] = [[1_000, 'p', 900, null], [2_000, 'f', null, 'refused'], [3_000, 'p', 800, null]];
const shape = { pitch: 5, gap: 1, height: 20, slots: 5 };

test('a bar is one path for each verdict, the newest at the right, each with its own height', () => {
  expect(barPaths(slots, shape)).toEqual([
    { letter: 'none', d: 'M0 18h4v2h-4zM5 18h4v2h-4z' },
    { letter: 'p', d: 'M10 8h4v12h-4zM20 8h4v12h-4z' },
    { letter: 'f', d: 'M15 0h4v20h-4z' },
  ]);
});

test('the slot under the pointer is the one that is drawn there', () => {
  expect([0, 1, 2, 3, 4].map((i) => slotAt(slots, 5, i)?.[0])).toEqual([undefined, undefined, 1_000, 2_000, 3_000]);
  expect(slotAt(slots, 2, 0)?.[0]).toBe(2_000);
});

test('a slot says verdict, cause and time', () => {
  const lines = slotLines(slots[1] as Slot, 62_000, { locale: 'en-GB', zone: 'UTC' });
  expect(lines.map((line) => line.text)).toEqual(['Fail', 'Connection refused', '1 min ago · 1 Jan 1970, 00:00:02 UTC']);
});

test('a bar in words counts what it shows', () => {
  expect(barWords(slots, 40)).toBe('last 3 results: 2 passed, 1 failed');
  expect(barWords([], 40)).toBe('no results yet');
});

const timings = { dns: 1_000, connect: 2_000, tls: null, ttfb: null, transfer: null, total: 5_003_000 };

test('waiting that ended in a time-out is shown as not finished', () => {
  expect(stageShares(timings).map(({ key, us }) => [key, us])).toEqual([['dns', 1_000], ['connect', 2_000], ['rest', 5_000_000]]);
  expect(stageShares({ ...timings, total: 3_010 }).map(({ key }) => key)).toEqual(['dns', 'connect']);
  expect(stageShares({ ...timings, dns: null, connect: null })).toEqual([]);
});

const result = (at: string): Result => ({ at, scheduled_at: at, region: 'local' }) as Result;

test('results merge newest first, each once, up to a limit', () => {
  const [a, b, c] = [result('2026-01-01T00:00:01.000Z'), result('2026-01-01T00:00:02.000Z'), result('2026-01-01T00:00:03.000Z')];
  const have = [b];
  expect(mergeResults(have, [b], 9)).toBe(have);
  expect(mergeResults(have, [c, a, a], 9)).toEqual([c, b, a]);
  expect(mergeResults(have, [c, a], 2)).toEqual([c, b]);
});
