import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { MODES, type Mode, modeOption, openDd } from "../fixtures/dd.ts";
import { type HostImageName, image, TREE } from "../fixtures/images.ts";
import { type RunResult, runProgram } from "../fixtures/program.ts";
import { caseOf } from "../known.ts";
import { PROGRAM_ROWS, type ProgramRow } from "./program-rows.ts";

const SHELL: Record<HostImageName, string> = { busybox: "/bin/sh", debian: "/bin/bash" };
const TIMEOUT_MS = 90_000;

const dd = openDd();
const base = mkdtempSync(join(tmpdir(), "dd-programs-"));
const native = new Map<string, RunResult>();
let directories = 0;

test.after.always(async () => {
  await dd.close();
  rmSync(base, { recursive: true, force: true });
});

/** A fresh directory that holds the row's files. */
function workDirectory(row: ProgramRow): string {
  const path = join(base, String(directories++));
  mkdirSync(path);
  for (const [name, text] of Object.entries(row.files ?? {})) writeFileSync(join(path, name), text);
  return path;
}

const input = (row: ProgramRow) => (row.input === undefined ? {} : { input: row.input });

function runNatively(row: ProgramRow): Promise<RunResult> {
  const command = [image(row.image).root, workDirectory(row), SHELL[row.image], "-c", row.script];
  return runProgram([join(TREE, "test/fixtures/native.sh"), ...command], {
    timeoutMs: TIMEOUT_MS,
    ...input(row),
  });
}

function runInContainer(row: ProgramRow, mode: Mode): Promise<RunResult> {
  const options = ["--rm", ...modeOption(mode), "-v", `${workDirectory(row)}:/work`];
  if (row.input !== undefined) options.push("-i");
  return dd.run(
    ["run", ...options, image(row.image).reference, SHELL[row.image], "-c", row.script],
    { timeoutMs: TIMEOUT_MS, ...input(row) },
  );
}

for (const name of ["busybox", "debian"] as const) {
  test.serial(`programs: the ${name} image is loaded`, async (t) => {
    t.timeout(10 * 60_000);
    await t.notThrowsAsync(dd.load(image(name)));
  });
}

for (const row of PROGRAM_ROWS) {
  test.serial(`programs: ${row.name}, on the host`, async (t) => {
    t.timeout(2 * TIMEOUT_MS);
    const result = await runNatively(row);
    native.set(row.name, result);
    t.not(result.code, -1, result.stderr);
    t.not(result.stdout, "", result.stderr);
  });
  for (const mode of MODES) {
    const title = `programs: ${row.name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(2 * TIMEOUT_MS);
      const expected = native.get(row.name);
      const result = await runInContainer(row, mode);
      t.is(result.stdout, expected?.stdout ?? "", result.stderr);
      t.is(result.code, expected?.code ?? -1, result.stderr);
    });
  }
}
