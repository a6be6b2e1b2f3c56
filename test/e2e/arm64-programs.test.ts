/** The rows of program-rows.ts on arm64 images: translated, they must do what the same programs do natively. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { MODES, type Mode, modeOption, openDd } from "../fixtures/dd.ts";
import { type ImageName, image, TREE } from "../fixtures/images.ts";
import { type RunResult, runProgram } from "../fixtures/program.ts";
import { caseOf } from "../known.ts";
import { PROGRAM_ROWS, type ProgramRow } from "./program-rows.ts";

const SHELL: Partial<Record<ImageName, string>> = { busybox: "/bin/sh", debian: "/bin/bash" };
const TIMEOUT_MS = 90_000;

const dd = openDd();
const base = mkdtempSync(join(tmpdir(), "dd-arm64-"));
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
const shell = (row: ProgramRow) => [SHELL[row.image] ?? "/bin/sh", "-c", row.script];

function runNatively(row: ProgramRow): Promise<RunResult> {
  const command = [image(row.image).root, workDirectory(row), ...shell(row)];
  return runProgram([join(TREE, "test/fixtures/native.sh"), ...command], {
    timeoutMs: TIMEOUT_MS,
    ...input(row),
  });
}

function runTranslated(row: ProgramRow, mode: Mode): Promise<RunResult> {
  const options = ["--rm", "--platform", "linux/arm64", "--pull", "never", ...modeOption(mode)];
  if (row.input !== undefined) options.push("-i");
  const { reference } = image(armImage(row));
  return dd.run(
    ["run", ...options, "-v", `${workDirectory(row)}:/work`, reference, ...shell(row)],
    {
      timeoutMs: TIMEOUT_MS,
      ...input(row),
    },
  );
}

const armImage = (row: ProgramRow): ImageName =>
  row.image === "busybox" ? "busybox-arm64" : "debian-arm64";

for (const name of ["busybox-arm64", "debian-arm64"] as const) {
  test.serial(`arm64 programs: the image ${name} is loaded`, async (t) => {
    t.timeout(10 * 60_000);
    await t.notThrowsAsync(dd.load(image(name)));
  });
}

for (const mode of MODES) {
  test.serial(`arm64 programs: uname tells the image's processor, ${mode}`, async (t) => {
    const { reference } = image("busybox-arm64");
    const result = await dd.run(["run", "--rm", ...modeOption(mode), reference, "uname", "-m"]);
    t.is(result.stdout, "aarch64\n", result.stderr);
    t.regex(result.stderr, /is for linux\/arm64/);
  });
}

// The arm64 image's packages are not configured (fixtures/images.sh).
for (const row of PROGRAM_ROWS.filter(({ tellsOfImage }) => !tellsOfImage)) {
  for (const mode of MODES) {
    const title = `arm64 programs: ${row.name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(2 * TIMEOUT_MS);
      const expected = await runNatively(row);
      const result = await runTranslated(row, mode);
      t.is(result.stdout, expected.stdout, result.stderr);
      t.is(result.code, expected.code, result.stderr);
    });
  }
}
