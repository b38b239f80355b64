/**
 * Server-sent events from bytes, after the WHATWG HTML standard, section 9.2 ("Interpreting an event
 * stream"). Pure: text in, events out. The browser's EventSource gives up at the first HTTP error and
 * hides keep-alives, which is why the stream is read by hand.
 */

export interface SseEvent {
  event: string;
  data: string;
  /** The last id seen, which is what a reconnect resumes from. */
  id: string;
}

/** One event may hold a batch of 10,000 compact results; beyond this the stream is broken. */
const EVENT_CHARS_MAX = 8_000_000;

export class SseParser {
  #rest = '';
  #first = true;
  #data: string[] = [];
  #size = 0;
  #event = '';
  #lastId: string;

  constructor(lastId = '') {
    this.#lastId = lastId;
  }

  get lastId(): string {
    return this.#lastId;
  }

  /** Takes the next piece of the stream and returns the events that it completes. */
  push(chunk: string): SseEvent[] {
    let text = this.#rest + chunk;
    if (this.#first && text !== '') {
      this.#first = false;
      if (text.startsWith('\uFEFF')) text = text.slice(1);
    }
    const events: SseEvent[] = [];
    let from = 0;
    for (;;) {
      const end = lineEnd(text, from);
      if (end === null) break;
      const event = this.#line(text.slice(from, end.at));
      if (event) events.push(event);
      from = end.next;
    }
    this.#rest = text.slice(from);
    if (this.#rest.length + this.#size > EVENT_CHARS_MAX) throw new Error('The live stream sent an endless event.');
    return events;
  }

  #line(line: string): SseEvent | null {
    if (line === '') return this.#dispatch();
    if (line.startsWith(':')) return null;
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    let value = colon === -1 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.#event = value;
    else if (field === 'data') {
      this.#data.push(value);
      this.#size += value.length;
    } else if (field === 'id' && !value.includes('\0')) this.#lastId = value;
    return null;
  }

  #dispatch(): SseEvent | null {
    const data = this.#data;
    const event = this.#event;
    this.#data = [];
    this.#size = 0;
    this.#event = '';
    return data.length === 0 ? null : { event: event || 'message', data: data.join('\n'), id: this.#lastId };
  }
}

/** Where the next line ends. A CR at the very end may be half of a CRLF, so it waits for more. */
function lineEnd(text: string, from: number): { at: number; next: number } | null {
  for (let i = from; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 10) return { at: i, next: i + 1 };
    if (c === 13) {
      if (i + 1 === text.length) return null;
      return { at: i, next: text.charCodeAt(i + 1) === 10 ? i + 2 : i + 1 };
    }
  }
  return null;
}
