import test from "ava";
import { EFFORT, runNativeTest } from "../../fixtures/native-test.ts";

test("generated code does what the interpreter does, instruction by instruction", (t) => {
  const args = [24 * EFFORT, 3000 * EFFORT];
  t.log(runNativeTest(t, "plain", "select-check", args).trim());
});

test("translated code faults exactly, follows changes, forks and shares itself", (t) => {
  t.log(runNativeTest(t, "plain", "exec-check").trim());
});

test("translations made ahead are taken over where the bytes are the same, and only there", (t) => {
  t.log(runNativeTest(t, "plain", "stored-check").trim());
});
