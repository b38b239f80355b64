/** What the page of one monitor knows: fetched once, then kept up by the live stream. */
import { setPaused } from '../actions';
import { ApiError, api, apiUrl, words } from '../api/client';
import { LiveStream } from '../api/stream';
import type { CheckAnswer, Incident, Monitor, Result, ResultEvent } from '../api/types';
import { pauseAdvice } from '../format/lock';
import { app } from './app.svelte';
import { clock } from './clock.svelte';
import { mergeResults } from './results';

/** Enough for the chart of a wide screen. */
export const CHART_RESULTS = 200;
const TABLE_FIRST = 20;
const TABLE_MORE = 50;
/** Results kept in the page; older ones are fetched again on demand. */
const KEPT_MAX = 2_000;
const PAGE_MORE = 100;
const INCIDENTS = 20;

export class MonitorPage {
  monitor = $state.raw<Monitor | null>(null);
  missing = $state(false);
  error = $state.raw<string | null>(null);
  /** Newest first. */
  results = $state.raw<Result[]>([]);
  /** How many of them the table shows. */
  shown = $state(TABLE_FIRST);
  moreBusy = $state(false);
  incidents = $state.raw<Incident[]>([]);
  config = $state.raw<unknown>(undefined);
  configError = $state.raw<string | null>(null);

  /** When the running check was started; null if none runs. */
  checking = $state<number | null>(null);
  answer = $state.raw<CheckAnswer | null>(null);
  checkError = $state.raw<string | null>(null);
  /** Why it cannot be paused or resumed here, and what to do instead. */
  refused = $state.raw<string | null>(null);
  pausing = $state(false);

  #next = $state.raw<string | null>(null);
  #incidentsNext = $state.raw<string | null>(null);

  constructor(readonly id: string) {}

  readonly row = $derived.by(() => app.rows.get(this.id));
  /** The overview's row is the livelier of the two. */
  readonly live = $derived(this.row?.item ?? this.monitor);
  readonly last = $derived(this.results[0] ?? this.monitor?.last_result ?? null);
  /** Where it is written, if in a file. */
  readonly file = $derived(this.monitor?.source === 'file' ? this.monitor.file : null);
  readonly moreResults = $derived(this.shown < this.results.length || this.#next !== null);
  readonly moreIncidents = $derived(this.#incidentsNext !== null);

  /** Since when anything is known; null if that lies beyond what this page has. */
  readonly knownSince: number | null = $derived.by(() => {
    const oldest = this.results.at(-1);
    const since = this.live?.since;
    if (this.#next !== null || this.#incidentsNext !== null || oldest === undefined || !since) return null;
    return Math.min(Date.parse(oldest.at), Date.parse(since), ...this.incidents.map((one) => Date.parse(one.since)));
  });

  load(): void {
    void this.loadMonitor();
    void this.loadResults();
    void this.#loadIncidents(null);
    void this.#loadConfig();
  }

  /** A change of state has opened or closed an incident, and may have changed the uptime. */
  stateChanged(): void {
    void this.#loadIncidents(null);
    void this.loadMonitor();
  }

  async loadMonitor(): Promise<void> {
    try {
      this.monitor = await api.monitor(this.id);
      this.error = null;
      this.missing = false;
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.status === 404) this.missing = true;
      else this.error = words(thrown);
    }
  }

  async loadResults(): Promise<void> {
    try {
      const page = await api.monitorResults(this.id, CHART_RESULTS, null);
      this.results = mergeResults(this.results, page.items, KEPT_MAX);
      this.#next = page.next;
    } catch (thrown) {
      this.error = words(thrown);
    }
  }

  async #loadIncidents(cursor: string | null): Promise<void> {
    try {
      const page = await api.incidents({ monitor: this.id, limit: INCIDENTS, cursor });
      this.incidents = cursor === null ? page.items : [...this.incidents, ...page.items];
      this.#incidentsNext = page.next;
    } catch (thrown) {
      this.error = words(thrown);
    }
  }

  async #loadConfig(): Promise<void> {
    try {
      this.config = await api.config(this.id);
    } catch (thrown) {
      this.configError = words(thrown);
    }
  }

  showMoreIncidents(): void {
    void this.#loadIncidents(this.#incidentsNext);
  }

  async showMoreResults(): Promise<void> {
    if (this.shown < this.results.length) {
      this.shown += TABLE_MORE;
      return;
    }
    if (this.#next === null) return;
    this.moreBusy = true;
    try {
      const page = await api.monitorResults(this.id, PAGE_MORE, this.#next);
      this.results = mergeResults(this.results, page.items, KEPT_MAX);
      this.#next = this.results.length >= KEPT_MAX ? null : page.next;
      this.shown += TABLE_MORE;
    } catch (thrown) {
      this.error = words(thrown);
    } finally {
      this.moreBusy = false;
    }
  }

  async check(): Promise<void> {
    if (this.checking !== null) return;
    this.checking = clock.read();
    this.checkError = null;
    this.answer = null;
    try {
      this.answer = await api.check(this.id);
      this.results = mergeResults(this.results, [this.answer.result], KEPT_MAX);
      void this.loadMonitor();
    } catch (thrown) {
      this.checkError = words(thrown);
    } finally {
      this.checking = null;
    }
  }

  closeCheck(): void {
    this.answer = null;
    this.checkError = null;
  }

  /** Pauses or resumes it; one that belongs to a file says what to write there. */
  async togglePause(): Promise<void> {
    const { live } = this;
    if (!live || this.pausing) return;
    if (this.file) {
      this.refused = pauseAdvice(this.file, live.active);
      return;
    }
    this.pausing = true;
    const now = await setPaused(this.id, live.active);
    if ('refused' in now) this.refused = now.refused;
    else {
      this.refused = null;
      this.monitor = now;
    }
    this.pausing = false;
  }

  take(event: ResultEvent): void {
    if (event.monitor === this.id) this.results = mergeResults(this.results, [event.result], KEPT_MAX);
  }

  /** The compact stream has no full results: this opens one of its own for this monitor; returns how to close it. */
  follow(): () => void {
    const stream = new LiveStream({
      url: (cursor) => {
        const url = new URL(apiUrl('stream'));
        url.searchParams.set('ids', this.id);
        if (cursor !== '') url.searchParams.set('after', cursor);
        return url.href;
      },
      onEvent: (event) => {
        if (event.event === 'result') this.take(JSON.parse(event.data) as ResultEvent);
      },
      onConnection: () => undefined,
    });
    stream.start('');
    return () => stream.stop();
  }
}
