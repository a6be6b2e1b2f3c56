import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

// Hundreds of modules take longer to find and compile than a short container takes to run. So the build puts
// them into one file, with V8's compiled code beside it (tools/bundle.ts); this starts the program from there.

const build = fileURLToPath(new URL("../build/", import.meta.url));
const bundle = `${build}bundle/ddcli.cjs`;
const codeCache = `${bundle}.cache`;
/** Rooms whose changes do not change the program. */
const APART = ["test", "tools", "bench"];

/**
 * Starts one of the program's entries, the modules of that name in cli/: from the bundle, or from the modules
 * themselves when somebody has compiled them since the bundle was made.
 */
export async function load(entry) {
  if (!isFresh()) {
    await import(`../build/js/cli/${entry}.js`);
    return;
  }
  const script = new vm.Script(vmSource(), {
    filename: bundle,
    cachedData: optional(codeCache),
    importModuleDynamically: vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  if (process.env.DD_CODE_CACHE === "write") {
    process.on("exit", () => writeFileSync(codeCache, script.createCachedData()));
  }
  const module = { exports: {} };
  script.runInThisContext()(module, createRequire(bundle));
  await module.exports.entries[entry]();
}

function vmSource() {
  return `(function (module, require) {${readFileSync(bundle, "latin1")}\n})`;
}

function isFresh() {
  try {
    const made = statSync(bundle).mtimeMs;
    const info = `${build}tsinfo/`;
    return readdirSync(info).every(
      (file) =>
        APART.some((room) => file.startsWith(room)) || statSync(info + file).mtimeMs <= made,
    );
  } catch {
    return false;
  }
}

function optional(file) {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
