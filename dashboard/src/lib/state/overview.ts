/** What the overview knows and how live results change it. Pure functions on plain data. */
import type {
  CompactResult, Counts, OverviewItem, ResultEvent, Slot, State, Verdict,
} from '../api/types';
import { whole } from '../format/number';
import { letterOf } from '../format/words';
import type { Filters } from '../routes';

/** Slots kept for each monitor; the widest bar shows as many. */
export const SLOTS_MAX = 40;

/** Puts a slot in its place by time. One with the same time is replaced: a replay changes nothing. */
export function withSlot(recent: readonly Slot[], slot: Slot): Slot[] {
  const slots = recent.slice();
  let at = slots.length;
  while (at > 0 && (slots[at - 1] as Slot)[0] > slot[0]) at -= 1;
  const before = slots[at - 1];
  if (before && before[0] === slot[0]) slots[at - 1] = slot;
  else slots.splice(at, 0, slot);
  return slots.length > SLOTS_MAX ? slots.slice(slots.length - SLOTS_MAX) : slots;
}

const isNewest = (item: OverviewItem, at_ms: number): boolean => {
  const last = item.recent.at(-1);
  return last === undefined || last[0] <= at_ms;
};

/** Only a check that got an answer says how fast the target is now. */
function latencyAfter(item: OverviewItem, at_ms: number, verdict: Verdict, total_us: number | null): number | null {
  if (!isNewest(item, at_ms)) return item.latency_us;
  return verdict === 'pass' || verdict === 'degraded' ? total_us : null;
}

/** The latency to show: none while it is down, and none from a check that got no answer. */
export function latencyNow(item: Pick<OverviewItem, 'state' | 'recent' | 'latency_us'>): number | null {
  const newest = item.recent.at(-1);
  const unanswered = newest !== undefined && (newest[1] === 'f' || newest[1] === 'i');
  return item.state === 'down' || unanswered ? null : item.latency_us;
}

export function applyResult(item: OverviewItem, event: ResultEvent): OverviewItem {
  const { result } = event;
  const at_ms = Date.parse(result.scheduled_at);
  const total_us = result.timings_us.total;
  return {
    ...item,
    state: event.state,
    since: event.since,
    reason: event.reason,
    failing: event.failing,
    latency_us: latencyAfter(item, at_ms, result.verdict, total_us),
    recent: withSlot(item.recent, [at_ms, letterOf(result.verdict), total_us, result.reason?.code ?? null]),
  };
}

const LETTER_VERDICTS = { p: 'pass', d: 'degraded', f: 'fail', i: 'inconclusive' } as const;

/** A compact result carries only the reason's code; its text is kept if the code is still the same. */
export function applyCompact(item: OverviewItem, result: CompactResult): OverviewItem {
  const [, at_ms, verdict, total_us, code, state, since_ms] = result;
  const same = code !== null && item.reason?.code === code;
  const reason = code === null ? null : same ? item.reason : { code, stage: null, text: '' };
  return {
    ...item,
    state,
    since: since_ms === null ? null : new Date(since_ms).toISOString(),
    reason,
    failing: code === null || state !== 'up' ? null : item.failing,
    latency_us: latencyAfter(item, at_ms, LETTER_VERDICTS[verdict], total_us),
    recent: withSlot(item.recent, [at_ms, verdict, total_us, code]),
  };
}

export function countStates(items: Iterable<{ state: State }>): Counts {
  const counts: Counts = { up: 0, degraded: 0, down: 0, unknown: 0, paused: 0, maintenance: 0 };
  for (const item of items) counts[item.state] += 1;
  return counts;
}

export const totalOf = (counts: Counts): number => Object.values(counts).reduce((sum, n) => sum + n, 0);

/** The state of everything at once, for the favicon and the mark beside the headline. */
export function overallState(counts: Counts): State {
  if (counts.down > 0) return 'down';
  if (counts.degraded > 0) return 'degraded';
  if (counts.up > 0) return 'up';
  if (counts.unknown > 0 || totalOf(counts) === 0) return 'unknown';
  return counts.maintenance > 0 ? 'maintenance' : 'paused';
}

/** One sentence: `1 of 12 down, 2 degraded`, `All 12 up`. */
export function summarise(counts: Counts): string {
  const total = totalOf(counts);
  if (total === 0) return 'Nothing is watched yet';
  const parts: string[] = [];
  const add = (state: State, word: string): void => {
    const n = counts[state];
    if (n > 0) parts.push(parts.length === 0 ? `${whole(n)} of ${whole(total)} ${word}` : `${whole(n)} ${word}`);
  };
  add('down', 'down');
  add('degraded', 'degraded');
  if (parts.length > 0) return parts.join(', ');
  if (counts.up === total) return total === 1 ? '1 monitor, up' : `All ${whole(total)} up`;
  add('up', 'up');
  add('unknown', 'unknown');
  add('maintenance', 'in maintenance');
  add('paused', 'paused');
  return parts.join(', ');
}

/** The page's title: what is down stands in the tab. */
export function titleOf(counts: Counts, page: string | null): string {
  const head = counts.down > 0 ? `(${counts.down}) ` : '';
  return `${head}${page === null ? '' : `${page} · `}Watchpost`;
}

export interface Section {
  key: string;
  /** null: a list without groups needs no heading. */
  title: string | null;
  ids: string[];
}

export function matches(item: OverviewItem, filters: Pick<Filters, 'query' | 'states' | 'group'>): boolean {
  if (filters.states.length > 0 && !filters.states.includes(item.state)) return false;
  if (filters.group !== null && (item.group ?? '') !== filters.group) return false;
  if (filters.query.trim() === '') return true;
  const text = [item.name, item.target, item.id, item.group ?? '', ...item.tags].join('\n').toLocaleLowerCase();
  return filters.query.toLocaleLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** Newest first: what has just broken is what one looks for. */
function bySince(a: OverviewItem, b: OverviewItem): number {
  return (b.since === null ? 0 : Date.parse(b.since)) - (a.since === null ? 0 : Date.parse(a.since));
}

/** What is down, then degraded, then the rest by group; groups and their monitors in file order. */
export function arrange(items: readonly OverviewItem[], filters: Pick<Filters, 'query' | 'states' | 'group'>): Section[] {
  const shown = items.filter((item) => matches(item, filters));
  const down = shown.filter((item) => item.state === 'down').sort(bySince);
  const degraded = shown.filter((item) => item.state === 'degraded').sort(bySince);
  const groups = new Map<string, OverviewItem[]>();
  for (const item of shown) {
    if (item.state === 'down' || item.state === 'degraded') continue;
    const name = item.group ?? '';
    const members = groups.get(name);
    if (members) members.push(item);
    else groups.set(name, [item]);
  }
  const sections: Section[] = [];
  const add = (key: string, title: string | null, members: OverviewItem[]): void => {
    if (members.length > 0) sections.push({ key, title, ids: members.map((item) => item.id) });
  };
  add('state:down', 'Down', down);
  add('state:degraded', 'Degraded', degraded);
  const alone = sections.length === 0 && groups.size === 1;
  for (const [name, members] of groups) {
    add(`group:${name}`, name !== '' ? name : alone ? null : groups.size === 1 ? 'Others' : 'Without a group', members);
  }
  return sections;
}

/** All group names in file order. */
export function groupNames(items: readonly OverviewItem[]): string[] {
  const names = new Set<string>();
  for (const item of items) if (item.group !== null) names.add(item.group);
  return [...names];
}

/** Results a second if every monitor runs on its schedule; decides which view of the stream is asked for. */
export function resultRate(items: readonly OverviewItem[]): number {
  let rate = 0;
  for (const item of items) if (item.active && item.interval_s !== null && item.interval_s > 0) rate += 1 / item.interval_s;
  return rate;
}
