/** The tab's icon shows the state of everything. Files, because data: addresses would need a wider policy. */
import degraded from '../icons/degraded.svg?url';
import down from '../icons/down.svg?url';
import unknown from '../icons/unknown.svg?url';
import up from '../icons/up.svg?url';
import type { State } from './api/types';

const ICONS: Record<State, string> = { up, degraded, down, unknown, paused: unknown, maintenance: unknown };

export function showFavicon(state: State): void {
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (link && link.href !== ICONS[state]) link.href = ICONS[state];
}
