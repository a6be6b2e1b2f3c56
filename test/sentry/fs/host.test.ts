import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "ava";
import { ENOENT, ENXIO, EPERM, EROFS, Errno } from "../../../sentry/abi/errno.ts";
import { O_RDONLY, S_IFCHR } from "../../../sentry/abi/file.ts";
import { HostFs } from "../../../sentry/fs/host.ts";
import { fsContract } from "./contract.ts";
import { Guest, ok, readAll, scratch } from "./fixture.ts";

fsContract(test, "bind", () => {
  const directory = scratch();
  const fs = new HostFs({ dirfd: directory.dirfd() });
  return { fs, done: directory.done };
});

function bound(readOnly = false) {
  const directory = scratch();
  const fs = new HostFs({ dirfd: directory.dirfd(), readOnly });
  return {
    path: directory.path,
    guest: new Guest(fs),
    done: () => {
      fs.release();
      directory.done();
    },
  };
}

test("a bind mount shows what the host has and what it changes meanwhile", (t) => {
  const { path, guest, done } = bound();
  writeFileSync(join(path, "f"), "from the host");
  t.is(guest.read("/f"), "from the host");
  rmSync(join(path, "f"));
  t.is(guest.read("/f"), ENOENT);
  guest.write("/g", "from the guest");
  t.is(readFileSync(join(path, "g"), "utf8"), "from the guest");
  done();
});

test("a symlink on the host never leads out of the bind mount", (t) => {
  const { path, guest, done } = bound();
  symlinkSync("/etc/passwd", join(path, "absolute"));
  symlinkSync("../../../../../../../../etc/passwd", join(path, "relative"));
  t.is(guest.read("/absolute"), ENOENT);
  t.is(guest.read("/relative"), ENOENT);
  t.is(guest.write("/absolute", "x"), ENOENT);
  done();
});

test("a directory that the host swaps for a symlink is not followed", (t) => {
  const { path, guest, done } = bound();
  mkdirSync(join(path, "d"));
  writeFileSync(join(path, "d", "f"), "inside");
  const d = ok(guest.path("/d"));
  renameSync(join(path, "d"), join(path, "moved"));
  symlinkSync("/etc", join(path, "d"));
  t.is(guest.read("/d/passwd"), ENOENT);
  guest.fs.cwd = d;
  const inside = guest.read("passwd");
  t.true(inside instanceof Errno);
  done();
});

test("a file that the host swaps for a symlink while it is known is not followed", (t) => {
  const { path, guest, done } = bound();
  writeFileSync(join(path, "f"), "inside");
  const inode = guest.inode("/f");
  const place = ok(guest.path("/f"));
  rmSync(join(path, "f"));
  symlinkSync("/etc/passwd", join(path, "f"));
  t.true(inode.open(O_RDONLY, place, guest) instanceof Errno);
  t.true(inode.stat() instanceof Errno);
  done();
});

test("a read-only bind mount changes nothing", (t) => {
  const { path, guest, done } = bound(true);
  writeFileSync(join(path, "f"), "x");
  t.is(guest.write("/f", "y"), EROFS);
  t.is(guest.write("/new", "y"), EROFS);
  t.is(guest.mkdir("/d"), EROFS);
  t.is(guest.unlink("/f"), EROFS);
  t.is(guest.rename("/f", "/g"), EROFS);
  t.is(readFileSync(join(path, "f"), "utf8"), "x");
  t.false(existsSync(join(path, "d")));
  done();
});

test("devices cannot be made on the host, and its sockets cannot be opened", async (t) => {
  const { path, guest, done } = bound();
  t.is(guest.mknod("/null", S_IFCHR | 0o666, 0x103), EPERM);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(path, "s"), resolve));
  t.is(guest.open("/s", O_RDONLY), ENXIO);
  server.close();
  done();
});

test("a bound file that the host has removed can still be read", (t) => {
  const { path, guest, done } = bound();
  writeFileSync(join(path, "f"), "still here");
  const file = ok(guest.open("/f", O_RDONLY));
  rmSync(join(path, "f"));
  t.is(readAll(file), "still here");
  t.is(ok(file.stat()).nlink, 0);
  file.close();
  done();
});

test("many directories are reached with few descriptors", (t) => {
  const { guest, done } = bound();
  for (let i = 0; i < 300; i++) {
    t.is(guest.mkdir(`/d${i}`), undefined);
    t.is(guest.write(`/d${i}/f`, String(i)), undefined);
  }
  for (let i = 0; i < 300; i++) t.is(guest.read(`/d${i}/f`), String(i));
  done();
});

test("files of the user who runs the sentry are the container's user's, unless that user is root", (t) => {
  const { path, guest, done } = bound();
  writeFileSync(join(path, "f"), "x");
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  t.like(guest.stat("/f"), own.uid === 0 ? own : { uid: 0, gid: 0 });
  const { fs } = guest.inode("/");
  t.true(fs instanceof HostFs);
  if (fs instanceof HostFs) fs.showOwnAs(1000, 1000);
  t.like(guest.stat("/f"), own.uid === 0 ? own : { uid: 1000, gid: 1000 });
  t.is(guest.inode("/f").uid, own.uid === 0 ? own.uid : 1000);
  done();
});
