import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { image, TREE } from "../fixtures/images.ts";
import { type RunResult, runProgram } from "../fixtures/program.ts";
import { caseOf } from "../known.ts";

/** What a program that cannot judge without root ends with. */
const NEEDS_ROOT = 77;
const TIMEOUT_MS = 150_000;

const programs = join(TREE, "build/conformance");
const names = readdirSync(join(TREE, "test/conformance"))
  .filter((file) => file.endsWith(".c"))
  .map((file) => file.slice(0, -2));
const dd = openDd();
const native = new Map<string, RunResult>();

test.before(async (t) => {
  t.timeout(300_000);
  execFileSync(join(TREE, "test/conformance/build.sh"), [programs], {
    stdio: ["ignore", "ignore", "inherit"],
  });
});
test.after.always(() => dd.close());

for (const name of names) {
  test.serial(`conformance: ${name}, on the host`, async (t) => {
    t.timeout(TIMEOUT_MS);
    const result = await runProgram([join(programs, name)], { timeoutMs: TIMEOUT_MS });
    native.set(name, result);
    t.is(failures(result.stdout), "");
    t.true(result.code === 0 || (result.code === NEEDS_ROOT && process.getuid?.() !== 0));
  });
}

test.serial("conformance: an image to run in", async (t) => {
  t.timeout(TIMEOUT_MS);
  await t.notThrowsAsync(dd.load(image("busybox")));
});

for (const mode of MODES) {
  for (const name of names) {
    const title = `conformance: ${name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(2 * TIMEOUT_MS);
      const expected = native.get(name);
      const result = await dd.run(
        ["run", "--rm", ...modeOption(mode), "-v", `${programs}:/conformance:ro`].concat([
          "busybox:test",
          `/conformance/${name}`,
        ]),
        { timeoutMs: TIMEOUT_MS },
      );
      t.is(failures(result.stdout), "", result.stderr);
      t.is(result.code, 0, result.stderr);
      if (expected?.code === 0) t.is(result.stdout, expected.stdout);
    });
  }
}

/** The lines that tell of a case with another result than the man page's. */
function failures(stdout: string): string {
  return stdout
    .split("\n")
    .filter((line) => line.includes("FAILED"))
    .join("\n");
}
