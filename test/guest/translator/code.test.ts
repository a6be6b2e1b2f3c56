import test from "ava";
import { EFFORT, runNativeTest } from "../../fixtures/native-test.ts";

// Programs that only exist where there is a translator: arm64 guests on x86-64 hosts.
const here = process.arch === "x64" && process.platform === "linux" ? test : test.skip;

here("generated code does what the interpreter does, instruction by instruction", (t) => {
  const args = [24 * EFFORT, 3000 * EFFORT];
  t.log(runNativeTest(t, "plain", "select-check", args).trim());
});

here("translated code faults exactly, follows changes, forks and shares itself", (t) => {
  t.log(runNativeTest(t, "plain", "exec-check").trim());
});
