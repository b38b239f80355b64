/** Geometry of the chart of results: pure, so that drawing and tests agree. */
import type { Result } from '../api/types';

export type MarkKind = 'fail' | 'degraded' | 'inconclusive' | 'pass';

/** Narrower than this, the marks of a run would cover each other. */
const MARK_PITCH_MIN = 7;
/** Room for one time on the axis, with its distance to the next. */
const LABEL_PX = 120;
const LABELS_MAX = 5;

/** The value to draw; null where there is none: a check that got no answer has no latency. */
export function valueOf({ verdict, timings_us }: Pick<Result, 'verdict' | 'timings_us'>): number | null {
  return verdict === 'pass' || verdict === 'degraded' ? timings_us.total : null;
}

/** What stands on the time axis below a result; null below one that passed with a value. */
export function markOf(result: Pick<Result, 'verdict' | 'timings_us'>): MarkKind | null {
  return result.verdict === 'pass' && valueOf(result) !== null ? null : result.verdict;
}

export interface Mark {
  index: number;
  kind: MarkKind;
}

/** A run whose marks do not fit: a line from the first to the last, which are marked. */
export interface Run {
  from: number;
  to: number;
  kind: MarkKind;
}

/** All marks where they fit, else the first and the last of each run with a line between. */
export function marksOf(kinds: readonly (MarkKind | null)[], pitch: number): { marks: Mark[]; runs: Run[] } {
  const marks: Mark[] = [];
  const runs: Run[] = [];
  const roomy = pitch >= MARK_PITCH_MIN;
  for (let from = 0; from < kinds.length; ) {
    const kind = kinds[from] ?? null;
    let to = from;
    while (to + 1 < kinds.length && kinds[to + 1] === kind) to += 1;
    if (kind !== null) {
      for (let index = from; index <= to; index++) {
        if (roomy || index === from || index === to) marks.push({ index, kind });
      }
      if (!roomy && to > from) runs.push({ from, to, kind });
    }
    from = to + 1;
  }
  return { marks, runs };
}

/** Which results get their time on the axis: the first, the last, and what fits between. */
export function labelled(count: number, pitch: number): number[] {
  if (count === 0) return [];
  const fit = Math.min(LABELS_MAX, count, Math.floor(((count - 1) * pitch) / LABEL_PX) + 1);
  if (fit < 2) return [count - 1];
  return Array.from({ length: fit }, (_, i) => Math.round((i * (count - 1)) / (fit - 1)));
}
