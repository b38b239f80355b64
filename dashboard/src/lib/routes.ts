/** Paths and query strings as data. Everything that a page shows is in its address. */
import type { State } from './api/types';
import { STATES } from './format/words';

export type Route =
  | { page: 'overview' }
  | { page: 'monitor'; id: string }
  | { page: 'results' }
  | { page: 'incidents' }
  | { page: 'settings' }
  | { page: 'missing' };

/** Reads a path below `base` (which ends in a slash). Ids may hold slashes and any script. */
export function parsePath(pathname: string, base: string): Route {
  if (!pathname.startsWith(base)) return pathname === base.slice(0, -1) ? { page: 'overview' } : { page: 'missing' };
  const rest = pathname.slice(base.length);
  switch (rest.replace(/\/$/, '')) {
    case '':
      return { page: 'overview' };
    case 'results':
      return { page: 'results' };
    case 'incidents':
      return { page: 'incidents' };
    case 'settings':
      return { page: 'settings' };
  }
  if (rest.startsWith('monitors/')) {
    const id = decode(rest.slice('monitors/'.length));
    if (id !== null && id !== '') return { page: 'monitor', id };
  }
  return { page: 'missing' };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

export const monitorHref = (id: string): string => `monitors/${encodeURIComponent(id)}`;

/** What the overview shows. */
export interface Filters {
  /** Words that must all occur in name, target, id, group or tags. */
  query: string;
  states: State[];
  group: string | null;
  view: 'list' | 'cards';
  kiosk: boolean;
}

export function readFilters(params: URLSearchParams): Filters {
  const wanted = (params.get('state') ?? '').split(',');
  return {
    query: params.get('q') ?? '',
    states: STATES.filter((state) => wanted.includes(state)),
    group: params.get('group'),
    view: params.get('view') === 'cards' ? 'cards' : 'list',
    kiosk: params.has('kiosk') && params.get('kiosk') !== '0',
  };
}

/** Changes some keys of a query string; empty values are left out, others stay as they are. */
export function changeQuery(search: string, changes: Record<string, string | null>): string {
  const params = new URLSearchParams(search);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === '') params.delete(key);
    else params.set(key, value);
  }
  // `?kiosk` stays as short as it was typed, and a list of states keeps its commas.
  const text = params.toString().replaceAll('%2C', ',').replace(/=(?=&|$)/g, '');
  return text === '' ? '' : `?${text}`;
}
