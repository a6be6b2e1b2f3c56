/** The life of containers as docker's clients see it, through the deaths of the daemon and of sentries. */
import test from "ava";
import { openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image } from "../fixtures/images.ts";
import { until } from "../fixtures/until.ts";

const IMAGE = "busybox:test";
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  engine = await openEngine();
  await engine.dd.load(image("busybox"));
});
test.afterEach.always(async (t) => {
  if (!t.passed) await engine.dd.clear();
});
test.after.always(() => engine?.close());

async function docker(...args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await engine.docker(args);
  if (code !== 0) throw new Error(`docker ${args.join(" ")} ended with ${code}: ${stderr}`);
  return stdout.trim();
}

const inspect = (name: string, field: string) => docker("inspect", "-f", `{{${field}}}`, name);
const becomes = (name: string, field: string, value: string) =>
  until(async () => (await inspect(name, field)) === value);

test.serial(
  "create, start, stop, wait, restart, kill and rm tell the truth at every step",
  async (t) => {
    const script = 'trap "exit 7" TERM; echo up; while :; do sleep 0.05; done';
    await docker("create", "--name", "life", "--stop-timeout", "100", IMAGE, "sh", "-c", script);
    t.is(await inspect("life", ".State.Status"), "created");
    await docker("start", "life");
    t.is(await inspect("life", ".State.Status"), "running");
    t.true(await until(async () => (await docker("logs", "life")) === "up"));
    await docker("stop", "life");
    t.is(await inspect("life", ".State.Status"), "exited");
    t.is(await docker("wait", "life"), "7");
    await docker("restart", "-t", "0", "life");
    t.is(await inspect("life", ".State.Running"), "true");
    await docker("kill", "life");
    t.is(await docker("wait", "life"), "137");
    const again = await engine.docker(["kill", "life"]);
    t.regex(again.stderr, /cannot kill container: life: container [0-9a-f]{64} is not running/);
    await docker("start", "life");
    const refused = await engine.docker(["rm", "life"]);
    t.regex(refused.stderr, /cannot remove container "\/life": container is running/);
    await docker("rm", "-f", "life");
    const gone = await engine.docker(["inspect", "life"]);
    t.regex(gone.stderr, /No such object: life/);
  },
);

test.serial(
  "ps shows and filters by name, status, label, exit code, ancestor and age",
  async (t) => {
    await docker("run", "-d", "--name", "one", "--label", "k=v", IMAGE, "sleep", "1000");
    await docker("run", "--name", "two", IMAGE, "sh", "-c", "exit 4").catch(() => "");
    const ps = async (...filters: readonly string[]) =>
      (await docker("ps", "-a", "--format", "{{.Names}}", ...filters.flatMap((f) => ["-f", f])))
        .split("\n")
        .sort()
        .join(" ");
    t.is(await docker("ps", "--format", "{{.Names}}"), "one");
    t.is(await ps(), "one two");
    t.is(await ps("name=tw"), "two");
    t.is(await ps("name=^/one$"), "one");
    t.is(await ps("status=running"), "one");
    t.is(await ps("label=k=v"), "one");
    t.is(await ps("label=k", "status=exited"), "");
    t.is(await ps("exited=4"), "two");
    t.is(await ps(`ancestor=${IMAGE}`), "one two");
    t.is(await ps("since=one"), "two");
    t.is(await ps("before=two"), "one");
    t.is(await docker("ps", "-l", "--format", "{{.Names}}"), "two");
    const wrong = await engine.docker(["ps", "-f", "nosuch=1"]);
    t.regex(wrong.stderr, /invalid filter 'nosuch'/);
    await docker("container", "prune", "-f");
    t.is(await ps(), "one");
    await docker("rm", "-f", "one");
  },
);

/** Waits until the events of a container are these. @returns those there were. */
async function told(name: string, since: string, wanted: string): Promise<string> {
  let seen = "";
  await until(async () => {
    const lines = await docker(
      ...["events", "--since", since, "--until", "0s", "--filter", `container=${name}`],
      ...["--filter", "type=container", "--format", "{{.Action}}"],
    );
    seen = lines.split("\n").join(" ");
    return seen === wanted;
  });
  return seen;
}

test.serial("events come in docker's order, and again for who asks later", async (t) => {
  const since = String(Math.floor(Date.now() / 1000) - 1);
  await docker("run", "--rm", "--name", "told", IMAGE, "true");
  const wanted = "create attach start die destroy";
  // The client's own second has to be over before its events are in the past.
  t.is(await told("told", since, wanted), wanted);
});

test.serial("events tell of what ddcli makes, starts, stops and removes", async (t) => {
  const since = String(Math.floor(Date.now() / 1000) - 1);
  const ddcli = async (args: readonly string[], wanted: string) => {
    t.is((await engine.dd.run(args)).code, 0);
    t.is(await told("seen", since, wanted), wanted);
  };
  await ddcli(["create", "--name", "seen", IMAGE, "sleep", "1000"], "create");
  await ddcli(["start", "seen"], "create start");
  await ddcli(["stop", "-t", "0", "seen"], "create start die");
  await ddcli(["start", "seen"], "create start die start");
  await ddcli(["rm", "-f", "seen"], "create start die start die destroy");
});

test.serial("restart policies: counted, given up, and ended by stop", async (t) => {
  await docker("run", "-d", "--name", "twice", "--restart", "on-failure:2", IMAGE, "false");
  t.true(await becomes("twice", ".RestartCount", "2"));
  t.true(await becomes("twice", ".State.Status", "exited"));
  await docker("run", "-d", "--name", "always", "--restart", "always", IMAGE, "true");
  t.true(await until(async () => Number(await inspect("always", ".RestartCount")) >= 2));
  await docker("stop", "always");
  t.is(await inspect("always", ".State.Restarting"), "false");
  await docker("rm", "-f", "twice", "always");
  const both = await engine.docker(["create", "--rm", "--restart", "always", IMAGE, "true"]);
  t.not(both.code, 0);
});

test.serial(
  "a health check: starting, healthy, unhealthy, with its results and events",
  async (t) => {
    const check = [
      "--health-cmd",
      "cat /well",
      "--health-interval",
      "100ms",
      "--health-retries",
      "1",
    ];
    const since = String(Math.floor(Date.now() / 1000) - 1);
    await docker("run", "-d", "--name", "patient", ...check, IMAGE, "sh", "-c", "sleep 1000");
    t.true(await becomes("patient", ".State.Health.Status", "unhealthy"));
    t.regex(await inspect("patient", "json .State.Health.Log"), /No such file/);
    await docker("exec", "patient", "sh", "-c", "echo fine > /well");
    t.true(await becomes("patient", ".State.Health.Status", "healthy"));
    t.is(
      await docker("ps", "-q", "--no-trunc", "-f", "health=healthy"),
      await inspect("patient", ".Id"),
    );
    t.regex(await docker("ps", "--format", "{{.Status}}"), /\(healthy\)/);
    const told = await until(async () =>
      /health_status: unhealthy\n.*health_status: healthy/s.test(
        await docker("events", "--since", since, "--until", "0s", "--format", "{{.Action}}"),
      ),
    );
    t.true(told);
    await docker("rm", "-f", "patient");
  },
);

test.serial(
  "the daemon killed: containers go on, and are what they were when it is back",
  async (t) => {
    await docker("run", "-d", "--name", "survivor", IMAGE, "sh", "-c", "sleep 1000");
    await docker(
      "run",
      "-d",
      "--name",
      "leaver",
      IMAGE,
      "sh",
      "-c",
      "cat /go 2>/dev/null; sleep 1; exit 9",
    );
    await docker("run", "-d", "--name", "revenant", "--restart", "always", IMAGE, "sleep", "1000");
    const pid = await inspect("survivor", ".State.Pid");
    const revenant = Number(await inspect("revenant", ".State.Pid"));
    t.true(revenant > 1);
    await engine.kill("SIGKILL");
    // Nobody is there to start it again.
    process.kill(revenant, "SIGKILL");
    await engine.dd.run(["wait", "leaver"]);
    await engine.restart();
    t.is(await inspect("survivor", ".State.Status"), "running");
    t.is(await inspect("survivor", ".State.Pid"), pid);
    t.is(await inspect("leaver", ".State.ExitCode"), "9");
    t.true(await becomes("revenant", ".State.Running", "true"));
    t.is(await docker("exec", "survivor", "echo", "here"), "here");
    const waiting = engine.docker(["wait", "survivor"]);
    await docker("kill", "survivor");
    t.is((await waiting).stdout, "137\n");
    await docker("rm", "-f", "survivor", "leaver", "revenant");
  },
);

test.serial("a sentry killed: docker ps is true at once, and --rm removes", async (t) => {
  await docker("run", "-d", "--name", "victim", IMAGE, "sleep", "1000");
  await docker("run", "-d", "--rm", "--name", "passing", IMAGE, "sleep", "1000");
  const waiting = engine.docker(["wait", "victim"]);
  for (const name of ["victim", "passing"]) {
    const pid = Number(await inspect(name, ".State.Pid"));
    t.true(pid > 1);
    process.kill(pid, "SIGKILL");
  }
  t.is((await waiting).stdout, "137\n");
  t.true(await until(async () => (await docker("ps", "-q")) === ""));
  // What --rm removes is gone a little later.
  const all = () => docker("ps", "-a", "--format", "{{.Names}} {{.State}}");
  await until(async () => (await all()) === "victim exited");
  t.is(await all(), "victim exited");
  await docker("rm", "victim");
});

test.serial("ddcli and docker show the same containers", async (t) => {
  await docker("run", "-d", "--name", "common", IMAGE, "sleep", "1000");
  const { stdout } = await engine.dd.run(["ps", "--format", "{{.Names}}"]);
  t.is(stdout, "common\n");
  await engine.dd.run(["rm", "-f", "common"]);
  t.is(await docker("ps", "-aq"), "");
  await engine.dd.run(["run", "-d", "--name", "other", "host", "sleep", "1000"]);
  t.is(await docker("ps", "--format", "{{.Names}} {{.Image}}"), "other host");
  await docker("rm", "-f", "other");
});

test.serial(
  "creating and removing one name at once leaves one or none, and never a fault",
  async (t) => {
    const attempts = Array.from({ length: 8 }, (_, i) =>
      i % 2 === 0
        ? engine.docker(["create", "--name", "contested", IMAGE, "true"])
        : engine.docker(["rm", "-f", "contested"]),
    );
    for (const { stderr } of await Promise.all(attempts)) {
      t.regex(stderr, /^$|Conflict|No such container|already in progress/);
    }
    await engine.docker(["rm", "-f", "contested"]);
    t.is(await docker("ps", "-aq"), "");
  },
);

test.serial("rename, update, pause, top, port and inspect with their phrases", async (t) => {
  await docker("run", "-d", "--name", "first", IMAGE, "sleep", "1000");
  await docker("rename", "first", "second");
  t.is(await inspect("second", ".Name"), "/second");
  t.regex(await docker("top", "second"), /UID\s+PID\s+PPID.*sleep 1000/s);
  await docker("update", "--restart", "unless-stopped", "second");
  t.is(await inspect("second", ".HostConfig.RestartPolicy.Name"), "unless-stopped");
  await docker("pause", "second");
  t.is(await inspect("second", ".State.Status"), "paused");
  t.regex(await docker("ps", "--format", "{{.Status}}"), /\(Paused\)/);
  t.regex((await engine.docker(["exec", "second", "true"])).stderr, /is paused/);
  await docker("unpause", "second");
  t.is(await docker("exec", "second", "echo", "awake"), "awake");
  t.is(await docker("port", "second"), "");
  t.is(await inspect("second", ".HostConfig.Runtime"), "trusted");
  await docker("rm", "-f", "second");
});
