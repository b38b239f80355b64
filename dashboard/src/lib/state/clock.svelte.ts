/** The present, by the server's clock: a viewer's wrong clock must not make an outage older. */

/** Below this the difference is the network's, not the clock's. */
const SKEW_MIN_MS = 2_000;

class Clock {
  #skew = 0;
  now = $state(Date.now());

  /** Takes the server's idea of now from an answer. */
  sync(at: string): void {
    const skew = Date.parse(at) - Date.now();
    this.#skew = Math.abs(skew) < SKEW_MIN_MS ? 0 : skew;
    this.now = this.read();
  }

  /** Not reactive: for a moment that is to be remembered. */
  read(): number {
    return Date.now() + this.#skew;
  }

  run(): () => void {
    const timer = setInterval(() => (this.now = this.read()), 1_000);
    return () => clearInterval(timer);
  }
}

export const clock = new Clock();

/** Where the viewer is; the browser says it. */
export const place = { locale: navigator.language, zone: undefined };
