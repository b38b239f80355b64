/** Light, dark or the system's. The choice is kept in this browser; theme-boot.js applies it early. */
export type Theme = 'system' | 'light' | 'dark';
const KEY = 'watchpost.theme';

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    return 'system'; // storage is forbidden
  }
}

class ThemeChoice {
  #value = $state.raw<Theme>(stored());

  get value(): Theme {
    return this.#value;
  }

  set value(theme: Theme) {
    this.#value = theme;
    this.apply();
    try {
      if (theme === 'system') localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // Storage is forbidden: the choice holds until the page is left.
    }
  }

  /** system -> light -> dark -> system */
  next(): void {
    this.value = this.#value === 'system' ? 'light' : this.#value === 'light' ? 'dark' : 'system';
  }

  apply(): void {
    if (this.#value === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.#value;
  }
}

export const theme = new ThemeChoice();
