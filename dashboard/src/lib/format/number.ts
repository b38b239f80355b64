/** Numbers for people. Every result has a fixed shape, so that columns line up. */

/** What stands where nothing is known. */
export const NOTHING = '–';

/** A latency with its unit: `0.34 ms`, `4.2 ms`, `43 ms`, `1.24 s`. */
export function latency(us: number | null): string {
  if (us === null) return NOTHING;
  const ms = us / 1_000;
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  return `${(ms / 1_000).toFixed(2)} s`;
}

/** A fraction as a percentage that never claims more than it is: 0.99999 is 99.99 %, not 100 %. */
export function percent(fraction: number | null): string {
  if (fraction === null) return NOTHING;
  if (fraction >= 1) return '100\u202F%';
  // The small addition undoes binary rounding (0.9991 * 100 is 99.90999...), it never reaches a whole step.
  const floored = Math.floor(fraction * 10_000 + 1e-6) / 100;
  return `${floored.toFixed(2)}\u202F%`;
}

/** A whole number with thin spaces between thousands. */
export function whole(n: number): string {
  return Math.round(n).toString().replace(/\B(?=(\d{3})+(?!\d))/g, '\u202F');
}

/** `1 monitor`, `2 monitors`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${whole(n)} ${n === 1 ? one : many}`;
}

/** The next round number at or above `value`: 1, 2 or 5 times a power of ten. For the top of an axis. */
export function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5, 10]) if (step * power >= value) return step * power;
  return 10 * power;
}
