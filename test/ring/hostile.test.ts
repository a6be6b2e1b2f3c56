import test from "ava";
import { EFFORT, runNativeTest } from "../fixtures/native-test.ts";

test("a ring that is rewritten while the sentry reads it harms nobody but its owner", (t) => {
  t.log(runNativeTest(t, "with AddressSanitizer", "hub-fuzz", [600 * EFFORT, 300 * EFFORT]).trim());
});
