import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { until } from "../fixtures/until.ts";
import { Ddcli } from "./ddcli.ts";

/** Exit codes and where their reasons are told, as docker's. */
const EXITS = [
  ["the command's own", ["host", "sh", "-c", "exit 7"], 7, ""],
  ["128 + the signal's number", ["host", "sh", "-c", "kill -TERM $$"], 143, ""],
  [
    "127 for a program that is not there",
    ["host", "nosuch"],
    127,
    'ddcli: exec: "nosuch": No such file',
  ],
  [
    "126 for one that cannot be executed",
    ["host", "/etc/passwd"],
    126,
    'ddcli: exec: "/etc/passwd": Permission',
  ],
  [
    "127 for a directory that is not there",
    ["-w", "/nosuch", "host", "true"],
    127,
    "ddcli: chdir to /nosuch",
  ],
  ["125 for a wrong command line", ["--nosuch", "host"], 125, "ddcli: unknown option: --nosuch"],
  [
    "125 for an unknown user",
    ["-u", "nobody-here", "host", "true"],
    125,
    "ddcli: unable to find user nobody-here",
  ],
  [
    "125 for a missing bind source",
    ["--mount", "type=bind,src=/nosuch,dst=/x", "host"],
    125,
    "bind source path does not exist: /nosuch",
  ],
  [
    "125 for an image that is not there",
    ["--pull", "never", "nosuch:1", "sh"],
    125,
    "ddcli: No such image: nosuch:1",
  ],
  ["1 for -t without a terminal", ["-it", "host", "sh"], 1, "the input device is not a TTY"],
] as const;

for (const [meaning, words, code, stderr] of EXITS) {
  test(`run exits with ${meaning}: ${words.join(" ")}`, async (t) => {
    const dd = new Ddcli(t);
    const result = await dd.run("run", "--rm", ...words);
    t.is(result.code, code);
    t.is(result.stdout, "");
    if (stderr === "") t.is(result.stderr, "");
    else t.true(result.stderr.includes(stderr), result.stderr);
    t.is((await dd.run("ps", "-aq")).stdout, "", "--rm leaves nothing");
    t.deepEqual(readdirSync(dd.directories.run), []);
  });
}

test("run passes descriptors through: output apart, standard input only with -i", async (t) => {
  const dd = new Ddcli(t);
  const script = ["host", "sh", "-c", "cat; echo out; echo err >&2"];
  const without = await dd.runWith({ input: "typed\n" }, "run", ...script);
  t.like(without, { code: 0, stdout: "out\n", stderr: "err\n" });
  const withInput = await dd.runWith({ input: "typed\n" }, "run", "-i", ...script);
  t.like(withInput, { code: 0, stdout: "typed\nout\n", stderr: "err\n" });
});

test("run gives the environment docker gives", async (t) => {
  const dd = new Ddcli(t);
  const file = join(dd.directories.root, "..", "env");
  mkdirSync(dd.directories.root, { recursive: true });
  writeFileSync(file, "# comment\n\nA=file\nB=file \nHERE\n");
  const { stdout } = await dd.runWith(
    { env: { HERE: "here", SECRET: "no" } },
    ...["run", "--hostname", "box", "--env-file", file, "-e", "A=option", "-e", "NOTHERE"],
    ...["host", "env"],
  );
  const lines = stdout
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith("UID_WANTED"));
  t.deepEqual(lines.sort(), [
    "A=option",
    "B=file ",
    "HERE=here",
    "HOME=/",
    "HOSTNAME=box",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  ]);
});

test("signals sent to ddcli reach the container, whose exit code is ddcli's", async (t) => {
  const dd = new Ddcli(t);
  const script = "trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
  const child = dd.spawn(["run", "--rm", "host", "sh", "-c", script], ["ignore", "pipe", "ignore"]);
  await once(child.stdout ?? child, "data");
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  t.is(code, 9);
});

test("the third Ctrl-C ends a container that does not listen", async (t) => {
  const dd = new Ddcli(t);
  const script = "trap 'echo no' INT; echo ready; while :; do sleep 0.05; done";
  const child = dd.spawn(["run", "--rm", "host", "sh", "-c", script], ["ignore", "pipe", "ignore"]);
  for (let i = 0; i < 3; i++) {
    await once(child.stdout ?? child, "data");
    child.kill("SIGINT");
  }
  const [code] = await once(child, "exit");
  t.is(code, 137);
});

test("a container in the background: started, seen, logged, entered, stopped, removed", async (t) => {
  const dd = new Ddcli(t);
  const script = "echo out; printf unfinished; echo err >&2; exec sleep 1000";
  const { code, stdout } = await dd.run(
    "run",
    "-d",
    "--name",
    "web",
    "-l",
    "job=1",
    "host",
    "sh",
    "-c",
    script,
  );
  t.is(code, 0);
  const id = stdout.trim();
  t.regex(id, /^[0-9a-f]{64}$/);

  const ps = await dd.run("ps", "--no-trunc", "--filter", "label=job=1", "--json");
  t.like(JSON.parse(ps.stdout), { ID: id, Names: "web", State: "running", Mode: "trusted" });
  const exec = await dd.run("exec", "-e", "X=1", "web", "sh", "-c", "echo in $X; exit 5");
  t.like(exec, { code: 5, stdout: "in 1\n" });
  t.is((await dd.run("exec", "web", "nosuch")).code, 127);
  t.true((await dd.run("top", "web")).stdout.includes("sleep 1000"));
  t.true((await dd.run("stats", "--json")).stdout.includes('"MemUsage":"1MB / -"'));
  t.true(await until(async () => (await dd.run("logs", "web")).stderr === "err\n"));

  t.like(await dd.run("stop", "web"), { code: 0, stdout: "web\n" });
  t.like(await dd.run("logs", "web"), { stdout: "out\nunfinished", stderr: "err\n" });
  t.is(
    (await dd.run("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "web")).stdout,
    "exited 143\n",
  );
  t.is((await dd.run("wait", "web")).stdout, "143\n");
  t.like(await dd.run("rm", "web"), { code: 0, stdout: "web\n" });
  t.like(await dd.run("rm", "web"), { code: 1, stdout: "" });
  t.like(await dd.run("rm", "-f", "web"), { code: 0 });
});

test("stop kills what ignores its signal", async (t) => {
  const dd = new Ddcli(t);
  const script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
  await dd.run("run", "-d", "--name", "web", "host", "sh", "-c", script);
  t.true(await until(async () => (await dd.run("logs", "web")).stdout !== ""));
  await dd.run("stop", "-t", "0", "web");
  t.is((await dd.run("wait", "web")).stdout, "137\n");
});

test("run -d tells why a container could not start, with docker's exit code", async (t) => {
  const dd = new Ddcli(t);
  const failed = await dd.run("run", "-d", "--name", "web", "host", "nosuch");
  t.is(failed.code, 127);
  t.is(failed.stdout, "");
  t.is(failed.stderr, 'ddcli: exec: "nosuch": No such file or directory\n');
  t.is((await dd.run("ps", "-a", "--format", "{{.Names}} {{.State}}")).stdout, "web exited\n");
});

test("a stopped container starts again, in the background and in the foreground", async (t) => {
  const dd = new Ddcli(t);
  await dd.run("create", "--name", "job", "host", "sh", "-c", "echo again; exit 3");
  t.is((await dd.run("ps", "-a", "--format", "{{.Status}}")).stdout, "Created\n");
  t.like(await dd.run("start", "-a", "job"), { code: 3, stdout: "again\n" });
  t.like(await dd.run("start", "job"), { code: 0, stdout: "job\n" });
  t.is((await dd.run("wait", "job")).stdout, "3\n");
  t.is((await dd.run("logs", "job")).stdout, "again\n");
});

test("rm refuses a running container and kills it with -f; a second rm at once is no harm", async (t) => {
  const dd = new Ddcli(t);
  await dd.run("run", "-d", "--name", "web", "host", "sleep", "1000");
  t.like(await dd.run("rm", "web"), { code: 1 });
  const both = await Promise.all([
    dd.run("rm", "-f", "web"),
    dd.run("rm", "-f", "web"),
    dd.run("stop", "web"),
  ]);
  t.is(both[0]?.code, 0);
  t.is(both[1]?.code, 0);
  t.is((await dd.run("ps", "-aq")).stdout, "");
});

test("logs -f shows what comes until the container ends", async (t) => {
  const dd = new Ddcli(t);
  const script = "for i in 1 2 3; do echo line $i; sleep 0.1; done";
  await dd.run("run", "-d", "--name", "web", "host", "sh", "-c", script);
  const { stdout } = await dd.run("logs", "-f", "-t", "web");
  t.regex(stdout, /^(\d{4}-\d{2}-\d{2}T[0-9:.]+Z line \d\n){3}$/);
});

test("an untrusted container may not have dd's own directories or a socket", async (t) => {
  const dd = new Ddcli(t);
  await dd.run("volume", "create", "data");
  for (const source of [dd.directories.root, join(dd.directories.root, "volumes"), "/", "/proc"]) {
    const refused = await dd.run(
      "run",
      "--rm",
      "--untrusted",
      "-v",
      `${source}:/x`,
      "host",
      "true",
    );
    t.is(refused.code, 125, source);
    t.true(refused.stderr.includes("An untrusted container may not have"), refused.stderr);
  }
  const taken = await dd.run("run", "--rm", "--untrusted", "-v", "data:/x", "host", "true");
  t.is(taken.code, 0);
});

test("DDJIT_UNTRUSTED=1 makes every container untrusted", async (t) => {
  const dd = new Ddcli(t);
  await dd.runWith({ env: { DDJIT_UNTRUSTED: "1" } }, "create", "--name", "web", "host");
  t.is((await dd.run("ps", "-a", "--format", "{{.Mode}}")).stdout, "untrusted\n");
});

test("-v makes the missing directory of the host, and volumes of the image go with --rm", async (t) => {
  const dd = new Ddcli(t);
  const made = join(dd.directories.root, "..", "made", "here");
  await dd.run("run", "--rm", "-v", `${made}:/x`, "-v", "/anonymous", "host", "true");
  t.true(existsSync(made));
  t.is((await dd.run("volume", "ls", "-q")).stdout, "");
});

test("a cidfile gets the id and is never overwritten", async (t) => {
  const dd = new Ddcli(t);
  const cidfile = join(dd.directories.root, "..", "cid");
  mkdirSync(dd.directories.root, { recursive: true });
  const { stdout } = await dd.run("create", "--cidfile", cidfile, "host");
  t.is(readFileSync(cidfile, "utf8"), stdout.trim());
  const refused = await dd.run("create", "--cidfile", cidfile, "host");
  t.is(refused.code, 125);
  t.true(refused.stderr.includes("container ID file found"));
});

test("an error of the sentry is told and leaves a container that says so", async (t) => {
  const dd = new Ddcli(t);
  await dd.run("create", "--name", "web", "host");
  const { stdout } = await dd.run("inspect", "--format", "{{.Id}}", "web");
  const file = join(dd.directories.root, "containers", stdout.trim(), "container.json");
  writeFileSync(file, readFileSync(file, "utf8").replace('"image":"host"', '"image":"broken"'));
  t.like(await dd.run("start", "-a", "web"), { code: 125, stderr: "ddcli: The image is broken\n" });
  t.is(
    (await dd.run("inspect", "--format", "{{.State.Error}}", "web")).stdout,
    "The image is broken\n",
  );
});

test("unknown commands get a suggestion, help goes to standard output", async (t) => {
  const dd = new Ddcli(t);
  t.like(await dd.run("stpo"), { code: 125, stdout: "" });
  t.true((await dd.run("stpo")).stderr.includes('Did you mean "ddcli stop"?'));
  for (const words of [[], ["--help"], ["help", "run"], ["run", "--help"], ["volume"]]) {
    t.like(await dd.run(...words), { code: 0, stderr: "" }, words.join(" "));
  }
});
