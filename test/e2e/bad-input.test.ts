import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { DDCLI, MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";
import { until } from "../fixtures/until.ts";
import { caseOf } from "../known.ts";

const dd = openDd();
const host = mkdtempSync(join(tmpdir(), "dd-bad-"));

test.before(async (t) => {
  t.timeout(300_000);
  await dd.load(image("busybox"));
});
test.afterEach.always(async (t) => {
  if (!t.passed) await dd.clear();
});
test.after.always(async () => {
  await dd.close();
  rmSync(host, { recursive: true, force: true });
});

/** After whatever happened, no process is left and the next run works. */
async function recovered(t: ExecutionContext, mode: (typeof MODES)[number]): Promise<void> {
  t.true(await until(() => dd.processes().length === 0));
  const next = await dd.run(["run", "--rm", ...modeOption(mode), "busybox:test", "echo", "fine"]);
  t.deepEqual([next.stdout, next.code], ["fine\n", 0], next.stderr);
  t.true(await until(() => dd.processes().length === 0));
}

/** Files that are no programs, and what execve(2) and docker say of each. */
const CORRUPT = () => {
  const good = readFileSync(join(image("busybox").root, "bin/busybox"));
  const changed = (change: (copy: Buffer) => void) => {
    const copy = Buffer.from(good);
    change(copy);
    return copy;
  };
  return {
    empty: Buffer.alloc(0),
    "only a magic number": good.subarray(0, 4),
    "half a header": good.subarray(0, 40),
    "cut after the header": good.subarray(0, 64),
    "cut in the first segment": good.subarray(0, 10_000),
    "a wrong machine": changed((copy) => copy.writeUInt16LE(0x1234, 18)),
    "a wrong type": changed((copy) => copy.writeUInt16LE(9, 16)),
    "program headers far outside": changed((copy) => copy.writeBigUInt64LE(1n << 62n, 32)),
    "65535 program headers": changed((copy) => copy.writeUInt16LE(65_535, 56)),
    "headers of a wrong size": changed((copy) => copy.writeUInt16LE(1, 54)),
    "a segment at the top of memory": changed((copy) =>
      copy.writeBigUInt64LE(0xfffffffffffff000n, 64 + 16),
    ),
    "a segment larger than memory": changed((copy) => copy.writeBigUInt64LE(1n << 60n, 64 + 40)),
    "an entry point nowhere": changed((copy) => copy.writeBigUInt64LE(0xdeadn << 44n, 24)),
    "all ones after the header": changed((copy) => copy.fill(0xff, 64, 1024)),
  };
};

for (const mode of MODES) {
  for (const [name, content] of Object.entries(CORRUPT())) {
    const title = `bad input: a program that is ${name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(300_000);
      const path = join(host, "program");
      writeFileSync(path, content, { mode: 0o755 });
      const script = "/h/program; echo $?; echo still here";
      const args = ["run", "--rm", ...modeOption(mode), "-v", `${host}:/h:ro`, "busybox:test"];
      const inside = await dd.run(args.concat("sh", "-c", script));
      t.regex(inside.stdout, /\nstill here\n$/, inside.stderr);
      // To execve(2) an empty file is no program; to a shell it is an empty script.
      if (content.length > 0) t.not(inside.stdout.split("\n")[0], "0");
      const direct = await dd.run(args.concat("/h/program"));
      t.true(direct.code >= 126, `${direct.code}: ${direct.stderr}`);
    });
  }

  const scenario = (name: string, body: (t: ExecutionContext) => Promise<void>) => {
    const title = `bad input: ${name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(300_000);
      await body(t);
      await recovered(t, mode);
    });
  };

  scenario("a fork bomb under --pids-limit", async (t) => {
    const bomb = "b() { b | b & }; b 2>/dev/null; sleep 2; echo survived";
    const result = await dd.run(
      ["run", "--rm", ...modeOption(mode), "--pids-limit", "30", "busybox:test", "sh", "-c", bomb],
      { timeoutMs: 180_000 },
    );
    t.not(result.code, -1, "it never ended");
  });

  scenario("--pids-limit lets so many live and no more", async (t) => {
    const script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; echo all";
    const run = (limit: string) =>
      dd.run([
        "run",
        "--rm",
        ...modeOption(mode),
        "--pids-limit",
        limit,
        "busybox:test",
        "sh",
        "-c",
        script,
      ]);
    t.is((await run("10")).stdout, "all\n");
    const less = await run("5");
    t.is(less.stdout, "");
    t.regex(less.stderr, /can't fork|Resource temporarily unavailable/);
  });

  scenario("a memory bomb under -m", async (t) => {
    const bomb = "x=x; while :; do x=$x$x$x$x; done";
    const result = await dd.run(
      ["run", "--rm", ...modeOption(mode), "-m", "64m", "busybox:test", "sh", "-c", bomb],
      { timeoutMs: 180_000 },
    );
    t.true(result.code > 0, `${result.code}: ${result.stderr}`);
  });

  scenario("kill -9 of the sentry", async (t) => {
    const child = spawn(
      process.execPath,
      [
        DDCLI,
        "run",
        "--rm",
        ...modeOption(mode),
        "busybox:test",
        "sh",
        "-c",
        "sleep 1000 & echo ready; sleep 1000",
      ],
      { env: dd.env, stdio: ["ignore", "pipe", "ignore"] },
    );
    // Its output closes only when the last guest process that holds it is gone.
    const ended = new Promise((resolve) => child.on("close", resolve));
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    t.true(await until(() => output === "ready\n"));
    child.kill("SIGKILL");
    await ended;
  });

  scenario("kill -9 of a background container keeps what was written", async (t) => {
    const name = `crash-${mode}`;
    const script = "echo kept > /file; sync; echo ready; sleep 1000";
    await dd.run([
      "run",
      "-d",
      "--name",
      name,
      ...modeOption(mode),
      "busybox:test",
      "sh",
      "-c",
      script,
    ]);
    t.true(await until(async () => (await dd.run(["logs", name])).stdout === "ready\n"));
    dd.kill();
    t.true(await until(() => dd.processes().length === 0));
    t.regex((await dd.run(["ps", "-a"])).stdout, new RegExp(name));
    t.notRegex((await dd.run(["ps"])).stdout, new RegExp(name));
    t.is((await dd.run(["rm", name])).code, 0);
  });

  scenario("an endless output that nobody reads", async (t) => {
    const child = spawn(
      process.execPath,
      [DDCLI, "run", "--rm", ...modeOption(mode), "busybox:test", "yes"],
      { env: dd.env, stdio: ["ignore", "pipe", "ignore"] },
    );
    const ended = new Promise((resolve) => child.on("exit", resolve));
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.stdout.destroy();
    await ended;
    t.pass();
  });

  scenario("calls without sense", async (t) => {
    const script =
      "dd if=/dev/urandom of=/tmp/x bs=1k count=64 2>/dev/null; chmod +x /tmp/x; /tmp/x; sh /tmp/x; true";
    const result = await dd.run(
      ["run", "--rm", ...modeOption(mode), "busybox:test", "sh", "-c", script],
      {
        timeoutMs: 60_000,
      },
    );
    t.not(result.code, -1);
  });
}

test.serial(
  "bad input: the store of images stays readable by its owner only where it must",
  (t) => {
    t.is(statSync(dd.root).mode & 0o022, 0);
  },
);
