/** Times and spans in words. Pure: the present, the zone and the locale come in as arguments. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in at most two units: `12 s`, `4 min`, `3 h 20 min`, `2 d 4 h`, `45 d`. */
export function span(ms: number): string {
  const t = Math.max(0, ms);
  if (t < MINUTE) return `${Math.floor(t / SECOND)} s`;
  if (t < HOUR) return `${Math.floor(t / MINUTE)} min`;
  if (t < DAY) return twoUnits([t, HOUR, 'h'], [MINUTE, 'min']);
  if (t < 10 * DAY) return twoUnits([t, DAY, 'd'], [HOUR, 'h']);
  return `${Math.floor(t / DAY)} d`;
}

function twoUnits([t, big, bigName]: [number, number, string], [small, smallName]: [number, string]): string {
  const rest = Math.floor((t % big) / small);
  const head = `${Math.floor(t / big)} ${bigName}`;
  return rest === 0 ? head : `${head} ${rest} ${smallName}`;
}

/** A past or future time against now: `now`, `12 s ago`, `in 3 d`. */
export function relative(at: number, now: number): string {
  const gap = now - at;
  // A fresh result may lie ahead of the page's clock, which ticks once a second and may differ by two.
  if (gap < SECOND && gap > -3 * SECOND) return 'now';
  return gap >= 0 ? `${span(gap)} ago` : `in ${span(-gap)}`;
}

export interface Place {
  locale: string | undefined;
  zone: string | undefined;
}

/** The exact time with seconds and zone, as written where the viewer is. */
export function exact(at: number, place: Place): string {
  return formatter(place).format(at);
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter({ locale, zone }: Place): Intl.DateTimeFormat {
  const key = `${locale ?? ''} ${zone ?? ''}`;
  let found = formatters.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(locale, {
      year: 'numeric', month: 'short', day: 'numeric',
      hour: '2-digit', minute: '2-digit', second: '2-digit',
      timeZoneName: 'short', ...(zone === undefined ? {} : { timeZone: zone }),
    });
    formatters.set(key, found);
  }
  return found;
}

/** A time on an axis that covers `span_ms`: `04:17:11` within minutes, `04:17` within a day, else `20 Nov, 04:17`. */
export function axisTime(at: number, span_ms: number, { locale, zone }: Place): string {
  const parts: Intl.DateTimeFormatOptions =
    span_ms < 10 * MINUTE ? { second: '2-digit' } : span_ms < 20 * HOUR ? {} : { day: 'numeric', month: 'short' };
  return new Intl.DateTimeFormat(locale, {
    hour: '2-digit', minute: '2-digit', ...parts, ...(zone === undefined ? {} : { timeZone: zone }),
  }).format(at);
}

/** A schedule in words: `every 30 s`, `every 5 min`. */
export function every(interval_s: number | null): string | null {
  return interval_s === null ? null : `every ${interval_s < 1 ? `${Math.round(interval_s * 1000)} ms` : exactSpan(interval_s)}`;
}

/** Like `span`, but keeps 90 s as `1 min 30 s` and 1.5 s as `1.5 s`. */
function exactSpan(seconds: number): string {
  const units: [number, string][] = [[86_400, 'd'], [3_600, 'h'], [60, 'min']];
  const parts: string[] = [];
  let rest = seconds;
  for (const [size, name] of units) {
    const n = Math.floor(rest / size);
    if (n > 0) parts.push(`${n} ${name}`);
    rest -= n * size;
  }
  if (rest > 0 || parts.length === 0) parts.push(`${Number(rest.toFixed(2))} s`);
  return parts.join(' ');
}
