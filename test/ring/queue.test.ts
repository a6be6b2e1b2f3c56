import test from "ava";
import { type Build, EFFORT, runNativeTest } from "../fixtures/native-test.ts";

test("the queue does what its model does, wraps and lies included", (t) => {
  t.log(runNativeTest(t, "with AddressSanitizer", "queue-model", [2_000_000 * EFFORT]).trim());
});

/** How many entries go through the queue: ThreadSanitizer makes each dear. */
const ENTRIES: readonly (readonly [Build, number])[] = [
  ["plain", 4_000_000],
  ["with ThreadSanitizer", 1_000_000],
];

for (const [build, entries] of ENTRIES) {
  test.serial(`many producers and one consumer lose and mix up nothing, ${build}`, (t) => {
    t.log(runNativeTest(t, build, "queue-stress", [entries * EFFORT]).trim());
  });
}

for (const build of ["plain", "with ThreadSanitizer"] as const) {
  test.serial(`no wake is lost between executors and a sentry that sleep, ${build}`, (t) => {
    t.log(runNativeTest(t, build, "doorbell-stress", [10_000 * EFFORT]).trim());
  });
}
