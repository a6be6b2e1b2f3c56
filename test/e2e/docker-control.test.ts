/** What docker's client does to containers beside running them: pause, update, rename, stats, cp, commit. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { dockerClients, openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image } from "../fixtures/images.ts";
import type { RunResult } from "../fixtures/program.ts";
import { until } from "../fixtures/until.ts";

const IMAGE = "busybox:test";
const COUNTING = "i=0; while :; do i=$((i+1)); echo $i > /tmp/next; mv /tmp/next /tmp/n; done";
const STATE = "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}";
const RUNTIMES = ["trusted", "untrusted"] as const;
const host = mkdtempSync(join(tmpdir(), "dd-docker-"));
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  engine = await openEngine();
  await engine.dd.load(image("busybox"));
});
test.after.always(async () => {
  await engine?.close();
  rmSync(host, { recursive: true, force: true });
});

/** Runs docker, which must succeed. @returns its output without the last newline. */
async function docker(t: ExecutionContext, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.docker(args);
  t.is(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout.trimEnd();
}

async function refused(
  t: ExecutionContext,
  pattern: RegExp,
  ...args: string[]
): Promise<RunResult> {
  const result = await engine.docker(args);
  t.not(result.code, 0, args.join(" "));
  t.regex(result.stderr, pattern);
  return result;
}

for (const runtime of RUNTIMES) {
  test(`${runtime}: nothing runs in a paused container, and it goes on where it was`, async (t) => {
    const name = `pause-${runtime}`;
    const count = async () => {
      await docker(t, "cp", `${name}:/tmp/n`, join(host, name));
      return readFileSync(join(host, name), "utf8");
    };
    await docker(t, "run", "-d", "--name", name, "--runtime", runtime, IMAGE, "sh", "-c", COUNTING);
    t.true(
      await until(async () => (await engine.docker(["cp", `${name}:/tmp/n`, host])).code === 0),
    );
    await docker(t, "pause", name);
    t.regex(await docker(t, "ps", "--filter", `name=${name}`), /\(Paused\)/);
    t.is(
      await docker(t, "inspect", "-f", "{{.State.Status}} {{.State.Paused}}", name),
      "paused true",
    );
    const first = await count();
    t.is(await count(), first);
    await refused(t, /is paused, unpause the container before exec/, "exec", name, "true");
    await refused(t, /is already paused/, "pause", name);
    await docker(t, "unpause", name);
    t.true(await until(async () => (await count()) !== first));
    await refused(t, /is not paused/, "unpause", name);
    await docker(t, "pause", name);
    await docker(t, "stop", "-t", "1", name);
    t.is(await docker(t, "inspect", "-f", "{{.State.Status}}", name), "exited");
    await docker(t, "start", name);
    await docker(t, "pause", name);
    await docker(t, "kill", name);
    t.true(await until(async () => /^exited/.test(await docker(t, "inspect", "-f", STATE, name))));
    t.is(await docker(t, "inspect", "-f", STATE, name), "exited 137");
    await docker(t, "rm", name);
  });

  test(`${runtime}: rights, groups, devices and parameters are as asked for`, async (t) => {
    const script =
      "grep -E 'CapBnd|NoNew' /proc/self/status; id -G; cat /proc/sys/net/core/somaxconn; " +
      "df -k /dev/shm | tail -1 | awk '{print $2}'; echo x > /dev/xnull && echo written";
    const options = [
      ...["--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--group-add", "4242"],
      ...["--sysctl", "net.core.somaxconn=17", "--shm-size", "8m"],
      ...["--device", "/dev/null:/dev/xnull", "--security-opt", "no-new-privileges"],
    ];
    const shown = await docker(
      ...([t, "run", "--rm", "--runtime", runtime, ...options, IMAGE, "sh", "-c", script] as const),
    );
    t.deepEqual(shown.split("\n").slice(0, 2), ["CapBnd:\t0000000000001000", "NoNewPrivs:\t1"]);
    t.regex(shown, /\b4242\n17\n8192\nwritten$/);
  });
}

test("a container is renamed, running or not, to a name that is free", async (t) => {
  await docker(t, "run", "-d", "--name", "old-name", IMAGE, "sleep", "600");
  await docker(t, "create", "--name", "taken", IMAGE, "true");
  await docker(t, "rename", "old-name", "new-name");
  t.is(
    await docker(t, "inspect", "-f", "{{.Name}} {{.State.Running}}", "new-name"),
    "/new-name true",
  );
  await refused(t, /No such/, "inspect", "old-name");
  await refused(t, /already in use/, "rename", "new-name", "taken");
  await refused(t, /already in use/, "rename", "taken", "new-name");
  await docker(t, "rename", "taken", "old-name");
  await docker(t, "rm", "-f", "new-name", "old-name");
});

test("limits and policy of a running container are changed and shown", async (t) => {
  const limits = ["-m", "64m", "--pids-limit", "40", "--cpus", "1"];
  await docker(t, "run", "-d", "--name", "limited", ...limits, IMAGE, "sleep", "600");
  const change = ["-m", "96m", "--pids-limit", "30", "--cpus", "0.5", "--restart", "on-failure:2"];
  await docker(t, "update", ...change, "limited");
  const format =
    "{{with .HostConfig}}{{.Memory}} {{.PidsLimit}} {{.NanoCpus}} {{.RestartPolicy.Name}}{{end}}";
  t.is(
    await docker(t, "inspect", "-f", format, "limited"),
    `${96 * 2 ** 20} 30 500000000 on-failure`,
  );
  const stats = JSON.parse(
    await docker(t, "stats", "--no-stream", "--format", "{{json .}}", "limited"),
  ) as Record<string, string>;
  t.regex(stats["MemUsage"] ?? "", / \/ 96MiB$/);
  t.is(stats["PIDs"], "1");
  await refused(t, /range of CPUs is from 0.01/, "update", "--cpus", "9999", "limited");
  await docker(t, "rm", "-f", "limited");
});

test("docker's arithmetic on the stats of a busy container gives about one CPU", async (t) => {
  await docker(t, "run", "-d", "--name", "busy", IMAGE, "sh", "-c", "while :; do :; done");
  const percent = async () => {
    const format = ["--format", "{{.CPUPerc}}"];
    return Number.parseFloat(await docker(t, "stats", "--no-stream", ...format, "busy"));
  };
  // As much as the machine leaves it, and not more than it has threads; one sample of a busy machine may lie.
  const isPlausible = (value: number) => value > 5 && value <= 115;
  t.true(await until(async () => isPlausible(await percent())));
  await docker(t, "rm", "-f", "busy");
});

test("a commit keeps what was written, removed and replaced, with the configuration asked for", async (t) => {
  const work = "echo kept > /kept; rm /etc/passwd; rm -r /home; mkdir /home; echo new > /home/new";
  await docker(t, "run", "--name", "worked", "-e", "A=1", IMAGE, "sh", "-c", work);
  const changes = ["-c", 'CMD ["cat", "/kept"]', "-c", "ENV B=2 C=3", "-c", "LABEL team=a"];
  const id = await docker(t, "commit", "-a", "me", "-m", "done", ...changes, "worked", "mine:1");
  t.regex(id, /^sha256:[0-9a-f]{64}$/);
  t.is(await docker(t, "run", "--rm", "mine:1"), "kept");
  t.is(await docker(t, "run", "--rm", "mine:1", "sh", "-c", "echo $A$B$C; ls /home"), "123\nnew");
  const gone = await engine.docker(["run", "--rm", "mine:1", "test", "-e", "/etc/passwd"]);
  t.is(gone.code, 1);
  t.is(await docker(t, "inspect", "-f", "{{.Author}} {{.Config.Labels.team}}", "mine:1"), "me a");
  t.regex(await docker(t, "history", "mine:1"), /\bdone\b/);
  const chained = await docker(t, "run", "--name", "again", "mine:1", "sh", "-c", "rm /kept");
  t.is(chained, "");
  await docker(t, "commit", "again", "mine:2");
  t.is((await engine.docker(["run", "--rm", "mine:2", "test", "-e", "/kept"])).code, 1);
  await docker(t, "rm", "worked", "again");
});

test("logs rotate by their options, and show chosen labels; a driver that keeps nothing cannot be read", async (t) => {
  const print = "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done";
  const options = ["--log-opt", "max-size=4k", "--log-opt", "max-file=3", "--label", "team=a"];
  const chosen = ["--log-opt", "labels=team"];
  await docker(t, "run", "--name", "chatty", ...options, ...chosen, IMAGE, "sh", "-c", print);
  const lines = (await docker(t, "logs", "chatty")).split("\n");
  t.is(lines.at(-1), "line 499");
  t.true(lines.length < 500 && lines.length > 40, `${lines.length}`);
  t.is(await docker(t, "logs", "--details", "-n", "1", "chatty"), "team=a line 499");
  await docker(t, "run", "--name", "silent", "--log-driver", "none", IMAGE, "echo", "x");
  await refused(t, /configured logging driver does not support reading/, "logs", "silent");
  await refused(t, /unknown log opt 'x'/, "create", "--log-opt", "x=1", IMAGE, "true");
  await docker(t, "rm", "chatty", "silent");
});

test("docker cp takes tars compressed in every way, and says what docker says", async (t) => {
  await docker(t, "create", "--name", "target", IMAGE, "true");
  const [client = ""] = dockerClients();
  for (const flag of ["-c", "-cz", "-cJ", "-cj"]) {
    writeFileSync(join(host, "packed"), `${flag}\n`);
    const tar = execFileSync("tar", ["-C", host, flag, "packed"]);
    execFileSync(client, ["cp", "-", "target:/tmp"], { input: tar, env: engine.env });
    const out = execFileSync(client, ["cp", "target:/tmp/packed", "-"], { env: engine.env });
    t.is(execFileSync("tar", ["xO"], { input: out }).toString(), `${flag}\n`);
  }
  await refused(
    t,
    /Could not find the file \/none in container target/,
    "cp",
    "target:/none",
    host,
  );
  const garbage = Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), Buffer.alloc(99)]);
  t.throws(() =>
    execFileSync(client, ["cp", "-", "target:/tmp"], {
      input: garbage,
      env: engine.env,
      stdio: "pipe",
    }),
  );
  await docker(t, "rm", "target");
});

test("sizes are those of what was written; prune says what it has freed", async (t) => {
  const write = "head -c 300000 /dev/zero > /zeros; head -c 1000 /dev/zero > /tmp/more";
  await docker(t, "run", "--name", "big", "--label", "prune=me", IMAGE, "sh", "-c", write);
  const sizes = await docker(t, "inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "big");
  const [written = 0, all = 0] = sizes.split(" ").map(Number);
  t.is(written, 301_000);
  t.true(all > written + 1_000_000);
  t.regex(await docker(t, "ps", "-as", "--filter", "name=big"), /301kB \(virtual/);
  const pruned = await docker(t, "container", "prune", "-f", "--filter", "label=prune=me");
  t.regex(pruned, /Total reclaimed space: 301kB/);
  await refused(t, /No such/, "inspect", "big");
});

test("bytes to and from the outside are counted, whoever transfers them", async (t) => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(Buffer.alloc(100_000)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  for (const runtime of RUNTIMES) {
    const name = `net-${runtime}`;
    await docker(
      t,
      ...["run", "-d", "--name", name, "--runtime", runtime, "--label", "dd.egress=allow"],
      ...["--add-host", "h:host-gateway", IMAGE, "sh", "-c"],
      `echo ask | nc h ${port} | wc -c; sleep 600`,
    );
    t.true(await until(async () => (await docker(t, "logs", name)) === "100000"));
    const format = ["--format", "{{.NetIO}}"];
    t.regex(await docker(t, "stats", "--no-stream", ...format, name), /^100kB \/ [1-9]/);
    await docker(t, "rm", "-f", name);
  }
  server.close();
});
