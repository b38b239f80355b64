import { expect, test } from 'vitest';
import { NOTHING, latency, percent, plural, roundUp, whole } from './number';

test.each([
  [null, NOTHING], [0, '0.00 ms'], [340, '0.34 ms'], [4_200, '4.2 ms'], [9_940, '9.9 ms'], [9_960, '10 ms'],
  [43_210, '43 ms'], [999_400, '999 ms'], [999_600, '1.00 s'], [5_015_100, '5.02 s'],
])('%s us is %s', (us, words) => {
  expect(latency(us)).toBe(words);
});

test.each([
  [null, NOTHING], [1, '100 %'], [0.99999, '99.99 %'], [0.9991, '99.91 %'], [0.5, '50.00 %'], [0, '0.00 %'],
])('a fraction of %s is %s and never rounds up to all', (fraction, words) => {
  expect(percent(fraction).replace('\u202F', ' ')).toBe(words);
});

test('thousands are grouped and nouns agree', () => {
  expect(whole(1_234_567)).toBe('1\u202F234\u202F567');
  expect(plural(1, 'new result')).toBe('1 new result');
  expect(plural(2, 'new result')).toBe('2 new results');
});

test.each([[0, 1], [1, 1], [1.2, 2], [49, 50], [51, 100], [812, 1000]])('the axis above %d ends at %d', (value, top) => {
  expect(roundUp(value)).toBe(top);
});
