import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { type MountRequest, resolveMounts } from "../../../sentry/container/mounts.ts";
import {
  execConfig,
  type ImageDefaults,
  type ProcessChoice,
  processConfig,
} from "../../../sentry/container/process-config.ts";
import { parseSignal } from "../../../sentry/container/signal-name.ts";
import { resolveUser } from "../../../sentry/container/user.ts";
import { temporaryDirectories } from "./sample.ts";

const PASSWD = Buffer.from(
  [
    "# a comment",
    "root:x:0:0:root:/root:/bin/sh",
    "broken line",
    "app:x:1000:1001::/home/app:/bin/sh",
    "homeless:x:7:7:::",
    "bad:x:-5:0::/:",
    "123:x:2000:2000::/numeric:",
  ].join("\n"),
);
const GROUP = Buffer.from(
  ["root:x:0:", "app:x:1001:", "wheel:x:10:root,app", "audio:x:11:app", "bad:x:y:app"].join("\n"),
);

/** What runc's user package, and so docker, makes of -u. */
const USERS = [
  ["", { uid: 0, gid: 0, groups: [10], home: "/root" }],
  ["app", { uid: 1000, gid: 1001, groups: [10, 11], home: "/home/app" }],
  ["1000", { uid: 1000, gid: 1001, groups: [10, 11], home: "/home/app" }],
  ["app:wheel", { uid: 1000, gid: 10, groups: [], home: "/home/app" }],
  ["app:4000", { uid: 1000, gid: 4000, groups: [], home: "/home/app" }],
  [":wheel", { uid: 0, gid: 10, groups: [], home: "/root" }],
  ["3000", { uid: 3000, gid: 0, groups: [], home: "/" }],
  ["homeless", { uid: 7, gid: 7, groups: [], home: "/" }],
  ["123", { uid: 2000, gid: 2000, groups: [], home: "/numeric" }],
] as const;

for (const [wanted, user] of USERS) {
  test(`resolveUser() finds "${wanted}"`, (t) => {
    t.deepEqual(resolveUser(wanted, PASSWD, GROUP), user);
  });
}

for (const wanted of [
  "nobody",
  "bad",
  "app:nogroup",
  "app:bad",
  "99999999999",
  "-1",
  "2147483648",
]) {
  test(`resolveUser() refuses "${wanted}"`, (t) => {
    t.throws(() => resolveUser(wanted, PASSWD, GROUP), { code: "NO_SUCH_USER" });
  });
}

test("resolveUser() takes any bytes for account files", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
      const { uid, gid, home } = resolveUser("5", a, b);
      t.true(uid >= 0 && gid >= 0 && home.length > 0);
    }),
  );
});

const IMAGE: ImageDefaults = {
  Env: ["PATH=/image", "LANG=C"],
  Entrypoint: ["/entry", "-x"],
  Cmd: ["default"],
  WorkingDir: "/srv",
  User: "app",
};
const CHOICE: ProcessChoice = {
  args: [],
  entrypoint: undefined,
  env: [],
  workdir: undefined,
  user: undefined,
  tty: false,
  hostname: "box",
};

const COMMANDS = [
  ["the image's entrypoint and command", {}, ["/entry", "-x", "default"]],
  ["arguments instead of the command", { args: ["a", "b"] }, ["/entry", "-x", "a", "b"]],
  ["an entrypoint instead of both", { entrypoint: "/mine" }, ["/mine"]],
  ["an entrypoint with arguments", { entrypoint: "/mine", args: ["a"] }, ["/mine", "a"]],
  ["no entrypoint", { entrypoint: "", args: ["a"] }, ["a"]],
] as const;

for (const [what, changes, argv] of COMMANDS) {
  test(`processConfig() takes ${what}`, (t) => {
    t.deepEqual(processConfig(IMAGE, { ...CHOICE, ...changes }).argv, argv);
  });
}

test("processConfig() refuses to run nothing, and a relative directory", (t) => {
  const empty = { Env: [], WorkingDir: "", User: "" };
  t.throws(() => processConfig(empty, CHOICE), { code: "NO_COMMAND" });
  t.throws(() => processConfig(IMAGE, { ...CHOICE, entrypoint: "" }), { code: "NO_COMMAND" });
  t.throws(() => processConfig(IMAGE, { ...CHOICE, workdir: "x" }), { code: "INVALID_WORKDIR" });
});

test("processConfig() merges variables in docker's order, later ones in the place of earlier ones", (t) => {
  const { env } = processConfig(IMAGE, { ...CHOICE, tty: true, env: ["LANG=é", "NEW=1"] });
  t.deepEqual(env, ["PATH=/image", "HOSTNAME=box", "TERM=xterm", "LANG=\u00c3\u00a9", "NEW=1"]);
});

test("execConfig() starts from the container's own configuration", (t) => {
  const container = processConfig(IMAGE, { ...CHOICE, env: ["A=é"] });
  const choice = { ...CHOICE, args: ["sh"], env: ["B=2"], user: "0" };
  const exec = execConfig(container, choice, false);
  t.deepEqual(exec.argv, ["sh"]);
  t.deepEqual(exec.env, [...container.env, "B=2"]);
  t.like(exec, { cwd: "/srv", user: "0" });
});

test("execConfig() keeps TERM from who has no terminal, unless somebody asked for it", (t) => {
  const of = (tty: boolean, env: readonly string[]) => {
    const container = processConfig(IMAGE, { ...CHOICE, tty: true, env });
    return execConfig(container, { ...CHOICE, args: ["sh"], tty }, true).env;
  };
  t.false(of(false, []).includes("TERM=xterm"));
  t.true(of(true, []).includes("TERM=xterm"));
  t.true(of(false, ["TERM=vt100"]).includes("TERM=vt100"));
});

const SIGNALS = [
  ["TERM", 15],
  ["sigkill", 9],
  ["1", 1],
  ["64", 64],
  ["RTMIN+1", 35],
  ["SIGRTMAX-0", 64],
  ["0", undefined],
  ["65", undefined],
  ["NOSUCH", undefined],
  ["RTMIN+40", undefined],
  ["", undefined],
] as const;

for (const [text, signo] of SIGNALS) {
  test(`parseSignal("${text}") is ${signo}`, (t) => {
    t.is(parseSignal(text), signo);
  });
}

const BIND = { kind: "bind", target: "/x", readOnly: false, create: false } as const;

test("resolveMounts() orders by depth, makes volumes and gives the image's their own", (t) => {
  const directories = temporaryDirectories(t);
  mkdirSync(directories.root, { recursive: true });
  const requests: readonly MountRequest[] = [
    { kind: "tmpfs", target: "/a/b/c", readOnly: false, sizeBytes: 5, mode: 0o700, noexec: true },
    { kind: "volume", name: "data", target: "/a/b", readOnly: true, copyUp: true },
    { kind: "volume", name: undefined, target: "/a", readOnly: false, copyUp: true },
  ];
  const { mounts, anonymousVolumes } = resolveMounts(
    requests,
    ["/a", "/z"],
    "trusted",
    directories,
  );
  t.deepEqual(
    mounts.map(({ target }) => target),
    ["/a", "/z", "/a/b", "/a/b/c"],
  );
  t.is(anonymousVolumes.length, 2);
  t.like(mounts[3], { kind: "tmpfs", sizeBytes: 5, mode: 0o700 });
});

test("resolveMounts() refuses one target twice and missing sources", (t) => {
  const directories = temporaryDirectories(t);
  const twice = [BIND, BIND].map((each) => ({ ...each, source: "/usr" }));
  t.throws(() => resolveMounts(twice, [], "trusted", directories), { code: "INVALID_MOUNT" });
  const missing = [{ ...BIND, source: "/nosuch" }];
  t.throws(() => resolveMounts(missing, [], "trusted", directories), {
    code: "MOUNT_SOURCE_MISSING",
  });
});

test("resolveMounts() refuses untrusted containers what is dd's, also behind a symlink", (t) => {
  const directories = temporaryDirectories(t);
  mkdirSync(directories.root, { recursive: true });
  mkdirSync(directories.run, { recursive: true });
  const link = join(directories.root, "..", "link");
  symlinkSync(directories.run, link);
  const file = join(directories.root, "..", "file");
  writeFileSync(file, "");
  const mount = (source: string, mode: "trusted" | "untrusted") =>
    resolveMounts([{ ...BIND, source }], [], mode, directories).mounts[0];
  for (const source of [
    directories.root,
    directories.run,
    link,
    "/",
    "/tmp",
    "/dev",
    "/proc/self",
  ]) {
    t.throws(() => mount(source, "untrusted"), { code: "MOUNT_REFUSED" }, source);
    t.notThrows(() => mount(source, "trusted"), source);
  }
  t.like(mount(file, "untrusted"), { kind: "bind", source: file });
});
