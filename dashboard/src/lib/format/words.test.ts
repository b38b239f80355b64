import { expect, test } from 'vitest';
import { causeOf, codeWords, reasonWords, type CauseInput } from './words';

const now = Date.UTC(2026, 10, 20, 2, 21, 11);
const base: CauseInput = { state: 'up', since: '2026-11-20T02:17:11.000Z', reason: null, failing: null };
const timeout = { code: 'timeout', stage: 'tls', text: 'TLS handshake timed out after 5 s' };

test('down says since when and why', () => {
  expect(causeOf({ ...base, state: 'down', reason: timeout }, now)).toEqual({ head: 'Down for 4 min', text: timeout.text });
});

test('failing before it counts says how often', () => {
  expect(causeOf({ ...base, failing: { count: 1, of: 3 }, reason: timeout }, now)).toEqual({ head: 'Failing 1 of 3', text: timeout.text });
});

test('up has nothing to say; unknown without a reason has no result yet', () => {
  expect(causeOf(base, now)).toBeNull();
  expect(causeOf({ ...base, state: 'unknown' }, now)).toEqual({ head: 'No result yet', text: null });
  expect(causeOf({ ...base, state: 'unknown', reason: timeout }, now)?.head).toBe('Unknown for 4 min');
});

test('a pause does not show the old reason', () => {
  expect(causeOf({ ...base, state: 'paused', reason: timeout }, now)).toEqual({ head: 'Paused for 4 min', text: null });
});

test('a code without text has words, a new code is shown as it is', () => {
  expect(reasonWords({ code: 'refused', stage: null, text: '' })).toBe('Connection refused');
  expect(codeWords('moon_phase')).toBe('moon phase');
});
