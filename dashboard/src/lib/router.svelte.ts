/** The router: history API, all state in the address, scroll position kept per entry. */
import { tick } from 'svelte';
import { changeQuery, parsePath, type Route } from './routes';

/** The page's base path, which the server writes into <base>. It ends in a slash. */
const base = new URL('.', document.baseURI).pathname;

class Router {
  #path = $state.raw(location.pathname);
  #search = $state.raw(location.search);

  readonly route: Route = $derived(parsePath(this.#path, base));
  readonly search: string = $derived(this.#search);
  readonly params: URLSearchParams = $derived(new URLSearchParams(this.#search));

  /** Goes to a path below the base, such as `results?verdict=fail`. */
  go(to: string): void {
    const target = new URL(to, new URL(base, location.href));
    if (target.href === location.href) return;
    rememberScroll();
    history.pushState(null, '', target);
    this.#read();
    void tick().then(() => {
      scrollTo(0, 0);
      document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true });
    });
  }

  /** Changes the query in place, as filters do while one types. */
  query(changes: Record<string, string | null>): void {
    const search = changeQuery(location.search, changes);
    if (search === location.search) return;
    history.replaceState(history.state, '', location.pathname + search);
    this.#read();
  }

  /** Follows links inside the application; others, and those opened in a new tab, are the browser's. */
  listen(): () => void {
    history.scrollRestoration = 'manual';
    const onClick = (event: MouseEvent): void => {
      if (event.defaultPrevented || event.button !== 0) return;
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      const link = event.target instanceof Element ? event.target.closest('a') : null;
      if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
      if (!link.pathname.startsWith(base) || parsePath(link.pathname, base).page === 'missing') return;
      event.preventDefault();
      this.go(link.href);
    };
    const onPop = (): void => {
      this.#read();
      const y = (history.state as { y?: number } | null)?.y ?? 0;
      void tick().then(() => scrollTo(0, y));
    };
    document.addEventListener('click', onClick);
    addEventListener('popstate', onPop);
    return () => {
      document.removeEventListener('click', onClick);
      removeEventListener('popstate', onPop);
    };
  }

  #read(): void {
    this.#path = location.pathname;
    this.#search = location.search;
  }
}

function rememberScroll(): void {
  history.replaceState({ y: scrollY }, '');
}

export const router = new Router();
