import test from "ava";
import { MODES, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";
import type { RunResult } from "../fixtures/program.ts";
import { caseOf } from "../known.ts";
import { PROGRAM_ROWS } from "./program-rows.ts";
import { rowRunner, ROW_TIMEOUT_MS as TIMEOUT_MS } from "./row-runner.ts";

const dd = openDd();
const rows = rowRunner(dd);
const native = new Map<string, RunResult>();

test.after.always(async () => {
  await dd.close();
  rows.close();
});

for (const name of ["busybox", "debian"] as const) {
  test.serial(`programs: the ${name} image is loaded`, async (t) => {
    t.timeout(10 * 60_000);
    await t.notThrowsAsync(dd.load(image(name)));
  });
}

for (const row of PROGRAM_ROWS) {
  test.serial(`programs: ${row.name}, on the host`, async (t) => {
    t.timeout(2 * TIMEOUT_MS);
    const result = await rows.natively(row);
    native.set(row.name, result);
    t.not(result.code, -1, result.stderr);
    t.not(result.stdout, "", result.stderr);
  });
  for (const mode of MODES) {
    const title = `programs: ${row.name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(2 * TIMEOUT_MS);
      const expected = native.get(row.name);
      const result = await rows.contained(row, image(row.image).reference, mode);
      t.is(result.stdout, expected?.stdout ?? "", result.stderr);
      t.is(result.code, expected?.code ?? -1, result.stderr);
    });
  }
}
