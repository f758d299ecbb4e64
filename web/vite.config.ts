import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/sparsepath/server/page",
    emptyOutDir: true,
    sourcemap: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  // `npm start` shows changes at once, with data of `sparsepath serve` on its usual port.
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
});
