/**
 * Puts ddcli into one file, `build/bundle/ddcli.cjs`, and V8's compiled code for it beside it: the modules
 * themselves take four times as long to load. `cli/load.js` starts the program from there.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const modules = join(root, "build/js");
const output = join(root, "build/bundle/ddcli.cjs");

/** Entries of `cli/load.js`. */
const ENTRIES = ["main", "background-main"];

/** What is run once so that its code is in the cache; where it cannot run, less of it is. */
const TRAINING = [
  ["run", "--rm", "host", "/bin/true"],
  ["run", "--rm", "--untrusted", "host", "/bin/true"],
];

/** Modules find files relative to themselves, wherever they have been put. */
const ownUrls: Plugin = {
  name: "own-urls",
  setup(builder) {
    builder.onLoad({ filter: /\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      if (!path.startsWith(modules) || !source.includes("import.meta.url")) return undefined;
      const place = JSON.stringify(relative(join(root, "build/bundle"), path));
      return { contents: source.replaceAll("import.meta.url", `ownUrl(${place})`), loader: "js" };
    });
  },
};

await build({
  stdin: {
    contents: `export const entries = {${ENTRIES.map(
      (entry) => `${JSON.stringify(entry)}: () => import("./${entry}.js"),`,
    ).join("")}};`,
    resolveDir: join(modules, "cli"),
  },
  outfile: output,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  banner: {
    js: `const bundleUrl = require("node:url").pathToFileURL(require.resolve("./ddcli.cjs"));
const ownUrl = (place) => new URL(place, bundleUrl).href;`,
  },
  plugins: [ownUrls],
  logLevel: "warning",
});

const state = mkdtempSync(join(tmpdir(), "dd-bundle-"));
rmSync(`${output}.cache`, { force: true });
for (const words of TRAINING) {
  spawnSync(process.execPath, [join(root, "cli/ddcli.js"), ...words], {
    env: { ...process.env, DD_ROOT: state, DD_RUN: join(state, "run"), DD_CODE_CACHE: "write" },
    stdio: "ignore",
    timeout: 60_000,
  });
}
rmSync(state, { recursive: true, force: true });
