/** The typed client. Every failure is an `ApiError` whose message is a sentence for people. */
import type {
  CheckAnswer, Incident, Monitor, Overview, Page, Result, Status,
} from './types';

/** A list of 10,000 monitors takes a few seconds on a slow link; longer is a dead connection. */
const ANSWER_WAIT_MS = 30_000;
/** A check may last as long as its own timeout, which is 10 s by default and rarely above a minute. */
const CHECK_WAIT_MS = 120_000;

export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 if there was no answer. */
    readonly status: number,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** The words of an RFC 9457 problem document, or of the status alone. */
export function problemWords(status: number, body: unknown): string {
  if (typeof body === 'object' && body !== null) {
    const { detail, title } = body as { detail?: unknown; title?: unknown };
    if (typeof detail === 'string' && detail !== '') return detail;
    if (typeof title === 'string' && title !== '') return title;
  }
  if (status === 401) return 'You are not signed in.';
  if (status === 404) return 'There is no such thing here.';
  if (status >= 500) return `The server answered with an error (${status}).`;
  return `The server refused the request (${status}).`;
}

/** Words for anything that was thrown by this client. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function parse(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

interface RequestOptions {
  method?: 'GET' | 'POST';
  wait_ms?: number;
  signal?: AbortSignal;
}

async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const limit = AbortSignal.timeout(options.wait_ms ?? ANSWER_WAIT_MS);
  let response: Response;
  try {
    response = await fetch(apiUrl(path), {
      method: options.method ?? 'GET',
      headers: { accept: 'application/json' },
      credentials: 'same-origin',
      signal: options.signal ? AbortSignal.any([limit, options.signal]) : limit,
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(limit.aborted ? 'The server did not answer in time.' : 'The server cannot be reached.', 0);
  }
  const body = await parse(response);
  if (!response.ok) throw new ApiError(problemWords(response.status, body), response.status);
  if (body === null) throw new ApiError('The server sent an answer that is not JSON.', response.status);
  return body as T;
}

/** An address of the API, relative to the page's base, so that a sub-path works. */
export function apiUrl(path: string): string {
  return new URL(`api/v1/${path}`, document.baseURI).href;
}

type Query = Record<string, string | number | null | undefined>;

function withQuery(path: string, query: Query): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') params.set(key, String(value));
  }
  const text = params.toString();
  return text === '' ? path : `${path}?${text}`;
}

const monitorPath = (id: string, rest = ''): string => `monitors/${encodeURIComponent(id)}${rest}`;

export const api = {
  status: () => request<Status>('status'),
  overview: (recent: number) => request<Overview>(withQuery('overview', { recent })),
  monitor: (id: string, signal?: AbortSignal) => request<Monitor>(monitorPath(id), signal ? { signal } : {}),
  config: (id: string) => request<unknown>(monitorPath(id, '/config')),
  monitorResults: (id: string, limit: number, before: string | null) =>
    request<Page<Result>>(withQuery(monitorPath(id, '/results'), { limit, before })),
  results: (query: { monitor?: string; verdict?: string; limit: number; cursor: string | null }) =>
    request<Page<Result>>(withQuery('results', query)),
  incidents: (query: { monitor?: string; open?: string; limit: number; cursor: string | null }) =>
    request<Page<Incident>>(withQuery('incidents', query)),
  check: (id: string) =>
    request<CheckAnswer>(monitorPath(id, '/check'), { method: 'POST', wait_ms: CHECK_WAIT_MS }),
  pause: (id: string) => request<Monitor>(monitorPath(id, '/pause'), { method: 'POST' }),
  resume: (id: string) => request<Monitor>(monitorPath(id, '/resume'), { method: 'POST' }),
};
