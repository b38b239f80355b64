import { expect, test } from 'vitest';
import { pauseAdvice, placeWords } from './lock';

const place = { path: '/etc/watchpost/conf.d/watchpost.yml', line: 12 };

test('the place of a monitor is its file without folders, and the line', () => {
  expect(placeWords(place)).toBe('watchpost.yml:12');
  expect(placeWords({ path: 'watchpost.yml', line: 3 })).toBe('watchpost.yml:3');
});

test('the advice names what to write and where, for pausing and for resuming', () => {
  expect(pauseAdvice(place, true)).toBe('It is paused in its file: write `active: false` at watchpost.yml:12.');
  expect(pauseAdvice(place, false)).toBe('It is resumed in its file: remove `active: false` at watchpost.yml:12.');
});
