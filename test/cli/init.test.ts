import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import test from "ava";
import { withInit } from "../../sentry/container/init-program.ts";

const INIT = fileURLToPath(new URL("../../../Release/dd-init", import.meta.url));

const EXITS = [
  ["the command's own", ["--", "sh", "-c", "exit 4"], 4],
  ["128 + the signal's number", ["sh", "-c", "kill -KILL $$"], 137],
  ["127 for a command that is not there", ["--", "nosuch"], 127],
  ["126 for one that cannot be executed", ["--", "/etc/passwd"], 126],
  ["127 for no command", ["--"], 127],
] as const;

for (const [meaning, words, code] of EXITS) {
  test(`init exits with ${meaning}`, (t) => {
    t.is(spawnSync(INIT, words, { stdio: "ignore" }).status, code);
  });
}

test("init passes signals on to the command", async (t) => {
  const script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
  const child = spawn(INIT, ["--", "sh", "-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  t.is(code, 9);
});

test("--init puts the program before the command, that of the image's processor", (t) => {
  const command = { argv: ["a", "b"], env: [], cwd: "/", user: "" };
  for (const isa of ["x86_64", "arm64"] as const) {
    const { process: wrapped, mount } = withInit(command, isa);
    t.deepEqual(wrapped.argv, [mount.target, "--", "a", "b"]);
    t.true(mount.readOnly);
  }
  t.not(withInit(command, "x86_64").mount.source, withInit(command, "arm64").mount.source);
});
