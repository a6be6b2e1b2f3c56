/** The rows of program-rows.ts on arm64 images: translated, they must do what the same programs do natively. */
import test from "ava";
import { MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";
import { caseOf } from "../known.ts";
import { PROGRAM_ROWS } from "./program-rows.ts";
import { rowRunner, ROW_TIMEOUT_MS as TIMEOUT_MS } from "./row-runner.ts";

const dd = openDd();
const rows = rowRunner(dd, ["--platform", "linux/arm64", "--pull", "never"]);

test.after.always(async () => {
  await dd.close();
  rows.close();
});

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

for (const mode of MODES) {
  test.serial(
    `arm64 programs: --init is a program of the image's processor, ${mode}`,
    async (t) => {
      const { reference } = image("busybox-arm64");
      const command = ["sh", "-c", "tr '\\0' ' ' </proc/1/cmdline; exit 5"];
      const options = [...modeOption(mode), "-q", "--init", reference];
      const result = await dd.run(["run", "--rm", ...options, ...command]);
      t.regex(result.stdout, /^\/sbin\/docker-init -- sh -c /, result.stderr);
      t.is(result.code, 5, result.stderr);
    },
  );
}

// The arm64 image's packages are not configured (fixtures/images.sh).
for (const row of PROGRAM_ROWS.filter(({ tellsOfImage }) => !tellsOfImage)) {
  for (const mode of MODES) {
    const title = `arm64 programs: ${row.name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(2 * TIMEOUT_MS);
      const expected = await rows.natively(row);
      const result = await rows.contained(row, image(`${row.image}-arm64`).reference, mode);
      t.is(result.stdout, expected.stdout, result.stderr);
      t.is(result.code, expected.code, result.stderr);
    });
  }
}
