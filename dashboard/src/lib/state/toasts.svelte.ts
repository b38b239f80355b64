/** Short answers to what the user did. At most three; one with an undo stays for 10 s. */
export interface Toast {
  key: number;
  text: string;
  tone: 'plain' | 'good' | 'bad';
  undo: (() => void) | null;
}

const SHOWN_MAX = 3;
const PLAIN_MS = 5_000;
const LONG_MS = 10_000;

class Toasts {
  list = $state.raw<Toast[]>([]);
  #key = 0;

  /** Shows a message and returns its key, for one that is to be replaced. */
  add(text: string, options: { tone?: Toast['tone']; undo?: () => void } = {}): number {
    this.#key += 1;
    const key = this.#key;
    const toast: Toast = { key, text, tone: options.tone ?? 'plain', undo: options.undo ?? null };
    this.list = [...this.list, toast].slice(-SHOWN_MAX);
    // What went wrong and what can be undone needs time to be read.
    setTimeout(() => this.drop(key), toast.undo || toast.tone === 'bad' ? LONG_MS : PLAIN_MS);
    return key;
  }

  drop(key: number): void {
    this.list = this.list.filter((toast) => toast.key !== key);
  }
}

export const toasts = new Toasts();
