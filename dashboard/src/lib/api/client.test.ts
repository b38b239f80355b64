import { expect, test } from 'vitest';
import { problemWords } from './client';

test.each([
  [409, { detail: 'say `active: false` in watchpost.yml:12', title: 'Conflict' }, 'say `active: false` in watchpost.yml:12'],
  [501, { title: 'not supported yet' }, 'not supported yet'],
  [404, null, 'There is no such thing here.'],
  [502, 'a page of a proxy', 'The server answered with an error (502).'],
  [418, {}, 'The server refused the request (418).'],
])('an answer of %d is told in words', (status, body, words) => {
  expect(problemWords(status, body)).toBe(words);
});
