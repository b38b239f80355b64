/** A growing list of results, newest first. Pure. */
import type { Result } from '../api/types';

const keyOf = (result: Result): string => `${result.scheduled_at} ${result.region} ${result.at}`;

/** Joins two lists, newest first, each result once, at most `max` of them. */
export function mergeResults(have: readonly Result[], more: readonly Result[], max: number): Result[] {
  const seen = new Set(have.map(keyOf));
  const fresh = more.filter((result) => {
    const key = keyOf(result);
    return !seen.has(key) && seen.add(key);
  });
  if (fresh.length === 0) return have as Result[];
  const all = [...have, ...fresh];
  // Times are all UTC with milliseconds, so that their text sorts as they do.
  all.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
  return all.slice(0, max);
}
