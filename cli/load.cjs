"use strict";
const { openSync, readdirSync, readFileSync, statSync, writeSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");
const vm = require("node:vm");

// Hundreds of modules take longer to find and compile than a short container takes to run. So the build puts
// them into few files, with V8's compiled code beside them (tools/bundle.ts); this starts programs from there.
// It is no ES module itself, because Node starts those later.

const build = join(__dirname, "../build");
/** Rooms whose changes do not change a program. */
const APART = ["test", "tools", "bench"];

/**
 * Starts an entry, the module of that name in cli/: from the bundle that has it, or from the modules themselves
 * when somebody has compiled them since the bundle was made.
 */
exports.load = async (name, entry) => {
  const bundle = join(build, `bundle/${name}.cjs`);
  if (!isFresh(bundle)) {
    await import(`../build/js/cli/${entry}.js`);
    return;
  }
  const text = readFileSync(bundle, "latin1");
  const script = new vm.Script(`(function (module, require) {${text}\n})`, {
    filename: bundle,
    cachedData: optional(`${bundle}.cache`),
    importModuleDynamically: vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  if (process.env.DD_CODE_CACHE === name) writeAtExit(script, `${bundle}.cache.new`);
  const module = { exports: {} };
  script.runInThisContext()(module, createRequire(bundle));
  await module.exports.entries[entry]();
};

/** Opened now: at exit the sentry of an untrusted container may open nothing. */
function writeAtExit(script, path) {
  const fd = openSync(path, "w");
  process.on("exit", () => writeSync(fd, script.createCachedData()));
}

function isFresh(bundle) {
  try {
    const made = statSync(bundle).mtimeMs;
    const info = join(build, "tsinfo");
    return readdirSync(info).every(
      (file) =>
        APART.some((room) => file.startsWith(room)) || statSync(join(info, file)).mtimeMs <= made,
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
