/** Words for states, verdicts and reason codes. */
import type { Failing, Reason, State, Verdict, VerdictLetter } from '../api/types';
import { span } from './time';

/** In the order in which they matter. */
export const STATES: readonly State[] = ['down', 'degraded', 'up', 'unknown', 'maintenance', 'paused'];

export const STATE_WORDS: Record<State, string> = {
  up: 'Up',
  degraded: 'Degraded',
  down: 'Down',
  unknown: 'Unknown',
  paused: 'Paused',
  maintenance: 'Maintenance',
};

export const VERDICTS: readonly Verdict[] = ['pass', 'degraded', 'fail', 'inconclusive'];

export const VERDICT_WORDS: Record<Verdict, string> = {
  pass: 'Pass',
  degraded: 'Degraded',
  fail: 'Fail',
  inconclusive: 'Inconclusive',
};

const LETTERS: Record<VerdictLetter, Verdict> = { p: 'pass', d: 'degraded', f: 'fail', i: 'inconclusive' };
const TO_LETTER: Record<Verdict, VerdictLetter> = { pass: 'p', degraded: 'd', fail: 'f', inconclusive: 'i' };
const VERDICT_STATES: Record<Verdict, State> = {
  pass: 'up', degraded: 'degraded', fail: 'down', inconclusive: 'unknown',
};

export const verdictOf = (letter: VerdictLetter): Verdict => LETTERS[letter];
export const letterOf = (verdict: Verdict): VerdictLetter => TO_LETTER[verdict];
/** The mark that stands for a verdict. */
export const stateOfVerdict = (verdict: Verdict): State => VERDICT_STATES[verdict];

const CODE_WORDS: Record<string, string> = {
  refused: 'Connection refused',
  timeout: 'Timed out',
  reset: 'Connection reset',
  closed: 'Connection closed early',
  unreachable: 'Host unreachable',
  dns_not_found: 'Name not found',
  dns_failure: 'Name lookup failed',
  tls_expired: 'Certificate expired',
  tls_not_yet_valid: 'Certificate not yet valid',
  tls_unknown_issuer: 'Certificate issuer unknown',
  tls_wrong_host: 'Certificate is for another host',
  tls_handshake: 'TLS handshake failed',
  status: 'Unexpected HTTP status',
  redirect_loop: 'Redirect loop',
  redirect_invalid: 'Invalid redirect',
  body: 'Body is not as expected',
  header: 'Header is not as expected',
  json: 'JSON is not as expected',
  latency: 'Slow',
  too_large: 'Body too large',
  protocol: 'Protocol error',
  address_denied: 'Address not allowed',
  no_response: 'No response',
  loss: 'Packet loss',
  stale: 'Stale',
  job_error: 'Job reported an error',
  job_format: 'Job report not understood',
  heartbeat_missed: 'Heartbeat missed',
  heartbeat_failed: 'Heartbeat reported a failure',
  not_refreshed: 'Not refreshed in time',
  no_permission: 'Watchpost lacks a permission',
  out_of_files: 'Watchpost ran out of open files',
  own_uplink: 'Our own uplink is down',
  missed_tick: 'Not checked',
  overloaded: 'Watchpost was overloaded',
  internal: 'Watchpost had an internal fault',
};

/** Words for a reason code; an unknown one is shown as it is. */
export function codeWords(code: string): string {
  return CODE_WORDS[code] ?? code.replaceAll('_', ' ');
}

/** The reason's own text, or words for its code. */
export function reasonWords(reason: Reason | null): string | null {
  if (reason === null) return null;
  return reason.text === '' ? codeWords(reason.code) : reason.text;
}

/** What stands in a row's cause column: a bold head and the reason after it. */
export interface Cause {
  head: string;
  text: string | null;
}

export interface CauseInput {
  state: State;
  since: string | null;
  reason: Reason | null;
  failing: Failing | null;
}

/** `Down for 4 min` + `TLS handshake timed out after 5 s`; null where there is nothing to say. */
export function causeOf(item: CauseInput, now: number): Cause | null {
  const text = reasonWords(item.reason);
  const lasting = item.since === null ? '' : ` for ${span(now - Date.parse(item.since))}`;
  switch (item.state) {
    case 'down':
    case 'degraded':
      return { head: `${STATE_WORDS[item.state]}${lasting}`, text };
    case 'paused':
    case 'maintenance':
      return { head: `${STATE_WORDS[item.state]}${lasting}`, text: null };
    case 'unknown':
      return { head: text === null ? 'No result yet' : `Unknown${lasting}`, text };
    case 'up':
      if (item.failing !== null) return { head: `Failing ${item.failing.count} of ${item.failing.of}`, text };
      return null;
  }
}

const CLOSED_WORDS: Record<string, string> = {
  recovered: 'Recovered',
  paused: 'Paused',
  removed: 'Monitor removed',
  changed: 'Monitor changed',
};

export const closedWords = (by: string | null): string => (by === null ? 'Closed' : (CLOSED_WORDS[by] ?? by));
