/** Bars of results as geometry and words: pure, so that drawing, hover and keyboard agree. */
import type { Slot } from '../api/types';
import { latency } from '../format/number';
import { exact, relative, type Place } from '../format/time';
import { VERDICT_WORDS, codeWords, verdictOf } from '../format/words';
import type { TipLine } from './tip.svelte';

/** Heights tell the verdicts apart without colour. */
const HEIGHTS = { p: 0.62, d: 0.8, f: 1, i: 0.3 } as const;
export type SlotLetter = keyof typeof HEIGHTS;

export interface BarShape {
  pitch: number;
  gap: number;
  height: number;
  slots: number;
}

/** One path for each verdict, so that a bar is at most five nodes, whatever its length. The newest is at the right. */
export function barPaths(recent: readonly Slot[], shape: BarShape): { letter: SlotLetter | 'none'; d: string }[] {
  const shown = recent.slice(-shape.slots);
  const empty = shape.slots - shown.length;
  const width = shape.pitch - shape.gap;
  const parts: Record<SlotLetter | 'none', string> = { none: '', p: '', d: '', f: '', i: '' };
  for (let i = 0; i < shape.slots; i++) {
    const slot = i < empty ? undefined : shown[i - empty];
    const letter = slot === undefined ? 'none' : slot[1];
    const high = letter === 'none' ? 2 : Math.round(shape.height * HEIGHTS[letter]);
    parts[letter] += `M${i * shape.pitch} ${shape.height - high}h${width}v${high}h${-width}z`;
  }
  const letters: (SlotLetter | 'none')[] = ['none', 'p', 'd', 'f', 'i'];
  return letters.filter((letter) => parts[letter] !== '').map((letter) => ({ letter, d: parts[letter] }));
}

/** Which result lies at slot `index` of a bar, if any. */
export function slotAt(recent: readonly Slot[], slots: number, index: number): Slot | undefined {
  const shown = recent.slice(-slots);
  const at = index - (slots - shown.length);
  return at < 0 ? undefined : shown[at];
}

export function slotLines(slot: Slot, now: number, place: Place): TipLine[] {
  const [at, letter, total_us, code] = slot;
  const verdict = VERDICT_WORDS[verdictOf(letter)];
  const head = total_us === null ? verdict : `${verdict} · ${latency(total_us)}`;
  const lines: TipLine[] = [{ text: head, tone: 'strong' }];
  if (code !== null) lines.push({ text: codeWords(code) });
  lines.push({ text: `${relative(at, now)} · ${exact(at, place)}`, tone: 'muted' });
  return lines;
}

/** The bar in words: `last 40 results: 38 passed, 2 failed`. */
export function barWords(recent: readonly Slot[], slots: number): string {
  const shown = recent.slice(-slots);
  if (shown.length === 0) return 'no results yet';
  const count = (letter: SlotLetter): number => shown.filter((slot) => slot[1] === letter).length;
  const parts: string[] = [];
  const add = (n: number, word: string): void => {
    if (n > 0) parts.push(`${n} ${word}`);
  };
  add(count('p'), 'passed');
  add(count('d'), 'degraded');
  add(count('f'), 'failed');
  add(count('i'), 'inconclusive');
  return `last ${shown.length} results: ${parts.join(', ')}`;
}
