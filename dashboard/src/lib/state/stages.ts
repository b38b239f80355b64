/** The stages of a check as shares of its total. Pure. */
import type { Timings } from '../api/types';

export type StageKey = 'dns' | 'connect' | 'tls' | 'ttfb' | 'transfer';

export const STAGES: readonly { key: StageKey | 'rest'; name: string }[] = [
  { key: 'dns', name: 'DNS' },
  { key: 'connect', name: 'Connect' },
  { key: 'tls', name: 'TLS' },
  { key: 'ttfb', name: 'First byte' },
  { key: 'transfer', name: 'Transfer' },
  { key: 'rest', name: 'Not finished' },
];

/** Waiting that no finished stage explains, such as a handshake that timed out; less than this is rounding. */
const REST_MIN_US = 1_000;
const REST_MIN_SHARE = 0.02;

export interface StageShare {
  key: StageKey | 'rest';
  name: string;
  us: number;
}

export function stageShares(timings: Timings): StageShare[] {
  const shares: StageShare[] = [];
  let known = 0;
  for (const { key, name } of STAGES) {
    const us = key === 'rest' ? null : timings[key];
    if (us === null || us <= 0) continue;
    shares.push({ key, name, us });
    known += us;
  }
  const rest = (timings.total ?? 0) - known;
  const counts = rest >= REST_MIN_US && rest >= (timings.total ?? 0) * REST_MIN_SHARE;
  // A check without stages, such as a ping, is one piece and needs no name for it.
  if (counts && shares.length > 0) shares.push({ key: 'rest', name: 'Not finished', us: rest });
  return shares;
}
