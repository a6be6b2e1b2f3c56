/** docker-py (Debian's) against a daemon of its own; the cases are in test/fixtures/docker_client.py. */
import { join } from "node:path";
import test from "ava";
import { openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image, TREE } from "../fixtures/images.ts";
import { runProgram } from "../fixtures/program.ts";

const CASES = 23;
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  engine = await openEngine();
  await engine.dd.load(image("busybox"));
});
test.after.always(() => engine?.close());

test("every case of docker-py", async (t) => {
  t.timeout(300_000);
  // The system's own python: that is where Debian's docker-py is.
  const script = join(TREE, "test/fixtures/docker_client.py");
  const { stdout, stderr } = await runProgram(
    ["/usr/bin/python3", script, engine.socketPath, "busybox:test"],
    { env: engine.env, timeoutMs: 290_000 },
  );
  const lines = stdout.split("\n").filter((line) => line !== "");
  t.deepEqual(
    lines.filter((line) => !line.startsWith("ok ")),
    [],
    stderr,
  );
  t.is(lines.length, CASES, stderr);
});
