/** Containers whose sentry is interrupted by signals all the time, as by a profiler's. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { DDCLI, MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { runProgram } from "../fixtures/program.ts";

const TIMEOUT_MS = 5 * 60_000;
/** Each makes processes and maps libraries: what takes descriptors from the sentry. */
const SCRIPT = "for i in 1 2 3 4 5 6 7 8; do (ls / >/dev/null && bash -c :) || exit 3; done";

for (const mode of MODES) {
  test(`in ${mode} mode, signals at any point of a sentry lose no descriptor`, async (t) => {
    t.timeout(TIMEOUT_MS);
    const dd = openDd();
    const profiles = mkdtempSync(join(tmpdir(), "dd-interrupted-"));
    t.teardown(async () => {
      rmSync(profiles, { recursive: true });
      await dd.close();
    });
    const profiler = ["--cpu-prof", "--cpu-prof-interval=100", `--cpu-prof-dir=${profiles}`];
    const run = ["run", "--rm", ...modeOption(mode), "host", "sh", "-c", SCRIPT];
    for (let i = 0; i < 3; i++) {
      const argv = [process.execPath, ...profiler, DDCLI, ...run];
      const { code, stderr } = await runProgram(argv, {
        env: dd.env,
        timeoutMs: TIMEOUT_MS,
      });
      t.is(code, 0, stderr);
    }
  });
}
