import { join } from "node:path";
import test from "ava";
import { TREE } from "../../fixtures/images.ts";
import { BUILDS, type Build, EFFORT, runNativeTest } from "../../fixtures/native-test.ts";

/** An arm64 program that runs test vectors; it is run by qemu-aarch64. */
const ORACLE = join(TREE, BUILDS.plain, "translator-oracle");

/** Vectors for each row of the table of instructions, and sequences of a few instructions. */
const SIZES: readonly (readonly [Build, number, number])[] = [
  ["plain", 40, 10_000],
  ["with AddressSanitizer", 8, 1_000],
];

for (const [build, perRow, sequences] of SIZES) {
  test.serial(
    `interpreted arm64 instructions do what qemu's do, to the last bit, ${build}`,
    (t) => {
      const args = [ORACLE, perRow * EFFORT, sequences * EFFORT, EFFORT];
      t.log(runNativeTest(t, build, "translator-differential", args).trim());
    },
  );
}

for (const build of ["plain", "with AddressSanitizer"] as const) {
  test(`any bytes are lowered to blocks that are whole, ${build}`, (t) => {
    const blocks = (build === "plain" ? 100_000 : 20_000) * EFFORT;
    t.log(runNativeTest(t, build, "translator-lowering-fuzz", [blocks, EFFORT]).trim());
  });
}
