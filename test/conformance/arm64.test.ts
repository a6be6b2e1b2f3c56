/**
 * The conformance programs as arm64 programs, translated; and test/arm64/checks, which ask what only that
 * instruction set has.
 */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { image, TREE } from "../fixtures/images.ts";
import { caseOf } from "../known.ts";

const BUILD_MS = 240_000;
const RUN_MS = 480_000;
const ROOMS = ["test/conformance", "test/arm64/checks"].map((room) => join(TREE, room));
const programs = join(TREE, "build/conformance-arm64");
const names = ROOMS.flatMap((room) => readdirSync(room))
  .filter((file) => file.endsWith(".c"))
  .map((file) => file.slice(0, -2));

/** All of them in one container: starting one for each would take longer than they do. */
const SCRIPT = `for name in ${names.join(" ")}; do
  echo "=== $name"; timeout 120 /conformance/$name; echo "=== $?"
done`;

interface Ended {
  readonly stdout: string;
  readonly code: number;
}

const dd = openDd();
test.after.always(() => dd.close());

test.serial("arm64 conformance: the programs are built, and there is an image", async (t) => {
  t.timeout(BUILD_MS);
  execFileSync(join(TREE, "test/conformance/build.sh"), [programs, ...ROOMS], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, CC: "aarch64-linux-gnu-gcc" },
  });
  await t.notThrowsAsync(dd.load(image("busybox-arm64")));
});

for (const mode of MODES) {
  const ended = new Map<string, Ended>();

  test.serial(`arm64 conformance: the programs run, ${mode}`, async (t) => {
    t.timeout(RUN_MS);
    const options = [...modeOption(mode), "-v", `${programs}:/conformance:ro`];
    const result = await dd.run(
      ["run", "--rm", "-q", ...options, image("busybox-arm64").reference, "sh", "-c", SCRIPT],
      { timeoutMs: RUN_MS },
    );
    for (const [, name, stdout, code] of result.stdout.matchAll(
      /^=== ([a-z_]+)\n(.*?)^=== (\d+)\n/gms,
    )) {
      ended.set(name as string, { stdout: stdout as string, code: Number(code) });
    }
    t.is(ended.size, names.length, result.stderr);
  });

  for (const name of names) {
    const title = `arm64 conformance: ${name}, ${mode}`;
    caseOf(title, test.serial)(title, (t) => {
      const { stdout, code } = ended.get(name) ?? { stdout: "", code: -1 };
      t.deepEqual(
        stdout.split("\n").filter((line) => line.includes("FAILED")),
        [],
      );
      t.is(code, 0, stdout);
    });
  }
}
