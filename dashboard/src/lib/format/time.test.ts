import { expect, test } from 'vitest';
import { axisTime, every, exact, relative, span } from './time';

const S = 1_000, MIN = 60 * S, H = 60 * MIN, D = 24 * H;

test.each([
  [0, '0 s'], [-5 * S, '0 s'], [999, '0 s'], [12 * S, '12 s'], [59_999, '59 s'],
  [MIN, '1 min'], [4 * MIN + 59 * S, '4 min'], [H, '1 h'], [3 * H + 20 * MIN, '3 h 20 min'],
  [D - 1, '23 h 59 min'], [D, '1 d'], [2 * D + 4 * H, '2 d 4 h'], [45 * D + 7 * H, '45 d'],
])('%d ms is %s', (ms, words) => {
  expect(span(ms)).toBe(words);
});

test('a time is told against now, in both directions', () => {
  const now = Date.UTC(2026, 10, 20, 2, 17, 11);
  expect(relative(now - 999, now)).toBe('now');
  expect(relative(now + 2_500, now)).toBe('now');
  expect(relative(now - 1_000, now)).toBe('1 s ago');
  expect(relative(now - 2_000, now)).toBe('2 s ago');
  expect(relative(now - 12 * S, now)).toBe('12 s ago');
  expect(relative(now + 3 * D, now)).toBe('in 3 d');
});

test('the exact time is in the zone of the viewer, with seconds', () => {
  const at = Date.UTC(2026, 10, 20, 2, 17, 11);
  const riga = exact(at, { locale: 'en-GB', zone: 'Europe/Riga' });
  expect(riga).toContain('20 Nov 2026');
  expect(riga).toContain('04:17:11');
  expect(exact(at, { locale: 'en-US', zone: 'America/New_York' })).toMatch(/Nov 19, 2026.*09:17:11\sPM/);
});

test('a time on an axis is as fine as the axis is short', () => {
  const at = Date.UTC(2026, 10, 20, 2, 17, 11);
  const place = { locale: 'en-GB', zone: 'Europe/Riga' };
  expect(axisTime(at, 5 * MIN, place)).toBe('04:17:11');
  expect(axisTime(at, 2 * H, place)).toBe('04:17');
  expect(axisTime(at, 3 * D, place)).toMatch(/^20 Nov, 04:17$/);
});

test.each([
  [30, 'every 30 s'], [1.5, 'every 1.5 s'], [0.2, 'every 200 ms'], [60, 'every 1 min'],
  [90, 'every 1 min 30 s'], [86_400, 'every 1 d'], [null, null],
])('an interval of %s s is %s', (interval, words) => {
  expect(every(interval)).toBe(words);
});
