import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

/**
 * Emits `src/theme-boot.js` as a hashed classic script and loads it in the head, so that a chosen
 * theme is set before the first paint. It is a file because the page allows no inline scripts.
 */
function themeBoot(): Plugin {
  const source = readFileSync(new URL('src/theme-boot.js', import.meta.url), 'utf8');
  const hash = createHash('sha256').update(source).digest('hex').slice(0, 8);
  const fileName = `assets/theme-${hash}.js`;
  return {
    name: 'watchpost-theme-boot',
    apply: 'build',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName, source });
    },
    transformIndexHtml: () => [{ tag: 'script', attrs: { src: `./${fileName}` }, injectTo: 'head' }],
  };
}

export default defineConfig({
  // Relative, and resolved against the page's <base href>, which the server writes: a sub-path works.
  base: './',
  plugins: [svelte(), themeBoot()],
  build: {
    target: ['chrome123', 'firefox121', 'safari17.5'],
    assetsInlineLimit: 0, // data: addresses would need a wider content security policy
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { '/api': process.env.WATCHPOST_URL ?? 'http://127.0.0.1:8080' } },
});
