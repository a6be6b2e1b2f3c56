import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { ENOENT } from "../../../sentry/abi/errno.ts";
import { O_RDONLY } from "../../../sentry/abi/file.ts";
import { hostImage } from "../../../sentry/fs/host-image.ts";
import { overlay } from "../../../sentry/fs/overlay.ts";
import { HOST_O, openHostPath } from "../../../sentry/host/fs.ts";
import { Guest, ok, scratch } from "./fixture.ts";

/** A small host: what is for everybody, what is not, and what is nobody's business. */
function host() {
  const directory = scratch();
  const at = (...names: string[]) => join(directory.path, "host", ...names);
  for (const path of ["usr/bin", "usr/private", "etc", "home/me", "root", "var/secrets", "opt"]) {
    mkdirSync(at(path), { recursive: true, mode: 0o755 });
  }
  symlinkSync("usr/bin", at("bin"));
  writeFileSync(at("usr/bin/tool"), "#!/bin/sh\n", { mode: 0o755 });
  writeFileSync(at("usr/private/key"), "secret", { mode: 0o644 });
  chmodSync(at("usr/private"), 0o700);
  writeFileSync(at("etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
  writeFileSync(at("etc/shadow"), "secret", { mode: 0o640 });
  writeFileSync(at("home/me/diary"), "secret");
  writeFileSync(at("var/secrets/s"), "secret");
  symlinkSync("/home/me/diary", at("etc/link"));
  mkdirSync(join(directory.path, "upper"));
  const open = () => {
    const dirfd = ok(openHostPath(join(directory.path, "upper"), HOST_O.PATH | HOST_O.DIRECTORY));
    const fs = overlay({ lower: ok(hostImage(at())), dirfd });
    return { fs, guest: new Guest(fs) };
  };
  return { open, at, done: directory.done };
}

test("the host image shows system directories and nothing private", (t) => {
  const { open, done } = host();
  const { fs, guest } = open();
  t.is(guest.read("/bin/tool"), "#!/bin/sh\n");
  t.is(guest.read("/etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
  t.is(guest.read("/etc/shadow"), ENOENT);
  t.is(guest.read("/usr/private/key"), ENOENT);
  t.is(guest.read("/home/me/diary"), ENOENT);
  t.is(guest.read("/etc/link"), ENOENT);
  t.deepEqual(guest.list("/usr"), ["bin"]);
  t.deepEqual(guest.list("/etc"), ["link", "passwd"]);
  t.deepEqual(guest.list("/home"), []);
  t.deepEqual(guest.list("/root"), []);
  t.deepEqual(guest.list("/var"), ["cache", "lib", "lock", "log", "run", "spool", "tmp"]);
  t.is(guest.stat("/tmp").mode & 0o7777, 0o1777);
  fs.release();
  done();
});

test("changes to the host image stay in the upper layer and survive a restart", (t) => {
  const { open, at, done } = host();
  const first = open();
  t.is(first.guest.write("/etc/passwd", "changed"), undefined);
  t.is(first.guest.unlink("/usr/bin/tool"), undefined);
  t.is(first.guest.write("/opt/new", "new"), undefined);
  first.fs.release();
  const second = open();
  t.is(second.guest.read("/etc/passwd"), "changed");
  t.is(second.guest.read("/bin/tool"), ENOENT);
  t.is(second.guest.read("/opt/new"), "new");
  second.fs.release();
  writeFileSync(at("etc", "added"), "by the host");
  const third = open();
  t.is(third.guest.read("/etc/added"), "by the host");
  third.fs.release();
  done();
});

test("a program of the host image can be mapped and read directly", (t) => {
  const { open, done } = host();
  const { fs, guest } = open();
  const file = ok(guest.open("/usr/bin/tool", O_RDONLY));
  const backing = ok(file.backing());
  t.true(backing.direct);
  t.is(backing.offset, 0);
  file.close();
  fs.release();
  done();
});
