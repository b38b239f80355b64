// Sets the chosen theme before the first paint. The names are those of lib/state/theme.svelte.ts.
(function () {
  try {
    var theme = localStorage.getItem('watchpost.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch (_) {
    // Storage may be forbidden; the system's theme is used then.
  }
})();
