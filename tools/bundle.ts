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
const ENTRIES = ["main", "background-main", "build-step-main"];

/** What is run so that its code is in the cache; where it cannot run, less of it is. */
const TRAINING = [
  ["run", "--rm", "training", "/nothing"],
  ["run", "--rm", "host", "/bin/true"],
  ["run", "--rm", "--untrusted", "host", "/bin/true"],
];
/** A tar archive with nothing in it: its end. */
const EMPTY_ARCHIVE = new Uint8Array(1024);

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
  // What only the daemon needs: every start would pay for it.
  external: ["fastify", "@fastify/swagger", "@sinclair/typebox", "protobufjs", "ws", "pino"],
  bundle: true,
  // Half of the modules is indentation and comments, which every start would read.
  minifyWhitespace: true,
  legalComments: "none",
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

// One character beyond Latin-1 makes V8 hold all of the text at two bytes a character.
const beyond = [...readFileSync(output, "utf8")].find((character) => character > "\u007f");
if (beyond !== undefined) {
  throw new Error(
    `The program's text has ${beyond}: write it as an escape in the regular expression`,
  );
}

const state = mkdtempSync(join(tmpdir(), "dd-bundle-"));
rmSync(`${output}.cache`, { force: true });
const ddcli = (words: readonly string[], codeCache: string) =>
  spawnSync(process.execPath, [join(root, "cli/ddcli.js"), ...words], {
    env: { ...process.env, DD_ROOT: state, DD_RUN: join(state, "run"), DD_CODE_CACHE: codeCache },
    input: EMPTY_ARCHIVE,
    stdio: ["pipe", "ignore", "ignore"],
    timeout: 60_000,
  });
ddcli(["import", "-", "training"], "");
// Each run starts from the code of those before it, and adds its own.
for (const words of TRAINING) ddcli(words, "write");
rmSync(state, { recursive: true, force: true });
