/**
 * Puts our programs into one file each, and V8's compiled code for it beside it: the modules themselves take
 * four times as long to load. `cli/load.cjs` starts the programs from there.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { BLOCK } from "../sentry/image/tar-header.ts";
import { encodeHeader } from "../sentry/image/tar-writer.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const modules = join(root, "build/js");
const bundles = join(root, "build/bundle");

/** Bundles, with the modules of cli/ that are their entries. */
const BUNDLES = { ddcli: ["main"], container: ["background-main", "build-step-main"] } as const;
type Bundle = keyof typeof BUNDLES;
const NAMES = Object.keys(BUNDLES) as Bundle[];

/** What is run so that its code is in the cache of a bundle; where it cannot run, less of it is. */
const TRAINING: readonly (readonly [Bundle, ...string[]])[] = [
  ["ddcli", "run", "--rm", "training", "/program"],
  ["ddcli", "run", "--rm", "host", "/bin/true"],
  ["ddcli", "run", "--rm", "--untrusted", "training", "/program"],
  ["ddcli", "run", "--rm", "--untrusted", "host", "/bin/true"],
  ["container", "run", "-d", "--rm", "training", "/program"],
  ["container", "run", "-d", "--rm", "host", "/bin/true"],
];
/** A container in the background is not waited for by who starts it. */
const WRITTEN_MS_MAX = 20_000;
const POLL_MS = 50;

/** Modules find files relative to themselves, wherever they have been put. */
const ownUrls: Plugin = {
  name: "own-urls",
  setup(builder) {
    builder.onLoad({ filter: /\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      if (!path.startsWith(modules) || !source.includes("import.meta.url")) return undefined;
      const place = JSON.stringify(relative(bundles, path));
      return { contents: source.replaceAll("import.meta.url", `ownUrl(${place})`), loader: "js" };
    });
  },
};

async function bundle(name: Bundle): Promise<void> {
  const outfile = join(bundles, `${name}.cjs`);
  const entries = BUNDLES[name].map(
    (entry) => `${JSON.stringify(entry)}: () => import("./${entry}.js"),`,
  );
  await build({
    stdin: {
      contents: `export const entries = {${entries.join("")}};`,
      resolveDir: join(modules, "cli"),
    },
    outfile,
    // What only the daemon needs: every start would pay for it.
    external: ["fastify", "@fastify/swagger", "@sinclair/typebox", "protobufjs", "ws", "pino"],
    bundle: true,
    // Half of the modules is indentation and comments, which every start would read.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    platform: "node",
    target: "node20",
    format: "cjs",
    banner: {
      js: `const bundleUrl = require("node:url").pathToFileURL(require.resolve("./${name}.cjs"));
const ownUrl = (place) => new URL(place, bundleUrl).href;`,
    },
    plugins: [ownUrls],
    logLevel: "warning",
  });
  // One character beyond Latin-1 makes V8 hold all of the text at two bytes a character.
  const beyond = [...readFileSync(outfile, "utf8")].find((character) => character > "\u007f");
  if (beyond !== undefined) {
    throw new Error(
      `The text of ${name} has ${beyond}: write it as an escape in the regular expression`,
    );
  }
}

/** An archive of one program, which ends at once. */
function trainingArchive(): Buffer<ArrayBuffer> {
  const content = readFileSync(join(root, "build/Release/dd-guest"));
  const file = { uid: 0, gid: 0, mtime: 0n, link: "", major: 0, minor: 0, xattrs: new Map() };
  const header = encodeHeader({
    ...file,
    type: "file",
    path: "program",
    mode: 0o755,
    size: content.length,
  });
  const rest = new Uint8Array(((BLOCK - (content.length % BLOCK)) % BLOCK) + 2 * BLOCK);
  return Buffer.concat([header, content, rest]);
}

/** Waits for what a process writes at its end. @returns whether it has. */
async function untilWritten(path: string): Promise<boolean> {
  const size = () => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  for (let waited = 0, before = 0; waited < WRITTEN_MS_MAX; waited += POLL_MS) {
    const now = size();
    if (now > 0 && now === before) return true;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return false;
}

for (const name of NAMES) {
  rmSync(join(bundles, `${name}.cjs.cache`), { force: true });
  await bundle(name);
}
const state = mkdtempSync(join(tmpdir(), "dd-bundle-"));
const ddcli = (words: readonly string[], codeCache: string, input = Buffer.alloc(0)) =>
  spawnSync(process.execPath, [join(root, "cli/ddcli.js"), ...words], {
    env: { ...process.env, DD_ROOT: state, DD_RUN: join(state, "run"), DD_CODE_CACHE: codeCache },
    input,
    stdio: ["pipe", "ignore", "ignore"],
    timeout: 60_000,
  });
ddcli(["import", "-", "training"], "", trainingArchive());
for (const [name, ...words] of TRAINING) {
  const cache = join(bundles, `${name}.cjs.cache`);
  // Each run starts from the code of those before it, and adds its own.
  if (ddcli(words, name).status === 125) continue;
  if (await untilWritten(`${cache}.new`)) renameSync(`${cache}.new`, cache);
}
for (const name of NAMES) rmSync(join(bundles, `${name}.cjs.cache.new`), { force: true });
rmSync(state, { recursive: true, force: true });
