import { spawn } from "node:child_process";
import { join } from "node:path";
import test from "ava";
import { MODES, modeOption, openDd } from "../../fixtures/dd.ts";
import { image, TREE } from "../../fixtures/images.ts";

const dd = openDd();
test.before(async (t) => {
  t.timeout(300_000);
  await dd.load(image("busybox"));
});
test.after.always(() => dd.close());

/** What an executor may do to its ring, and what it may claim. `VICTIM` is a process of the host. */
const VIOLATIONS = [
  "bad-slot",
  "idle-slot",
  "twice",
  "huge-length",
  "bad-ticket",
  "guessed-token VICTIM",
  "forged-pid VICTIM",
  "odd-fault 40000",
  "odd-fault 0",
  "others-clone 1",
  "second-start",
  "scribble",
];
/** 128 + SIGKILL. */
const KILLED = 137;

for (const mode of MODES) {
  test.serial(`an executor that abuses its ring dies alone, ${mode}`, async (t) => {
    t.timeout(300_000);
    const victim = spawn("sleep", ["1000"], { stdio: "ignore" });
    t.teardown(() => victim.kill());
    const named = VIOLATIONS.map((scenario) => scenario.replace("VICTIM", String(victim.pid)));
    const script = [
      "sleep 1000 & sibling=$!",
      ...named.map(
        (scenario) => `/h/hostile-guest ${scenario} 2>/dev/null; echo "${scenario}: $?"`,
      ),
      "/h/hostile-guest silence & silent=$!",
      "echo heard | cat; kill -9 $silent; wait $silent; echo silence: $?",
      "kill -0 $sibling && echo sibling lives; kill $sibling",
    ];
    const result = await dd.run(
      ["run", "--rm", ...modeOption(mode), "-v", `${join(TREE, "build-native")}:/h:ro`].concat([
        "busybox:test",
        "sh",
        "-c",
        script.join("\n"),
      ]),
    );
    t.deepEqual(result.stdout.trim().split("\n"), [
      ...named.map((scenario) => `${scenario}: ${KILLED}`),
      "heard",
      `silence: ${KILLED}`,
      "sibling lives",
    ]);
    t.is(result.code, 0, result.stderr);
    t.is(victim.exitCode ?? victim.signalCode, null);
    const next = await dd.run(["run", "--rm", ...modeOption(mode), "busybox:test", "echo", "fine"]);
    t.deepEqual([next.stdout, next.code], ["fine\n", 0], next.stderr);
  });
}
