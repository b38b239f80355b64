import { expect, test } from 'vitest';
import type { Verdict } from '../api/types';
import { labelled, markOf, marksOf, valueOf, type MarkKind } from './chart';

const result = (verdict: Verdict, total: number | null) => ({
  verdict, timings_us: { dns: null, connect: null, tls: null, ttfb: null, transfer: null, total },
});

test('a failure has a mark and no value, whatever time it took', () => {
  expect(valueOf(result('fail', 140))).toBeNull();
  expect(markOf(result('fail', 140))).toBe('fail');
  expect(valueOf(result('inconclusive', null))).toBeNull();
  expect(valueOf(result('degraded', 812_000))).toBe(812_000);
  expect(markOf(result('degraded', 812_000))).toBe('degraded');
  expect(markOf(result('pass', 43_000))).toBeNull();
  expect(markOf(result('pass', null))).toBe('pass');
});

test('every failure is marked where the marks fit', () => {
  const kinds: (MarkKind | null)[] = [null, 'fail', 'fail', 'fail', null];
  expect(marksOf(kinds, 16)).toEqual({ marks: [1, 2, 3].map((index) => ({ index, kind: 'fail' })), runs: [] });
});

test('where they do not fit, a run has its first and its last marked and a line between', () => {
  const kinds: (MarkKind | null)[] = ['fail', 'fail', 'fail', 'degraded', null, 'fail'];
  const { marks, runs } = marksOf(kinds, 6);
  expect(marks.map(({ index, kind }) => `${index} ${kind}`)).toEqual(['0 fail', '2 fail', '3 degraded', '5 fail']);
  expect(runs).toEqual([{ from: 0, to: 2, kind: 'fail' }]);
});

test.each([
  [0, 16, []], [1, 16, [0]], [3, 16, [2]], [9, 16, [0, 8]], [22, 16, [0, 11, 21]], [200, 6, [0, 50, 100, 149, 199]],
])('of %d results %d px apart the times of %j stand on the axis', (count, pitch, indices) => {
  expect(labelled(count, pitch)).toEqual(indices);
});
