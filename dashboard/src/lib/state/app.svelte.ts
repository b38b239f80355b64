/** The monitors as this page knows them: loaded once, then changed by the live stream. */
import { untrack } from 'svelte';
import { api, apiUrl, words } from '../api/client';
import type { SseEvent } from '../api/sse';
import { LiveStream } from '../api/stream';
import type {
  CompactResult, Counts, FilePlace, HelloEvent, OverviewItem, ResultEvent, Status,
} from '../api/types';
import { clock } from './clock.svelte';
import {
  SLOTS_MAX, applyCompact, applyResult, countStates, groupNames, resultRate,
} from './overview';

/** Above this many results a second the compact view is asked for: a full result is ~10 times as large. */
const FULL_RATE_MAX = 50;
/** Results are shown in batches, so that 2,000 a second do not mean 2,000 drawings. */
const BATCH_MS = 100;
/** The stream says for each change that definitions changed; reloads in a row are one. */
const RELOAD_GAP_MS = 250;
/** In the compact view the words of a new cause are fetched with the whole overview, so not often. */
const WORDS_GAP_MS = 5_000;
/** Uptime is not part of the stream, and changes slowly. */
const UPTIME_EVERY_MS = 60_000;
/** The overview could not be fetched: the next try. */
const LOAD_RETRY_MS = 3_000;
/** Events kept while the overview is being fetched; beyond it the fetch is simply repeated. */
const HELD_MAX = 20_000;

/** One monitor; only the rows whose monitor changed are drawn again. */
export class Row {
  item: OverviewItem;
  /** Where it is written; null for one of no file, undefined until asked: the overview does not carry it. */
  file: FilePlace | null | undefined = $state.raw(undefined);

  constructor(item: OverviewItem) {
    this.item = $state.raw(item);
  }
}

export type Connection = 'starting' | 'live' | 'lost';
export type ResultListener = (event: ResultEvent) => void;

class App {
  rows = $state.raw(new Map<string, Row>());
  /** Raised when a state, a since or a definition changed: only then is anything sorted or counted. */
  #layout = $state(0);
  loaded = $state(false);
  loadError = $state.raw<string | null>(null);
  status = $state.raw<Status | null>(null);
  connection = $state.raw<Connection>('starting');
  /** When anything was last heard from the server, by the server's clock. */
  heardAt = $state(clock.read());
  compact = $state(false);

  #stream = new LiveStream({
    url: (cursor) => this.#streamUrl(cursor),
    onEvent: (event) => this.#take(event),
    onConnection: (state) => this.#connected(state),
  });
  #held: SseEvent[] = [];
  #loading = false;
  #again = false;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;
  #reloadTimer: ReturnType<typeof setTimeout> | undefined;
  #listeners = new Set<ResultListener>();

  readonly items: OverviewItem[] = $derived.by(() => {
    void this.#layout;
    return untrack(() => Array.from(this.rows.values(), (row) => row.item));
  });
  readonly counts: Counts = $derived(countStates(this.items));
  readonly groups: string[] = $derived(groupNames(this.items));

  /** Starts everything; returns how to stop it. */
  run(): () => void {
    void this.#load();
    void this.refreshStatus();
    const uptime = setInterval(() => void this.#refreshUptime(), UPTIME_EVERY_MS);
    const nudge = (): void => {
      if (document.visibilityState === 'visible') this.#stream.nudge();
    };
    addEventListener('online', nudge);
    document.addEventListener('visibilitychange', nudge);
    return () => {
      clearInterval(uptime);
      removeEventListener('online', nudge);
      document.removeEventListener('visibilitychange', nudge);
      this.#stream.stop();
    };
  }

  /** Hears every full result; nothing in the compact view. */
  listen(listener: ResultListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Puts in what an answer to a command said, without waiting for the stream. */
  patch(id: string, change: Partial<OverviewItem>): void {
    const row = this.rows.get(id);
    if (!row) return;
    row.item = { ...row.item, ...change };
    this.#layout += 1;
  }

  /** Learns where a monitor is written, once for each version of the definitions. */
  async learnFile(id: string): Promise<FilePlace | null | undefined> {
    const row = this.rows.get(id);
    if (row && row.file === undefined) {
      try {
        row.file = (await api.monitor(id)).file ?? null;
      } catch {
        // Unknown stays unknown: the command itself then says why it fails.
      }
    }
    return row?.file;
  }

  async refreshStatus(): Promise<void> {
    try {
      this.status = await api.status();
      clock.sync(this.status.at);
    } catch {
      // The stream's own state tells that the server is away; the last status stays.
    }
  }

  #streamUrl(cursor: string): string {
    const url = new URL(apiUrl('stream'));
    if (cursor !== '') url.searchParams.set('after', cursor);
    if (this.compact) url.searchParams.set('view', 'compact');
    return url.href;
  }

  /**
   * Fetches the overview. Events that arrive meanwhile are held and applied after it: applying one
   * twice changes nothing, so nothing is lost and nothing is counted twice.
   */
  async #load(): Promise<void> {
    if (this.#loading) {
      this.#again = true;
      return;
    }
    this.#loading = true;
    const first = !this.loaded;
    try {
      const overview = await api.overview(SLOTS_MAX);
      clock.sync(overview.at);
      this.heardAt = clock.read();
      this.#replace(overview.items);
      this.loadError = null;
      this.loaded = true;
      this.compact = resultRate(overview.items) > FULL_RATE_MAX;
      if (first) this.#stream.start(overview.cursor);
    } catch (error) {
      this.loadError = words(error);
      this.connection = 'lost';
      this.reload(LOAD_RETRY_MS);
    } finally {
      this.#loading = false;
    }
    this.#flush();
    if (this.#again) {
      this.#again = false;
      this.reload();
    }
  }

  #replace(items: OverviewItem[]): void {
    const rows = new Map<string, Row>();
    for (const item of items) {
      const row = this.rows.get(item.id);
      if (row) {
        row.item = item;
        row.file = undefined; // the file may have changed, and with it the line
      }
      rows.set(item.id, row ?? new Row(item));
    }
    this.rows = rows;
    this.#layout += 1;
  }

  reload(after_ms = RELOAD_GAP_MS): void {
    if (this.#reloadTimer !== undefined) return;
    this.#reloadTimer = setTimeout(() => {
      this.#reloadTimer = undefined;
      void this.#load();
    }, after_ms);
  }

  async #refreshUptime(): Promise<void> {
    if (document.visibilityState !== 'visible' || this.connection !== 'live') return;
    try {
      const { items } = await api.overview(0);
      for (const { id, uptime_24h } of items) {
        const row = this.rows.get(id);
        if (row && row.item.uptime_24h !== uptime_24h) row.item = { ...row.item, uptime_24h };
      }
    } catch {
      // The next round comes in a minute.
    }
  }

  #connected(state: 'live' | 'lost'): void {
    this.heardAt = state === 'live' ? clock.read() : this.heardAt;
    if (this.connection === state) return;
    const back = this.connection === 'lost' && state === 'live';
    this.connection = state;
    if (back) void this.refreshStatus();
  }

  #take(event: SseEvent): void {
    switch (event.event) {
      case 'hello': {
        const hello = JSON.parse(event.data) as HelloEvent;
        clock.sync(hello.at);
        if (!hello.resumed) this.reload();
        return;
      }
      case 'monitors':
        this.reload();
        void this.refreshStatus();
        return;
      case 'status':
        void this.refreshStatus();
        return;
      case 'result':
      case 'results':
        if (this.#held.length >= HELD_MAX) this.#held = [];
        this.#held.push(event);
        this.#flushTimer ??= setTimeout(() => this.#flush(), BATCH_MS);
        return;
    }
  }

  #flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (this.#loading) return;
    const events = this.#held;
    this.#held = [];
    let moved = false;
    for (const event of events) {
      if (event.event === 'result') moved = this.#applyResult(JSON.parse(event.data) as ResultEvent) || moved;
      else moved = this.#applyCompact(JSON.parse(event.data) as { r: CompactResult[] }) || moved;
    }
    if (moved) this.#layout += 1;
  }

  #applyResult(event: ResultEvent): boolean {
    for (const listener of this.#listeners) listener(event);
    return this.#change(event.monitor, (item) => applyResult(item, event));
  }

  #applyCompact({ r }: { r: CompactResult[] }): boolean {
    let moved = false;
    for (const result of r) {
      moved = this.#change(result[0], (item) => applyCompact(item, result)) || moved;
      // The code alone makes a poor cause; the words are fetched, in one go for all that changed.
      if (this.rows.get(result[0])?.item.reason?.text === '') this.reload(WORDS_GAP_MS);
    }
    return moved;
  }

  #change(id: string, step: (item: OverviewItem) => OverviewItem): boolean {
    const row = this.rows.get(id);
    if (!row) {
      this.reload();
      return false;
    }
    const before = row.item;
    row.item = step(before);
    return before.state !== row.item.state || before.since !== row.item.since;
  }
}

export const app = new App();
