/** Which keystrokes mean something. Pure but for the element that has the focus. */

/** True while someone types, so that letters are text. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ['INPUT', 'SELECT', 'TEXTAREA'].includes(target.tagName);
}

/** The second key of a pair such as `g o` must follow within this time. */
const PAIR_MS = 1_200;

/** Reads single keys and pairs that start with `g`: answers `j`, `?`, `g o`, or null for half a pair. */
export class KeyReader {
  #pendingUntil = 0;

  read(key: string, at_ms: number): string | null {
    if (this.#pendingUntil > at_ms) {
      this.#pendingUntil = 0;
      return `g ${key}`;
    }
    if (key === 'g') {
      this.#pendingUntil = at_ms + PAIR_MS;
      return null;
    }
    return key;
  }
}
