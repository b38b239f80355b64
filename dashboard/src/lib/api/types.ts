/** The server's shapes, version 1. Times are RFC 3339 in UTC unless a name ends in `_ms` or `_us`. */

export type State = 'up' | 'degraded' | 'down' | 'unknown' | 'paused' | 'maintenance';
export type Verdict = 'pass' | 'degraded' | 'fail' | 'inconclusive';
export type VerdictLetter = 'p' | 'd' | 'f' | 'i';

/** Why a check did not pass. `code` is stable, `text` is for people. */
export interface Reason {
  code: string;
  stage: string | null;
  text: string;
}

/** Failing ticks so far, before they are enough to change the state. */
export interface Failing {
  count: number;
  of: number;
}

/** One past result: when it was due (ms), verdict, total time (us), reason code. */
export type Slot = [at_ms: number, verdict: VerdictLetter, total_us: number | null, code: string | null];

export interface OverviewItem {
  id: string;
  name: string;
  group: string | null;
  tags: string[];
  kind: string;
  target: string;
  state: State;
  since: string | null;
  active: boolean;
  interval_s: number | null;
  reason: Reason | null;
  failing: Failing | null;
  latency_us: number | null;
  uptime_24h: number | null;
  recent: Slot[];
}

export type Counts = Record<State, number>;

export interface Overview {
  at: string;
  cursor: string;
  counts: Counts;
  items: OverviewItem[];
}

export interface Timings {
  dns: number | null;
  connect: number | null;
  tls: number | null;
  ttfb: number | null;
  transfer: number | null;
  total: number | null;
}

export interface Result {
  monitor?: string;
  at: string;
  scheduled_at: string;
  verdict: Verdict;
  region: string;
  late: boolean;
  reason: Reason | null;
  failing: Failing | null;
  missed: number | null;
  timings_us: Timings;
  http: { status: number | null; url: string } | null;
  tls: { not_after: string | null; verified: boolean } | null;
  address: string | null;
  icmp: { sent: number; received: number; rtt_avg_us: number | null; jitter_us: number | null } | null;
}

export interface Uptime {
  '24h': number | null;
  '7d': number | null;
  '30d': number | null;
  '90d': number | null;
}

/** Where a monitor of a file is written. */
export interface FilePlace {
  path: string;
  line: number;
}

export interface Monitor {
  id: string;
  name: string;
  group: string | null;
  tags: string[];
  kind: string;
  target: string;
  /** `file`: locked, to be changed where `file` says. */
  source: string;
  file: FilePlace | null;
  active: boolean;
  ping_url: string | null;
  interval_s: number | null;
  state: State;
  since: string | null;
  reason: Reason | null;
  failing: Failing | null;
  last_result: Result | null;
  uptime: Uptime;
}

export interface Incident {
  id: string | number;
  monitor: string;
  opened_at: string;
  since: string;
  closed_at: string | null;
  reason: Reason | null;
  duration_ms: number;
  closed_by: 'recovered' | 'paused' | 'removed' | 'changed' | null;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface CheckAnswer {
  monitor: { id: string; name: string; kind: string };
  state: State;
  result: Result;
}

export interface Status {
  version: string;
  at: string;
  started_at: string;
  uptime_s: number;
  accounts: boolean;
  listen: string[];
  loopback_only: boolean;
  config: {
    source: string | null;
    loaded_at: string | null;
    generation: number;
    error: { at: string; text: string } | null;
  };
  engine: {
    monitors: number;
    active: number;
    in_flight: number;
    waiting: number;
    results_queued: number;
    commit_lag_ms: number | null;
    lateness_p99_ms: number | null;
    checks_total: number;
    results_dropped_total: number;
    store: string;
  };
}

/** Stream: `event: hello`. `resumed: false` means that something was missed. */
export interface HelloEvent {
  at: string;
  cursor: string;
  resumed: boolean;
}

/** Stream: `event: result`. */
export interface ResultEvent {
  monitor: string;
  state: State;
  since: string | null;
  reason: Reason | null;
  failing: Failing | null;
  result: Result;
}

/** Stream: one entry of `event: results` in the compact view. */
export type CompactResult = [
  id: string,
  at_ms: number,
  verdict: VerdictLetter,
  total_us: number | null,
  code: string | null,
  state: State,
  since_ms: number | null,
];
