import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses: the same build serves at the root of a domain and below a path.
  base: "./",
  build: {
    target: "es2022",
    // The content security policy admits no data: scripts or styles; fonts and pictures stay files as well.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // three alone has some 500 kB before compression; the budget that counts is tested on compressed bytes.
    chunkSizeWarningLimit: 900,
  },
  server: {
    // `npm run dev` beside `maquette up`: its REST, sockets and configuration under this server's address.
    fs: { allow: [".."] },
    proxy: { "/config.json": "http://127.0.0.1:8000" },
  },
});
