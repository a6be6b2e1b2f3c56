/** Bundles the dashboard into `build/ui`: the page, its script, its style sheets. */
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const output = join(root, "build/ui");

mkdirSync(output, { recursive: true });
await build({
  entryPoints: {
    app: join(root, "ui/main.ts"),
    terminal: join(root, "node_modules/@xterm/xterm/css/xterm.css"),
  },
  outdir: output,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  logLevel: "warning",
});
for (const name of ["index.html", "style.css"]) {
  copyFileSync(join(root, "ui", name), join(output, name));
}
