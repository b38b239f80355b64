import { expect, test } from 'vitest';
import { changeQuery, monitorHref, parsePath, readFilters } from './routes';

test.each([
  ['/', '/', { page: 'overview' }],
  ['/results', '/', { page: 'results' }],
  ['/incidents/', '/', { page: 'incidents' }],
  ['/settings', '/', { page: 'settings' }],
  ['/sub/path', '/sub/path/', { page: 'overview' }],
  ['/sub/path/results', '/sub/path/', { page: 'results' }],
  ['/monitors/plex', '/', { page: 'monitor', id: 'plex' }],
  ['/monitors/a%2Fb%20%C3%B6', '/', { page: 'monitor', id: 'a/b ö' }],
  ['/monitors/a/b', '/', { page: 'monitor', id: 'a/b' }],
  ['/monitors/', '/', { page: 'missing' }],
  ['/monitors/%E0%A4%A', '/', { page: 'missing' }],
  ['/elsewhere', '/', { page: 'missing' }],
  ['/other/results', '/sub/', { page: 'missing' }],
])('%s below %s', (path, base, route) => {
  expect(parsePath(path, base)).toEqual(route);
});

test.each(['plex', 'a/b', 'röntgen 2', '100%', 'a?b#c', '日本', '443'])('the address of %j leads back to it', (id) => {
  expect(parsePath(`/${monitorHref(id)}`, '/')).toEqual({ page: 'monitor', id });
});

test('filters come from the address, unknown states are ignored', () => {
  expect(readFilters(new URLSearchParams('q=db+eu&state=down,nonsense,degraded&group=M%26M&view=cards&kiosk'))).toEqual({
    query: 'db eu', states: ['down', 'degraded'], group: 'M&M', view: 'cards', kiosk: true,
  });
  expect(readFilters(new URLSearchParams(''))).toEqual({ query: '', states: [], group: null, view: 'list', kiosk: false });
});

test('changing a filter keeps the others and drops what is empty', () => {
  expect(changeQuery('?q=a&kiosk', { state: 'down,up' })).toBe('?q=a&kiosk&state=down,up');
  expect(changeQuery('?q=a&state=down', { q: '' })).toBe('?state=down');
  expect(changeQuery('?q=a', { q: null })).toBe('');
});
