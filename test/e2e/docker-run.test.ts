/** `docker run`, `exec`, `attach` and `logs` by real docker clients, against a daemon of their own. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import test from "ava";
import { dockerClients, openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image, TREE } from "../fixtures/images.ts";
import { type RunResult, runProgram } from "../fixtures/program.ts";
import { until } from "../fixtures/until.ts";

const IMAGE = "busybox:test";
/** Says when it is ready, in words that are not in what is typed. */
const INTERRUPTIBLE =
  'trap "echo inter""rupted; exit 5" INT; echo rea""dy; while :; do sleep 0.05; done';
const clients = dockerClients();
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  engine = await openEngine();
  await engine.dd.load(image("busybox"));
});
test.after.always(() => engine?.close());

interface Row {
  readonly name: string;
  /** Options before the image. */
  readonly options?: readonly string[];
  readonly command: readonly string[];
  readonly stdout?: string;
  readonly stderr?: string | RegExp;
  readonly code?: number;
  readonly input?: string;
}

const ROWS: readonly Row[] = [
  {
    name: "output, errors apart, and the exit code",
    command: ["sh", "-c", "echo out; echo err >&2; exit 42"],
    stdout: "out\n",
    stderr: "err\n",
    code: 42,
  },
  {
    name: "memory for files, with an owner of its own",
    options: ["--tmpfs", "/t:size=2m,mode=700,uid=5,gid=6"],
    command: ["stat", "-c", "%a %u %g", "/t"],
    stdout: "700 5 6\n",
  },
  {
    name: "the whole of its name among its hosts",
    options: ["--hostname", "host", "--domainname", "example.org"],
    command: ["sh", "-c", "hostname; tail -n 1 /etc/hosts | cut -f 2"],
    stdout: "host\nhost.example.org host\n",
  },
  {
    name: "piped input to its end",
    options: ["-i"],
    command: ["sh", "-c", "cat; echo the end"],
    input: "one\ntwo",
    stdout: "one\ntwothe end\n",
  },
  {
    name: "no input without -i",
    command: ["sh", "-c", "cat; echo the end"],
    input: "one\n",
    stdout: "the end\n",
  },
  {
    name: "the last byte of much output",
    command: ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done"],
    stdout: Array.from({ length: 20_000 }, (_, i) => `${i}\n`).join(""),
  },
  {
    name: "a missing program: 127",
    command: ["nosuch"],
    stdout: "",
    stderr: /exec: "nosuch": executable file not found in \$PATH/,
    code: 127,
  },
  {
    name: "a missing path: 127",
    command: ["/no/such"],
    stderr: /exec: "\/no\/such": stat \/no\/such: no such file or directory/,
    code: 127,
  },
  {
    name: "what cannot be executed: 126",
    command: ["/etc/passwd"],
    stderr: /exec: "\/etc\/passwd": permission denied/,
    code: 126,
  },
  {
    name: "environment, user, directory, hostname and entrypoint",
    options: [
      ...["-e", "A=1", "-u", "1000:1000", "-w", "/var/tmp/new", "-h", "box", "--entrypoint", "sh"],
    ],
    command: ["-c", "echo $A $(id -u) $PWD $(hostname)"],
    stdout: "1 1000 /var/tmp/new box\n",
  },
  {
    name: "an init that reaps",
    options: ["--init"],
    command: ["sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '"],
    stdout: "/sbin/docker-init -- sh -c cat /proc/1/cmdline | tr '\\0' ' ' ",
  },
  {
    name: "a tmpfs and a read-only root",
    options: ["--read-only", "--tmpfs", "/scratch:size=1m"],
    command: ["sh", "-c", "touch /x; echo > /scratch/x && echo written"],
    stdout: "written\n",
    stderr: /Read-only file system/,
  },
  {
    name: "untrusted, by its runtime",
    options: ["--runtime", "untrusted"],
    command: ["echo", "confined"],
    stdout: "confined\n",
  },
];

for (const client of clients) {
  for (const row of ROWS) {
    test(`${nameOf(client)} run: ${row.name}`, async (t) => {
      const args = ["run", "--rm", ...(row.options ?? []), IMAGE, ...row.command];
      const options = row.input === undefined ? {} : { input: row.input };
      const result = await engine.docker(args, { client, ...options });
      t.is(result.code, row.code ?? 0, result.stderr);
      if (row.stdout !== undefined) t.is(result.stdout, row.stdout);
      if (typeof row.stderr === "string") t.is(result.stderr, row.stderr);
      else if (row.stderr !== undefined) t.regex(result.stderr, row.stderr);
    });
  }
}

test("an unknown image is pulled, and its absence told with 125", async (t) => {
  const { code, stderr } = await engine.docker(["run", "--rm", "--pull", "never", "nosuch:1", "x"]);
  t.is(code, 125);
  t.regex(stderr, /No such image: nosuch:1/);
});

test("an unknown runtime is refused", async (t) => {
  const { code, stderr } = await engine.docker(["run", "--rm", "--runtime", "kata", IMAGE, "true"]);
  t.is(code, 125);
  t.regex(stderr, /unknown or invalid runtime name: kata/);
});

test("a terminal: its size from the start, a resize, Ctrl-C, the exit code", async (t) => {
  const result = await onTerminal(
    ["run", "--rm", "-it", IMAGE, "sh"],
    [
      { expect: "/ # " },
      { send: "stty size\n" },
      { expect: "24 80" },
      { expect: "/ # " },
      { size: [40, 100] },
      { send: "until [ \"$(stty size)\" = '40 100' ]; do sleep 0.05; done; echo it' 'does\n" },
      { expect: "it does" },
      { expect: "/ # " },
      { send: `sh -c '${INTERRUPTIBLE}'\n` },
      { expect: "ready" },
      { send: "\u0003" },
      { expect: "interrupted" },
      { expect: "/ # " },
      { send: "exit 7\n" },
    ],
  );
  t.is(result.code, 7, result.stdout);
});

test("exec -it beside a container, and attach with its detach keys", async (t) => {
  await engine.docker(["run", "-dit", "--name", "terminal", IMAGE, "sh"]);
  const exec = await onTerminal(
    ["exec", "-it", "terminal", "sh"],
    [{ expect: "/ # " }, { send: "tty\n" }, { expect: "/dev/pts/1" }, { send: "exit 3\n" }],
  );
  t.is(exec.code, 3, exec.stdout);
  const attached = await onTerminal(
    ["attach", "terminal"],
    [{ expect: "/ # " }, { send: "\u0010\u0011" }, { expect: "read escape sequence" }],
  );
  t.regex(attached.stdout, /read escape sequence/);
  const { stdout } = await engine.docker(["inspect", "-f", "{{.State.Running}}", "terminal"]);
  t.is(stdout, "true\n");
  await engine.docker(["rm", "-f", "terminal"]);
});

test("several clients see what a container prints, and one of them types", async (t) => {
  await engine.docker(["create", "-i", "--name", "shared", IMAGE, "cat"]);
  const watch = () => engine.docker(["attach", "--no-stdin", "shared"]);
  await engine.docker(["start", "shared"]);
  const [first, second] = [watch(), watch()];
  const attaches = async () => {
    const { stdout } = await engine.docker([
      ...["events", "--since", "60s", "--until", "0s", "--filter", "container=shared"],
      ...["--filter", "event=attach", "--format", "{{.Action}}"],
    ]);
    return stdout.split("\n").length - 1;
  };
  t.true(await until(async () => (await attaches()) >= 2));
  const typed = await engine.docker(["attach", "shared"], { input: "hello\n" });
  t.is(typed.stdout, "hello\n");
  t.is((await first).stdout, "hello\n");
  t.is((await second).stdout, "hello\n");
  await engine.docker(["rm", "-f", "shared"]);
});

test("exec: streams, exit codes, environment, input, and a command that is not there", async (t) => {
  await engine.docker(["run", "-d", "--name", "execs", "-e", "FROM=run", IMAGE, "sleep", "1000"]);
  const exec = (args: readonly string[], input?: string) =>
    engine.docker(["exec", ...args], input === undefined ? {} : { input });
  t.like(await exec(["execs", "sh", "-c", "echo out; echo err >&2; exit 9"]), {
    stdout: "out\n",
    stderr: "err\n",
    code: 9,
  });
  t.like(await exec(["-i", "execs", "cat"], "piped"), { stdout: "piped", code: 0 });
  t.like(await exec(["-e", "A=2", "-w", "/tmp", "execs", "sh", "-c", "echo $FROM $A $PWD"]), {
    stdout: "run 2 /tmp\n",
  });
  // What stays in the background does not hold the exec up.
  t.like(await exec(["execs", "sh", "-c", "sleep 1000 & echo left"]), {
    stdout: "left\n",
    code: 0,
  });
  const missing = await exec(["execs", "nosuch"]);
  t.is(missing.code, 127);
  t.regex(missing.stdout + missing.stderr, /OCI runtime exec failed: .*executable file not found/);
  t.is((await exec(["execs", "/etc/passwd"])).code, 126);
  await engine.docker(["rm", "-f", "execs"]);
  t.like(await exec(["execs", "true"]), { code: 1 });
});

test("logs: streams, tail, timestamps, since, and following to the end", async (t) => {
  const script = "echo one; echo two >&2; sleep 0.5; echo three";
  await engine.docker(["run", "-d", "--name", "logged", IMAGE, "sh", "-c", script]);
  const followed = await engine.docker(["logs", "-f", "logged"]);
  t.is(followed.stdout, "one\nthree\n");
  t.is(followed.stderr, "two\n");
  t.is((await engine.docker(["logs", "--tail", "1", "logged"])).stdout, "three\n");
  t.is((await engine.docker(["logs", "--tail", "0", "logged"])).stdout, "");
  const stamped = await engine.docker(["logs", "-t", "--tail", "1", "logged"]);
  t.regex(stamped.stdout, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z three\n$/);
  const time = stamped.stdout.split(" ")[0] ?? "";
  const since = await engine.docker(["logs", "--since", time, "logged"]);
  t.is(since.stdout, "three\n");
  await engine.docker(["rm", "logged"]);
});

function nameOf(client: string): string {
  return client === clients[0] ? "docker" : "docker of Debian";
}

/** Runs the installed client on a terminal; see test/fixtures/terminal.py. */
function onTerminal(args: readonly string[], steps: readonly object[]): Promise<RunResult> {
  const driver = ["python3", join(TREE, "test/fixtures/terminal.py"), JSON.stringify(steps)];
  return runProgram([...driver, clients[0] ?? "", ...args], { env: engine.env });
}

test("a client that is killed leaves the container alone", async (t) => {
  const child = spawn(clients[0] ?? "", ["run", "--name", "left", IMAGE, "sleep", "1000"], {
    env: engine.env as NodeJS.ProcessEnv,
    stdio: "ignore",
  });
  const running = async () =>
    (await engine.docker(["inspect", "-f", "{{.State.Status}}", "left"])).stdout === "running\n";
  t.true(await until(running));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  t.true(await running());
  await engine.docker(["rm", "-f", "left"]);
});
