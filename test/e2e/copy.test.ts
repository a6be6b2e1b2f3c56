/** `ddcli cp`, `diff` and `export` on containers that run, that have ended, and that never started. */
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { MODES, modeOption, openDd } from "../fixtures/dd.ts";
import { image } from "../fixtures/images.ts";
import { until } from "../fixtures/until.ts";

const IMAGE = "busybox:test";
const dd = openDd();
const host = mkdtempSync(join(tmpdir(), "dd-copy-"));

test.before(async (t) => {
  t.timeout(300_000);
  await dd.load(image("busybox"));
  mkdirSync(join(host, "tree/deep"), { recursive: true });
  writeFileSync(join(host, "tree/deep/file"), "content\n");
  chmodSync(join(host, "tree/deep/file"), 0o640);
  symlinkSync("deep/file", join(host, "tree/link"));
  linkSync(join(host, "tree/deep/file"), join(host, "tree/second"));
});
test.after.always(async () => {
  await dd.close();
  rmSync(host, { recursive: true, force: true });
});

/** Runs ddcli, which must succeed. @returns its output. */
async function run(t: ExecutionContext, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await dd.run(args);
  t.is(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

const STATES = ["created", "running", "ended"] as const;

for (const mode of MODES) {
  for (const state of STATES) {
    // Without a process the two modes differ only in the confinement of who opens it.
    if (mode === "untrusted" && state === "ended") continue;
    test(`${mode}: a tree goes into a ${state} container and out again as it was`, async (t) => {
      const name = `cp-${mode}-${state}`;
      const command = state === "ended" ? ["true"] : ["sleep", "600"];
      await run(t, "create", "--name", name, ...modeOption(mode), IMAGE, ...command);
      if (state === "running") await run(t, "start", name);
      if (state === "ended") await run(t, "start", "-a", name);
      await run(t, "cp", join(host, "tree"), `${name}:/srv`);
      await run(t, "cp", `${name}:/srv`, join(host, name));
      t.is(readFileSync(join(host, name, "deep/file"), "utf8"), "content\n");
      t.is(statSync(join(host, name, "deep/file")).mode & 0o777, 0o640);
      t.is(readlinkSync(join(host, name, "link")), "deep/file");
      t.is(lstatSync(join(host, name, "second")).ino, lstatSync(join(host, name, "deep/file")).ino);
      if (state === "running") {
        t.is(await run(t, "exec", name, "cat", "/srv/link"), "content\n");
      }
      const changes = await run(t, "diff", name);
      t.is(changes, "A /srv\nA /srv/deep\nA /srv/deep/file\nA /srv/link\nA /srv/second\n");
      const names = execFileSync("tar", ["t"], { input: execExport(name) });
      t.regex(names.toString(), /^srv\/deep\/file$/m);
      t.regex(names.toString(), /^bin\/busybox$/m);
      await run(t, "rm", "-f", name);
    });
  }
}

function execExport(name: string): Buffer {
  const [node = "", ...args] = [process.execPath, ...ddcli("export", name)];
  return execFileSync(node, args, { env: dd.env, maxBuffer: 64 << 20 });
}

function ddcli(...args: string[]): string[] {
  return [join(import.meta.dirname, "../../../../cli/ddcli.js"), ...args];
}

test("whether the target is there decides the name, as with cp -r", async (t) => {
  await run(t, "create", "--name", "names", IMAGE, "true");
  const tree = join(host, "tree");
  await run(t, "cp", tree, "names:/tmp");
  await run(t, "cp", `${tree}/.`, "names:/tmp/tree2");
  await run(t, "cp", `${tree}/deep/file`, "names:/tmp/renamed");
  await run(t, "cp", `${tree}/link`, "names:/tmp/copied-link");
  await run(t, "cp", "-L", `${tree}/link`, "names:/tmp/followed");
  await run(t, "cp", "names:/tmp/.", join(host, "names"));
  const kept = join(host, "names");
  t.true(existsSync(join(kept, "tree/deep/file")));
  t.true(existsSync(join(kept, "tree2/deep/file")));
  t.is(readFileSync(join(kept, "renamed"), "utf8"), "content\n");
  t.is(readlinkSync(join(kept, "copied-link")), "deep/file");
  t.is(readFileSync(join(kept, "followed"), "utf8"), "content\n");
  const refused = async (pattern: RegExp, ...args: string[]) => {
    const { code, stderr } = await dd.run(["cp", ...args]);
    t.not(code, 0);
    t.regex(stderr, pattern);
  };
  await refused(/cannot copy directory/, tree, "names:/tmp/renamed");
  await refused(/no such directory/, `${tree}/deep/file`, "names:/no/");
  await refused(/no such file or directory/, "names:/no/such", host);
  await refused(/between containers/, "names:/a", "names:/b");
  await run(t, "rm", "names");
});

test("a tar goes through standard input and output; read-only targets are refused", async (t) => {
  await run(t, "create", "--name", "pipe", IMAGE, "true");
  const tar = execFileSync("tar", ["-C", host, "-cz", "tree"]);
  const args = ddcli("cp", "-", "pipe:/tmp");
  execFileSync(process.execPath, args, { env: dd.env, input: tar });
  const out = execFileSync(process.execPath, ddcli("cp", "pipe:/tmp/tree/deep", "-"), {
    env: dd.env,
  });
  t.is(execFileSync("tar", ["xO", "deep/file"], { input: out }).toString(), "content\n");
  await run(t, "rm", "pipe");
  await run(t, "create", "--name", "fixed", "--read-only", "-v", `${host}:/host:ro`, IMAGE, "true");
  for (const [path, why] of [
    ["/tmp", /container rootfs is marked read-only/],
    ["/host", /mounted volume is marked read-only/],
  ] as const) {
    const { code, stderr } = await dd.run(["cp", join(host, "tree"), `fixed:${path}`]);
    t.is(code, 1);
    t.regex(stderr, why);
  }
  await run(t, "rm", "fixed");
});

for (const mode of MODES) {
  test(`${mode}: a guest that swaps links while files are copied gets them into its own tree at most`, async (t) => {
    const name = `swap-${mode}`;
    const secret = join(host, `secret-${mode}`);
    mkdirSync(secret);
    const swap =
      "mkdir -p /a/real; while :; do rm -rf /a/d; ln -s /../../../../../../../../.." +
      `${secret} /a/d; rm -f /a/d; mkdir /a/d; done`;
    await run(t, "run", "-d", "--name", name, ...modeOption(mode), IMAGE, "sh", "-c", swap);
    for (let i = 0; i < 3; i++) {
      // It may be refused, when the directory is gone just then.
      await dd.run(["cp", join(host, "tree"), `${name}:/a/d/`]);
      await dd.run(["cp", `${name}:/a`, join(host, `out-${mode}-${i}`)]);
    }
    t.deepEqual(execFileSync("ls", ["-A", secret]).toString(), "");
    await run(t, "rm", "-f", name);
  });
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It has ended meanwhile.
    return "";
  }
}

test("several clients share a container that does not run; one who is killed leaves it usable", async (t) => {
  await run(t, "create", "--name", "shared", IMAGE, "cat", "/tmp/1/file", "/late/deep/file");
  const tree = join(host, "tree/deep");
  await Promise.all([1, 2, 3, 4].map((i) => run(t, "cp", tree, `shared:/tmp/${i}`)));
  const { Id } = JSON.parse(await run(t, "inspect", "shared"))[0] as { Id: string };
  const opener = () => dd.processes().find((pid) => commandOf(pid).includes(`--files\0${Id}`));
  t.true(await until(() => opener() === undefined));
  const slow = spawn(process.execPath, ddcli("cp", "-", "shared:/tmp"), {
    env: dd.env,
    stdio: ["pipe", "ignore", "ignore"],
  });
  slow.stdin.on("error", () => {});
  slow.stdin.write(execFileSync("tar", ["-C", host, "-c", "tree"]).subarray(0, 700));
  const exited = new Promise((resolve) => slow.once("exit", resolve));
  let found: number | undefined;
  t.true(
    await until(() => {
      found = opener();
      return found !== undefined;
    }),
  );
  if (found !== undefined) process.kill(found, "SIGKILL");
  // Killed before it was asked, it is replaced: then the archive ends too early.
  slow.stdin.end();
  t.not(await exited, 0);
  await run(t, "cp", join(host, "tree"), "shared:/late");
  t.is(await run(t, "start", "-a", "shared"), "content\ncontent\n");
  t.true(await until(() => opener() === undefined));
  t.deepEqual(
    readdirSync(dd.runDirectory).filter((name) => Id.startsWith(name)),
    [],
  );
  await run(t, "rm", "shared");
});
