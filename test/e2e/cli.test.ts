import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { DDCLI, MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";
import { until } from "../fixtures/until.ts";
import { caseOf } from "../known.ts";

const dd = openDd();
const host = mkdtempSync(join(tmpdir(), "dd-cli-"));
writeFileSync(join(host, "file"), "from the host\n");
writeFileSync(join(host, "env"), "# a comment\nFROM_FILE=one two\nINHERITED\n");

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

interface Row {
  readonly name: string;
  /** Options of `ddcli run`, before the image. */
  readonly options?: readonly string[];
  readonly command: readonly string[];
  readonly stdout?: string;
  readonly stderr?: RegExp;
  readonly code?: number;
  readonly input?: string;
}

const ROWS: readonly Row[] = [
  {
    name: "the command's output and code",
    command: ["sh", "-c", "echo out; exit 42"],
    stdout: "out\n",
    code: 42,
  },
  {
    name: "standard error apart",
    command: ["sh", "-c", "echo err >&2"],
    stdout: "",
    stderr: /^err$/m,
  },
  { name: "a missing program is 127", command: ["/no/such"], code: 127, stderr: /no such/i },
  { name: "a name that is not in PATH is 127", command: ["nosuch"], code: 127 },
  { name: "what cannot be executed is 126", command: ["/etc/passwd"], code: 126 },
  { name: "a directory is 126", command: ["/tmp"], code: 126 },
  { name: "a wrong option is 125", options: ["--no-such-option"], command: ["true"], code: 125 },
  {
    name: "death by a signal is 128 + n",
    options: ["--init"],
    command: ["sh", "-c", "kill -9 $$"],
    code: 137,
  },
  {
    name: "pid 1 is immune to its own container's signals",
    command: ["sh", "-c", "kill -9 $$; kill $$; echo alive"],
    stdout: "alive\n",
  },
  { name: "without -i standard input is empty", command: ["cat"], input: "x", stdout: "" },
  { name: "-i", options: ["-i"], command: ["cat"], input: "a\0b\n", stdout: "a\0b\n" },
  {
    name: "-e",
    options: ["-e", "A=1 2", "-e", "B="],
    command: ["sh", "-c", 'echo "$A|$B|"'],
    stdout: "1 2||\n",
  },
  {
    name: "--env-file",
    options: ["--env-file", join(host, "env")],
    command: ["sh", "-c", "echo $FROM_FILE"],
    stdout: "one two\n",
  },
  { name: "-w", options: ["-w", "/usr/bin"], command: ["pwd"], stdout: "/usr/bin\n" },
  {
    name: "-w makes the directory",
    options: ["-w", "/new/dir"],
    command: ["pwd"],
    stdout: "/new/dir\n",
  },
  {
    name: "-u by number",
    options: ["-u", "1000:1001"],
    command: ["sh", "-c", "id -u; id -g"],
    stdout: "1000\n1001\n",
  },
  {
    name: "-u by name",
    options: ["-u", "user"],
    command: ["sh", "-c", "id -un; id -u"],
    stdout: "user\n1000\n",
  },
  {
    name: "-u may not write to root's files",
    options: ["-u", "1000"],
    command: ["sh", "-c", "echo x > /etc/passwd"],
    code: 1,
    stderr: /denied/,
  },
  {
    name: "--entrypoint",
    options: ["--entrypoint", "/bin/echo"],
    command: ["a", "b"],
    stdout: "a b\n",
  },
  { name: "--hostname", options: ["--hostname", "box"], command: ["hostname"], stdout: "box\n" },
  {
    name: "--read-only",
    options: ["--read-only"],
    command: ["sh", "-c", "echo x > /file"],
    code: 1,
    stderr: /Read-only/,
  },
  {
    name: "--read-only with a tmpfs",
    options: ["--read-only", "--mount", "type=tmpfs,target=/t"],
    command: ["sh", "-c", "echo x > /t/f; cat /t/f"],
    stdout: "x\n",
  },
  {
    name: "-v",
    options: ["-v", `${host}:/h`],
    command: ["cat", "/h/file"],
    stdout: "from the host\n",
  },
  {
    name: "-v ro",
    options: ["-v", `${host}:/h:ro`],
    command: ["sh", "-c", "echo x > /h/new"],
    code: 1,
    stderr: /Read-only/,
  },
  {
    name: "--mount bind",
    options: ["--mount", `type=bind,source=${host},target=/h,readonly`],
    command: ["ls", "/h"],
    stdout: "env\nfile\n",
  },
  {
    name: "a bind mount of nothing is 125",
    options: ["--mount", `type=bind,source=${host}/none,target=/h`],
    command: ["true"],
    code: 125,
  },
  {
    name: "--ulimit",
    options: ["--ulimit", "nofile=100:200"],
    command: ["sh", "-c", "ulimit -n"],
    stdout: "100\n",
  },
  {
    name: "--init",
    options: ["--init"],
    command: ["sh", "-c", "[ $$ != 1 ] && echo not first"],
    stdout: "not first\n",
  },
  { name: "the command is pid 1", command: ["sh", "-c", "echo $$"], stdout: "1\n" },
  {
    name: "a network of its own",
    options: ["--network", "none"],
    command: ["sh", "-c", "echo $((1+1))"],
    stdout: "2\n",
  },
  {
    name: "a long output",
    command: ["seq", "200000"],
    stdout: `${Array.from({ length: 200_000 }, (_, i) => i + 1).join("\n")}\n`,
  },
];

for (const mode of MODES) {
  for (const row of ROWS) {
    const title = `ddcli run: ${row.name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(300_000);
      const args = ["run", "--rm", ...modeOption(mode), ...(row.options ?? []), "busybox:test"];
      const result = await dd.run(args.concat(row.command), {
        ...(row.input === undefined ? {} : { input: row.input }),
      });
      t.is(result.code, row.code ?? 0, result.stderr);
      if (row.stdout !== undefined) t.is(result.stdout, row.stdout);
      if (row.stderr !== undefined) t.regex(result.stderr, row.stderr);
    });
  }

  /** Declares a case that is more than one row can say. */
  const scenario = (name: string, body: (t: import("ava").ExecutionContext) => Promise<void>) => {
    const title = `ddcli: ${name}, ${mode}`;
    caseOf(title, test.serial)(title, async (t) => {
      t.timeout(300_000);
      await body(t);
    });
  };

  scenario("-v rw writes to the host", async (t) => {
    const path = join(host, `written-${mode}`);
    const script = `echo inside > /h/written-${mode}; chmod 640 /h/written-${mode}`;
    const run = await dd.run([
      "run",
      "--rm",
      ...modeOption(mode),
      "-v",
      `${host}:/h`,
      "busybox:test",
      "sh",
      "-c",
      script,
    ]);
    t.is(run.code, 0, run.stderr);
    t.is(readFileSync(path, "utf8"), "inside\n");
    rmSync(path);
  });

  scenario("a volume outlives its container", async (t) => {
    const run = (command: string) =>
      dd.run([
        "run",
        "--rm",
        ...modeOption(mode),
        "-v",
        `data-${mode}:/d`,
        "busybox:test",
        "sh",
        "-c",
        command,
      ]);
    t.is((await run("echo kept > /d/f")).code, 0);
    t.is((await run("cat /d/f")).stdout, "kept\n");
  });

  scenario("-d, ps, logs, exec, stop and rm", async (t) => {
    const name = `background-${mode}`;
    const script = "trap 'echo stopping; exit 3' TERM; echo started; while :; do sleep 0.1; done";
    const started = await dd.run([
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
    t.is(started.code, 0, started.stderr);
    t.regex(started.stdout, /^[0-9a-f]{64}\n$/);
    t.true(await until(async () => (await dd.run(["logs", name])).stdout === "started\n"));
    const listed = await dd.run(["ps"]);
    t.regex(listed.stdout, new RegExp(name));
    t.regex(listed.stdout, new RegExp(mode));
    const inside = await dd.run(["exec", name, "sh", "-c", "echo inside; exit 5"]);
    t.deepEqual([inside.stdout, inside.code], ["inside\n", 5], inside.stderr);
    t.is((await dd.run(["exec", name, "nosuch"])).code, 127);
    t.is((await dd.run(["rm", name])).code, 1);
    t.is((await dd.run(["stop", "-t", "100", name])).code, 0);
    t.is((await dd.run(["logs", name])).stdout, "started\nstopping\n");
    const state = await dd.run(["inspect", "--format", "{{.State.ExitCode}}", name]);
    if (state.code === 0) t.is(state.stdout, "3\n");
    t.is((await dd.run(["rm", name])).code, 0);
    t.not((await dd.run(["inspect", name])).code, 0);
    t.true(await until(() => dd.processes().length === 0));
  });

  scenario("kill sends the signal", async (t) => {
    const name = `killed-${mode}`;
    await dd.run([
      "run",
      "-d",
      "--name",
      name,
      ...modeOption(mode),
      "busybox:test",
      "sleep",
      "1000",
    ]);
    t.is((await dd.run(["kill", name])).code, 0);
    t.true(await until(() => dd.processes().length === 0));
    t.is((await dd.run(["rm", name])).code, 0);
  });

  scenario("signals are forwarded", async (t) => {
    const script = "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    const child = spawn(
      process.execPath,
      [DDCLI, "run", "--rm", ...modeOption(mode), "busybox:test", "sh", "-c", script],
      { env: dd.env, stdio: ["ignore", "pipe", "ignore"] },
    );
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    // When all of its output has come.
    const code = new Promise((resolve) => child.on("close", resolve));
    t.true(await until(() => output === "ready\n"));
    child.kill("SIGTERM");
    t.is(await code, 9);
    t.is(output, "ready\ngot\n");
  });

  scenario("nothing is left behind", async (t) => {
    const run = await dd.run([
      "run",
      "--rm",
      ...modeOption(mode),
      "busybox:test",
      "sh",
      "-c",
      "sleep 100 & true",
    ]);
    t.is(run.code, 0, run.stderr);
    t.true(await until(() => dd.processes().length === 0));
    t.is((await dd.run(["ps", "-aq"])).stdout, "");
  });
}

const ONE = "ddcli: a sleeping container in trusted mode is one process";
caseOf(ONE, test.serial)(ONE, async (t) => {
  t.timeout(300_000);
  const child = spawn(process.execPath, [DDCLI, "run", "--rm", "busybox:test", "sleep", "1000"], {
    env: dd.env,
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  // Once it sleeps, what has helped to start it is gone, and nothing more is to come.
  const sleeps = async () => {
    const [id = ""] = (await dd.run(["ps", "-q"])).stdout.split("\n");
    return id !== "" && (await dd.run(["top", id])).stdout.includes("sleep 1000");
  };
  t.true(await until(sleeps));
  await until(() => dd.processes().length === 1);
  t.deepEqual(dd.processes(), [child.pid as number]);
  child.kill("SIGKILL");
  await ended;
});
