import test from "ava";
import { runNativeTest } from "../fixtures/native-test.ts";

// Programs that only exist where there is a translator: arm64 guests on x86-64 hosts.
const here = process.arch === "x64" && process.platform === "linux" ? test : test.skip;

here("translated code faults exactly, follows changes, forks and shares itself", (t) => {
  t.log(runNativeTest(t, "plain", "exec-check").trim());
});
