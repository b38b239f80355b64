import { expect, test } from 'vitest';
import { toYaml } from './yaml';

test('a monitor document reads as one would write it', () => {
  const document = {
    id: 'plex', name: 'Plex: main', http: { url: 'https://plex.example.org', headers: {}, body: null },
    interval: '30s', tags: ['home', 'a, b'], active: true, alert: [],
    expect: { json: [{ path: '$.db.state', equals: 'up' }] },
  };
  expect(toYaml(document)).toBe(
    `id: plex
name: 'Plex: main'
http:
  url: https://plex.example.org
  headers: {}
  body: null
interval: 30s
tags: [home, 'a, b']
active: true
alert: []
expect:
  json:
    - path: $.db.state
      equals: up`,
  );
});

test.each([
  ['443', `'443'`], ['off', `'off'`], ['1.10', `'1.10'`], ['', `''`], ['***', `'***'`], ["it's", "it's"],
  ['- x', `'- x'`], ['a # b', `'a # b'`], ['two\nlines', '"two\\nlines"'], ['2 of 3', `'2 of 3'`],
])('text %j stays text', (value, written) => {
  expect(toYaml({ k: value })).toBe(`k: ${written}`);
});
