/** Memory and process limits of whole containers, with programs that want more than they may have. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { DDCLI, MODES, modeOption, openDd } from "../../fixtures/dd.ts";
import { until } from "../../fixtures/until.ts";

const dd = openDd();
test.after.always(() => dd.close());

/** `perl` that fills this much memory. */
const fill = (mebibytes: number) => [
  "perl",
  "-e",
  `$n = ${mebibytes} << 20; $x = "a" x $n; exit 0`,
];
const NO_GROUP = /WARNING: No control group/;

async function inspect(name: string): Promise<{ State: { OOMKilled: boolean; ExitCode: number } }> {
  const { stdout } = await dd.run(["inspect", name]);
  return JSON.parse(stdout)[0];
}

/** Control groups made by this sentry, as far as we can see them. */
function groupsOf(sentry: number | undefined): string[] {
  const own = readFileSync("/proc/self/cgroup", "utf8");
  const paths = own.split("\n").flatMap((line) => {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return [join("/sys/fs/cgroup", controllers, path), join("/sys/fs/cgroup", path)];
  });
  return [...new Set(paths)]
    .filter((path) => existsSync(path))
    .flatMap((path) => readdirSync(path).map((name) => join(path, name)))
    .filter((path) => /\/dd-[0-9a-f]{12}-\d+$/.test(path) && path.endsWith(`-${sentry}`));
}

for (const mode of MODES) {
  const run = (name: string, args: readonly string[]) =>
    dd.run(["run", "--name", `${name}-${mode}`, ...modeOption(mode), ...args]);

  test(`${mode}: a first process that takes more memory than -m ends, and docker's OOMKilled says why`, async (t) => {
    const { code, stderr } = await run("bomb", ["-m", "48m", "host", ...fill(300)]);
    const { State } = await inspect(`bomb-${mode}`);
    t.is(State.ExitCode, code ?? -1);
    if (NO_GROUP.test(stderr)) {
      // Its own limit has refused the memory: perl says so and gives up.
      t.not(code, 0);
      return;
    }
    t.is(code, 137, stderr);
    t.true(State.OOMKilled);
  });

  test(`${mode}: a child that takes too much memory dies alone`, async (t) => {
    const script = `${fill(300)
      .map((word) => `'${word}'`)
      .join(" ")}; echo $?`;
    const { code, stdout, stderr } = await run("child", ["-m", "48m", "host", "sh", "-c", script]);
    t.is(code, 0, stderr);
    t.regex(stdout, NO_GROUP.test(stderr) ? /^[1-9]\d*\n$/ : /^137\n$/);
  });

  test(`${mode}: children that take too much memory together do not all live`, async (t) => {
    // Those who live wait for a word that they get once somebody has died.
    const one = "perl -e '$n = 24 << 20; $x = q(a) x $n; open F, q(<&=3); sysread F, $b, 1' &";
    const script =
      `mkfifo /tmp/word; exec 3<>/tmp/word; ${one} ${one} ${one} ${one} ` +
      "for i in 1 2 3 4; do wait -n; echo $?; printf word >&3; done";
    const { code, stdout, stderr } = await run("sum", ["-m", "56m", "host", "bash", "-c", script]);
    t.is(code, 0, stderr);
    const codes = stdout.trim().split("\n");
    t.is(codes.length, 4);
    t.true(codes.includes("137"), stdout);
    t.true(codes.includes("0"), stdout);
    t.true((await inspect(`sum-${mode}`)).State.OOMKilled);
  });

  test(`${mode}: what stays below the limit is not disturbed`, async (t) => {
    const { code, stderr } = await run("small", ["-m", "64m", "host", ...fill(20)]);
    t.is(code, 0, stderr);
    t.false((await inspect(`small-${mode}`)).State.OOMKilled);
  });

  test(`${mode}: a fork bomb stops at --pids-limit, and the container can be used afterwards`, async (t) => {
    const script = "b() { b | b & }; b; sleep 1; kill -9 -1";
    const bomb = `setsid timeout -s KILL 5 bash -c '${script}' 2> /dev/null; echo over`;
    const args = ["--pids-limit", "24", "-m", "256m", "host", "bash", "-c", bomb];
    const { code, stdout, stderr } = await run("forks", args);
    t.is(code, 0, stderr);
    t.is(stdout, "over\n");
  });

  test(`${mode}: programs are executed while the limit of processes is reached`, async (t) => {
    const script = "for i in $(seq 11); do (exec /bin/sleep 0.2) & done; wait; echo all";
    const args = ["--pids-limit", "12", "host", "bash", "-c", script];
    for (let i = 0; i < 3; i++) {
      const { code, stdout, stderr } = await run(`execs${i}`, args);
      t.is(code, 0, stderr);
      t.is(stdout, "all\n", stderr);
    }
  });

  test.serial(
    `${mode}: a control group ends with its container, or with the next start if the sentry was killed`,
    async (t) => {
      const args = ["run", ...modeOption(mode), "-m", "64m", "--pids-limit", "20", "host"];
      const child = spawn(process.execPath, [DDCLI, ...args, "sh", "-c", "echo up; sleep 1000"], {
        env: dd.env,
        stdio: ["ignore", "pipe", "ignore"],
      });
      await new Promise((resolve) => child.stdout.once("data", resolve));
      const left = groupsOf(child.pid);
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("exit", resolve));
      t.true(await until(() => left.every((path) => readMembers(path) === "")));
      t.is((await dd.run([...args, "true"])).code, 0);
      for (const path of left) t.false(existsSync(path), path);
    },
  );
}

function readMembers(group: string): string {
  try {
    return readFileSync(join(group, "cgroup.procs"), "utf8");
  } catch {
    return "";
  }
}
