/** Keeps one live stream open: resumes after a break, waits longer after each failure. */
import { SseParser, type SseEvent } from './sse';

/** The server sends a keep-alive every 15 s; three missed ones are a dead connection. */
const SILENCE_MAX_MS = 45_000;
const RETRY_FIRST_MS = 500;
/** A restarted server is back within seconds; a longer wait would keep the page stale. */
const RETRY_MAX_MS = 10_000;

export interface StreamOptions {
  /** The address to open; `cursor` is where to resume, '' at the start. */
  url: (cursor: string) => string;
  onEvent: (event: SseEvent) => void;
  /** `live` on the first bytes of a connection, `lost` when one broke or could not be opened. */
  onConnection: (state: 'live' | 'lost') => void;
}

/** How long to wait before try number `failures` (1 is the first); `chance` is in [0, 1). */
export function retryDelay(failures: number, chance: number): number {
  const full = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 10));
  return full / 2 + (full / 2) * chance;
}

export class LiveStream {
  #options: StreamOptions;
  #abort: AbortController | null = null;
  #cursor = '';
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** Opens the stream at `cursor`; an open one is closed first. */
  start(cursor: string): void {
    this.stop();
    this.#cursor = cursor;
    void this.#connect();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
  }

  /** Tries again at once if the stream waits for its next try, as when the machine wakes up. */
  nudge(): void {
    if (this.#abort !== null && this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      void this.#connect();
    }
  }

  async #connect(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#timer = undefined;
    try {
      await this.#read(abort);
    } catch {
      // Any failure to open or to read is the same to us: try again from the cursor.
    }
    abort.abort();
    if (this.#abort !== abort) return;
    this.#failures += 1;
    this.#options.onConnection('lost');
    this.#timer = setTimeout(() => void this.#connect(), retryDelay(this.#failures, Math.random()));
  }

  async #read(abort: AbortController): Promise<void> {
    let silence = setTimeout(() => abort.abort(), SILENCE_MAX_MS);
    try {
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (this.#cursor !== '') headers['last-event-id'] = this.#cursor;
      const response = await fetch(this.#options.url(this.#cursor), {
        headers, credentials: 'same-origin', cache: 'no-store', signal: abort.signal,
      });
      if (!response.ok || response.body === null) throw new Error(`stream answered ${response.status}`);
      const parser = new SseParser(this.#cursor);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || abort.signal.aborted) return;
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE_MAX_MS);
        const events = parser.push(value);
        this.#cursor = parser.lastId;
        this.#failures = 0;
        this.#options.onConnection('live');
        for (const event of events) this.#options.onEvent(event);
      }
    } finally {
      clearTimeout(silence);
    }
  }
}
