/** What docker shows of containers beyond that they run: users, variables, filters, events, volumes. */
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import test from "ava";
import { openEngine, type TestEngine } from "../fixtures/engine.ts";
import { image } from "../fixtures/images.ts";

const IMAGE = "busybox:test";
let engine: TestEngine;

test.before(async (t) => {
  t.timeout(300_000);
  engine = await openEngine();
  await engine.dd.load(image("busybox"));
});
test.after.always(() => engine?.close());

/** What docker prints; it must succeed. */
async function docker(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.docker(words);
  if (code !== 0) throw new Error(`docker ${words.join(" ")}: ${stderr}`);
  return stdout.trim();
}

/** Asks without a client. */
function ask(
  method: string,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json" };
    const { socketPath } = engine;
    const asked = request({ socketPath, method, path, headers }, (reply) => {
      text(reply).then((all) => resolve({ status: reply.statusCode ?? 0, text: all }), reject);
    });
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

test("an exec is refused for a user that is not there, before it is started", async (t) => {
  t.timeout(300_000);
  await docker("run", "-d", "--name", "users", IMAGE, "sleep", "1000");
  const refused = await engine.docker(["exec", "-u", "nosuch:1", "users", "id"]);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /unable to find user nosuch: no matching entries in passwd file/);
  const group = await engine.docker(["exec", "-u", "1:nosuch", "users", "id"]);
  t.regex(group.stderr, /unable to find group nosuch: no matching entries in group file/);
  // Its own group is among a process's groups: by leaving it nobody gets around what it may not do.
  t.is(await docker("exec", "-u", "0", "users", "id"), "uid=0(root) gid=0(root) groups=0(root)");
});

test("an exec has a container's links, and its terminal's name only with a terminal", async (t) => {
  t.timeout(300_000);
  await docker("run", "-d", "--name", "linked", IMAGE, "sleep", "1000");
  await docker("run", "-dt", "--link", "linked:db", "--name", "owner", IMAGE, "sleep", "1000");
  const env = await docker("exec", "owner", "env");
  t.true(env.includes("DB_NAME=/owner/db"), env);
  t.false(env.includes("TERM="), env);
  t.true((await docker("exec", "-t", "owner", "env")).includes("TERM=xterm"));
  t.is(
    await docker("ps", "-f", "name=linked", "--no-trunc", "--format", "{{.Names}}"),
    "linked,owner/db",
  );
});

test("an exec that was not started is gone with its container's run", async (t) => {
  t.timeout(300_000);
  const id = await docker("create", "--name", "runs", IMAGE, "sleep", "1000");
  await docker("start", "runs");
  const made = await ask("POST", `/containers/${id}/exec`, { Cmd: ["true"] });
  const exec = String((JSON.parse(made.text) as { Id: unknown }).Id);
  await docker("restart", "-t", "0", "runs");
  t.like(await ask("POST", `/exec/${exec}/start`, { Detach: true }), {
    status: 404,
    text: `{"message":"No such exec instance: ${exec}"}\n`,
  });
});

test("containers are found by what their images were made from, networks and live ports", async (t) => {
  t.timeout(300_000);
  await docker("create", "--name", "maker", IMAGE, "true");
  await docker("commit", "maker", "child:1");
  await docker("network", "create", "net-of-filters");
  await docker(
    "run",
    "-d",
    "--name",
    "of-child",
    "--network",
    "net-of-filters",
    "child:1",
    "sleep",
    "1000",
  );
  const found = async (...filters: string[]) =>
    (await docker("ps", "-a", "--format", "{{.Names}}", ...filters.flatMap((each) => ["-f", each])))
      .split("\n")
      .sort();
  t.true((await found(`ancestor=${IMAGE}`)).includes("of-child"));
  t.deepEqual(await found("ancestor=child:1"), ["of-child"]);
  const network = await docker("network", "inspect", "-f", "{{.Id}}", "net-of-filters");
  t.deepEqual(await found(`network=${network.slice(0, 12)}`), ["of-child"]);
  await docker("run", "-d", "--name", "published", "-p", "127.0.0.1:0:81", IMAGE, "sleep", "1000");
  const port = (await docker("port", "published", "81")).replace(/^.*:/, "");
  t.deepEqual(await found("expose=81"), ["published"]);
  t.deepEqual(await found(`publish=${port}`), ["published"]);
  t.deepEqual(await found("publish=81", "name=published"), [""]);
  // A name that has gone to another image is not shown for the one that had it.
  const before = await docker("inspect", "-f", "{{.Image}}", "of-child");
  await docker("tag", IMAGE, "child:1");
  const shown = ["ps", "--no-trunc", "-f", "name=of-child", "--format", "{{.Image}}"];
  t.is(await docker(...shown), before);
});

test("past events are told without a beginning; volumes tell whom they are mounted by", async (t) => {
  t.timeout(300_000);
  await docker("volume", "create", "told");
  await docker("run", "--name", "teller", "-v", "told:/told", IMAGE, "true");
  await docker("rm", "teller");
  await docker("volume", "rm", "told");
  const now = await docker("info", "-f", "{{.SystemTime}}");
  const events = (since: string[]) =>
    docker("events", ...since, "--until", now, "-f", "volume=told", "--format", "{{.Action}}");
  t.is(await events([]), "create\nmount\nunmount\ndestroy");
  t.is(await events(["--since", "0"]), "create\nmount\nunmount\ndestroy");
});

test("a commit's changes see the variables of the image, and the new image is told", async (t) => {
  t.timeout(300_000);
  await docker("create", "--name", "variables", "-e", "BASE=/one", IMAGE, "true");
  const id = await docker("commit", "-c", 'ENV BOTH="$BASE:/two" LITERAL=\\$BASE', "variables");
  const env = await docker("inspect", "-f", "{{json .Config.Env}}", id);
  t.true(env.includes('"BOTH=/one:/two"') && env.includes('"LITERAL=$BASE"'), env);
  const now = await docker("info", "-f", "{{.SystemTime}}");
  const told = await docker("events", "--until", now, "-f", "event=create", "--format", "{{.ID}}");
  t.true(told.includes(id));
});

test("a part of a volume is found through links in it, and never outside of it", async (t) => {
  t.timeout(300_000);
  const links =
    "mkdir -p /v/a/b; echo hi >/v/a/b/f; ln -s a/b /v/in; ln -s ../../etc /v/out; ln -s / /v/top";
  await docker("run", "--rm", "-v", "parts:/v", IMAGE, "sh", "-c", links);
  const run = (part: string) =>
    engine.docker([
      ..."run --rm --mount".split(" "),
      `type=volume,src=parts,dst=/p,volume-subpath=${part}`,
      ...`${IMAGE} cat /p/f`.split(" "),
    ]);
  t.is((await run("in")).stdout, "hi\n");
  for (const part of ["out", "top"]) {
    const { code, stderr } = await run(part);
    t.is(code, 125);
    t.regex(stderr, /path concatenation escapes the base directory/);
  }
  t.regex((await run("nosuch")).stderr, /cannot access path/);
});

test("a tmpfs tells its size, mode and owner", async (t) => {
  t.timeout(300_000);
  const words = ["run", "--rm", "--tmpfs", "/t:size=8g,mode=700,uid=5", IMAGE];
  const mounts = await docker(...words, "grep", " /t ", "/proc/mounts");
  t.is(mounts, "tmpfs /t tmpfs rw,nosuid,nodev,noexec,relatime,size=8388608k,mode=700,uid=5 0 0");
});

test("a tag that looks like a digest is refused", async (t) => {
  t.timeout(300_000);
  const { code, stderr } = await engine.docker(["tag", IMAGE, "sha256:x"]);
  t.is(code, 1);
  t.regex(stderr, /refusing to create an ambiguous tag using digest algorithm as name/);
});

test("an image is told for its own platform only", async (t) => {
  t.timeout(300_000);
  const platform = encodeURIComponent('{"os":"linux","architecture":"arm64"}');
  for (const what of ["json", "history"]) {
    const path = `/images/${IMAGE}/${what}?platform=${platform}`;
    const { status, text } = await ask("GET", path);
    t.is(status, 404);
    t.regex(text, /its platform \(linux\/amd64\) does not match the specified platform/);
  }
});

test("a new volume belongs to whom the image's directory does, and paths of volumes are clean", async (t) => {
  t.timeout(300_000);
  const own = "mkdir -p /data/in && touch /data/in/f && chown -R 5:6 /data && chmod 750 /data";
  await docker("run", "--name", "owned", IMAGE, "sh", "-c", own);
  await docker("commit", "-c", "VOLUME /data/", "owned", "owned:1");
  const look = ["stat", "-c", "%u:%g %a", "/data", "/data/in/f"];
  // An ordinary user cannot give files away; root's volumes are as the image has them.
  const expected = process.getuid?.() === 0 ? "5:6 750\n5:6 644" : "0:0 750\n0:0 644";
  t.is(await docker("run", "--rm", "-v", "owned:/data", "owned:1", ...look), expected);
  await docker("create", "--name", "clean", "owned:1", "true");
  const targets = await docker(
    "inspect",
    "-f",
    "{{range .Mounts}}{{.Destination}} {{end}}",
    "clean",
  );
  t.is(targets, "/data");
});

test("a volume over /etc does not hide how names are found", async (t) => {
  t.timeout(300_000);
  const read = ["cat", "/etc/resolv.conf", "/etc/hostname"];
  const words = ["run", "--rm", "--hostname", "named", "--dns", "10.9.8.7", "-v", "/etc", IMAGE];
  t.regex(await docker(...words, ...read), /nameserver 10\.9\.8\.7\n(.*\n)*named$/);
});

test("a file that is mounted itself can be given away and touched", async (t) => {
  t.timeout(300_000);
  const change =
    "touch -d 2001-02-03 /etc/issue && chmod 640 /etc/issue && stat -c '%a %y' /etc/issue";
  const path = join(engine.dd.root, "issue");
  writeFileSync(path, "x");
  const stat = await docker("run", "--rm", "-v", `${path}:/etc/issue`, IMAGE, "sh", "-c", change);
  t.regex(stat, /^640 2001-02-03 /);
});

test("a link may name a container by its id, and gives its host name", async (t) => {
  t.timeout(300_000);
  const words = ["run", "-d", "--name", "pointed-at", "--hostname", "fred", IMAGE, "sleep", "1000"];
  const id = await docker(...words);
  const hosts = await docker("run", "--rm", "--link", `${id}:other`, IMAGE, "cat", "/etc/hosts");
  t.regex(hosts, /\tother fred pointed-at\n/);
});

test("an empty HOME is none", async (t) => {
  t.timeout(300_000);
  t.is(await docker("run", "--rm", "-e", "HOME=", IMAGE, "sh", "-c", "echo $HOME"), "/root");
});

for (const [what, words, why] of [
  ["an option of a tmpfs", ["--tmpfs", "/t:foobar"], /invalid tmpfs option \["foobar"\]/],
  ["copying into a bind mount", ["-v", "/tmp:/x:nocopy"], /invalid mode: nocopy/],
  [
    "a user beyond all numbers",
    ["-u", "2147483648"],
    /uids and gids must be in range 0-2147483647/,
  ],
] as const) {
  test(`a container is refused for ${what}`, async (t) => {
    t.timeout(300_000);
    const { code, stderr } = await engine.docker(["run", "--rm", ...words, IMAGE, "true"]);
    t.is(code, 125);
    t.regex(stderr, why);
  });
}

test("a container that is to be removed at its end survives a restart, once more", async (t) => {
  t.timeout(300_000);
  const id = await docker("run", "-d", "--rm", "--name", "again", IMAGE, "sleep", "1000");
  await docker("restart", "-t", "0", "again");
  const [state, now] = (await docker("inspect", "-f", "{{.State.Status}} {{.Id}}", "again")).split(
    " ",
  );
  t.deepEqual([state, now], ["running", id]);
  await docker("stop", "-t", "0", "again");
  t.is(await docker("ps", "-aq", "-f", "name=again"), "");
});

test("groups are told in order, and a working directory without the slash behind it", async (t) => {
  t.timeout(300_000);
  const add = ["--group-add", "77", "--group-add", "5"];
  const words = ["run", "--name", "clean-directory", "-w", "/tmp/", ...add, IMAGE, "id", "-G"];
  t.is(await docker(...words), "0 5 77");
  t.is(await docker("inspect", "-f", "{{.Config.WorkingDir}}", "clean-directory"), "/tmp");
});

test("namespaces are shared with containers that are there, run, and let others in", async (t) => {
  t.timeout(300_000);
  const run = (...words: string[]) => engine.docker(["run", "--rm", ...words, IMAGE, "true"]);
  t.regex((await run("--pid", "container:nosuch")).stderr, /No such container: nosuch/);
  const id = await docker("create", "--name", "donor", IMAGE, "sleep", "1000");
  const idle = `failed to join PID namespace: container ${id} is not running`;
  const { stderr } = await run("--pid", "container:donor");
  t.true(stderr.includes(idle), stderr);
  await docker("start", "donor");
  t.is((await run("--pid", "container:donor")).code, 0);
  t.regex((await run("--ipc", "container:donor")).stderr, /non-shareable IPC/);
});

test("a paused container is not started, and of two volumes at one place the last counts", async (t) => {
  t.timeout(300_000);
  await docker("run", "-d", "--name", "frozen", "-v", "/same", IMAGE, "sleep", "1000");
  await docker("run", "-d", "--name", "last", "-v", "/same", IMAGE, "sleep", "1000");
  const from = ["--volumes-from", "frozen", "--volumes-from", "last"];
  await docker("create", "--name", "heir", ...from, IMAGE, "true");
  const volume = (name: string) =>
    docker("inspect", "-f", "{{range .Mounts}}{{.Name}} {{end}}", name);
  t.is(await volume("heir"), await volume("last"));
  await docker("pause", "frozen");
  const { stderr } = await engine.docker(["start", "frozen"]);
  t.regex(stderr, /cannot start a paused container, try unpause instead/);
  await docker("unpause", "frozen");
});

test("a volume that is a tmpfs has the size and owner that it was made with", async (t) => {
  t.timeout(300_000);
  const options = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000"];
  await docker("volume", "create", ...options, "tmpfs-of-one");
  const read = ["grep", " /t ", "/proc/mounts"];
  const mounts = await docker("run", "--rm", "-v", "tmpfs-of-one:/t", IMAGE, ...read);
  t.regex(mounts, /,size=1024k,uid=1000 /);
});
