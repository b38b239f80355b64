/** Every text and mark colour holds its contrast on every surface, in both themes (WCAG 2.2, 1.4.3 and 1.4.11). */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const css = readFileSync(new URL('./tokens.css', import.meta.url), 'utf8');
const tokens = new Map<string, [light: string, dark: string]>();
for (const [, name, light, dark] of css.matchAll(/--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)) {
  tokens.set(name as string, [light as string, dark as string]);
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

function token(name: string, theme: 0 | 1): string {
  const pair = tokens.get(name);
  if (!pair) throw new Error(`no token --${name}`);
  return pair[theme];
}

const SURFACES = ['surface', 'surface-sunken', 'surface-raised', 'surface-hover'];
const TEXT = ['text', 'text-muted', 'up', 'degraded', 'down', 'unknown', 'paused', 'maintenance', 'accent'];
const MARKS = ['line-strong', 'stage-dns', 'stage-connect', 'stage-tls', 'stage-ttfb', 'stage-transfer'];
const PAIRS: [string, string, number][] = [
  ...SURFACES.flatMap((surface) => TEXT.map((name): [string, string, number] => [name, surface, 4.5])),
  ...['surface', 'surface-raised'].flatMap((surface) => MARKS.map((name): [string, string, number] => [name, surface, 3])),
  ['down', 'down-wash', 4.5], ['text', 'down-wash', 4.5], ['text-muted', 'down-wash', 4.5],
  ['degraded', 'degraded-wash', 4.5], ['text', 'degraded-wash', 4.5], ['text-muted', 'degraded-wash', 4.5],
  ['accent', 'accent-wash', 4.5], ['text', 'accent-wash', 4.5], ['on-accent', 'accent', 4.5], ['on-mark', 'down', 3],
];

test.each(PAIRS)('--%s on --%s holds %d:1 in both themes', (name, surface, least) => {
  for (const theme of [0, 1] as const) expect(contrast(token(name, theme), token(surface, theme))).toBeGreaterThanOrEqual(least);
});
