import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { EACCES, EINVAL, ENOENT, ENOSPC, ENXIO, EROFS } from "../../../sentry/abi/errno.ts";
import { O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY } from "../../../sentry/abi/file.ts";
import { buildMounts, MountError } from "../../../sentry/fs/build-mounts.ts";
import { tmpfs } from "../../../sentry/fs/tmpfs.ts";
import type { Reactor } from "../../../sentry/host/reactor.ts";
import type { MountSpec } from "../../../sentry/spec.ts";
import { inodeAt } from "../../../sentry/vfs/mount.ts";
import { Guest, ioBuffer, ok, readAll, scratch, user } from "./fixture.ts";
import { File, lowerOf } from "./lower-fixture.ts";
import { FakeProcess, fakeSystem } from "./system-fixture.ts";

const NO_REACTOR: Reactor = {
  watch: () => ({ setEvents: () => {}, close: () => {} }),
  at: () => ({ cancel: () => {} }),
  now: () => 0n,
  post: () => {},
  shareWithNode: () => ({ close: () => {} }),
};

function container(mounts: (host: string) => readonly MountSpec[] = () => [], readOnly = false) {
  const directory = scratch();
  const image = {
    bin: { sh: new File("#!", 0o755) },
    etc: {
      hosts: new File("image's"),
      "resolv.conf": { link: "../run/systemd/resolve/stub-resolv.conf" },
      loop: { link: "loop" },
    },
    data: { seed: new File("from the image") },
  };
  const init = new FakeProcess();
  const tree = buildMounts({
    lower: lowerOf(image, directory.path),
    upper: join(directory.path, "upper"),
    readOnly,
    mounts: mounts(directory.path),
    scratch: join(directory.path, "scratch"),
    etc: new Map([
      ["hosts", "127.0.0.1 localhost\n"],
      ["hostname", "box\n"],
      ["resolv.conf", "nameserver 127.0.0.11\n"],
    ]),
    system: fakeSystem(init),
    reactor: NO_REACTOR,
  });
  const guest = new Guest(tree.namespace);
  init.root = guest.fs.root;
  init.cwd = guest.fs.cwd;
  init.exe = ok(guest.path("/bin/sh"));
  const done = () => {
    tree.release();
    directory.done();
  };
  return { guest, init, tree, host: directory.path, done };
}

test("a container has the devices docker gives it, and no others", (t) => {
  const { guest, done } = container();
  t.deepEqual(
    guest.list("/dev"),
    "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split(" "),
  );
  t.is(guest.stat("/dev/null").rdev, 0x103);
  t.is(guest.write("/dev/null", "x", O_WRONLY), undefined);
  t.is(guest.read("/dev/null"), "");
  const zero = ok(guest.open("/dev/zero", O_RDONLY));
  const bytes = Buffer.from("xxxx");
  t.is(zero.read(ioBuffer(bytes)), 4);
  t.is(bytes.toString("hex"), "00000000");
  zero.close();
  t.is(guest.open("/dev/tty", O_RDWR), ENXIO);
  t.is(guest.mknod("/dev/sda", 0o060660, 0x800), undefined);
  t.is(guest.open("/dev/sda", O_RDONLY), ENXIO);
  done();
});

test("generated files cover the image's without changing it", (t) => {
  const { guest, done, host } = container();
  t.is(guest.read("/etc/hosts"), "127.0.0.1 localhost\n");
  t.is(guest.read("/etc/hostname"), "box\n");
  // A dangling link of the image: what it leads to is made inside the container.
  t.is(guest.read("/etc/resolv.conf"), "nameserver 127.0.0.11\n");
  t.is(guest.inode("/etc/resolv.conf", true).mode & 0o170000, 0o120000);
  t.is(guest.write("/etc/hosts", "edited"), undefined);
  t.is(guest.read("/etc/hosts"), "edited");
  t.is(readdirSync(join(host, "upper", "blobs")).length, 0);
  done();
});

test("binds, volumes and tmpfs appear where the spec says", (t) => {
  const { guest, done, host } = container((path) => {
    mkdirSync(join(path, "src"));
    mkdirSync(join(path, "vol"));
    writeFileSync(join(path, "src", "f"), "bound");
    writeFileSync(join(path, "one"), "single file");
    return [
      { kind: "bind", source: join(path, "src"), target: "/mnt/src", readOnly: true },
      { kind: "bind", source: join(path, "one"), target: "/etc/one", readOnly: false },
      {
        kind: "volume",
        name: "v",
        source: join(path, "vol"),
        target: "/data",
        readOnly: false,
        copyUp: true,
      },
      { kind: "tmpfs", target: "/scratch", readOnly: false, sizeBytes: 4096, noexec: true },
    ];
  });
  t.is(guest.read("/mnt/src/f"), "bound");
  t.is(guest.write("/mnt/src/f", "x"), EROFS);
  t.is(guest.read("/etc/one"), "single file");
  t.is(guest.write("/etc/one", "changed"), undefined);
  t.is(readFileSync(join(host, "one"), "utf8"), "changed");
  t.is(guest.read("/data/seed"), "from the image");
  t.is(readFileSync(join(host, "vol", "seed"), "utf8"), "from the image");
  t.is(guest.write("/scratch/f", "x"), undefined);
  const table = guest.read("/proc/self/mounts") as string;
  t.regex(table, /^overlay \/ overlay rw,relatime 0 0$/m);
  t.regex(table, /^tmpfs \/scratch tmpfs rw,nosuid,nodev,noexec,relatime,size=4k 0 0$/m);
  t.regex(table, /\/mnt\/src \w+ ro,relatime 0 0$/m);
  done();
});

test("a read-only container changes nothing but its mounts", (t) => {
  const { guest, done } = container(
    () => [{ kind: "tmpfs", target: "/tmp", readOnly: false, noexec: false }],
    true,
  );
  t.is(guest.write("/f", "x"), EROFS);
  t.is(guest.mkdir("/d"), EROFS);
  t.is(guest.write("/tmp/f", "x"), undefined);
  done();
});

test("a mount whose source is missing names itself", (t) => {
  const directory = scratch();
  const error = t.throws(
    () =>
      container(() => [{ kind: "bind", source: "/does/not/exist", target: "/x", readOnly: false }]),
    { instanceOf: MountError },
  );
  t.regex(error.message, /\/does\/not\/exist.*\/x.*ENOENT/);
  directory.done();
});

test("a mount on a symlink that leads nowhere else but to itself is refused", (t) => {
  const error = t.throws(
    () =>
      container((host) => [{ kind: "bind", source: host, target: "/etc/loop/d", readOnly: true }]),
    { instanceOf: MountError },
  );
  t.regex(error.message, /ELOOP/);
});

test("/proc/self shows the process that reads it", (t) => {
  const { guest, init, done } = container();
  t.is(guest.inode("/proc/self", true).readlink(guest), "1");
  t.is(guest.read("/proc/self/comm"), "sh\n");
  t.is(guest.read("/proc/self/cmdline"), "sh\0-c\0true\0");
  t.is(guest.inode("/proc/self/exe", true).readlink(guest), "/bin/sh");
  t.is(guest.read("/proc/self/exe"), "#!");
  t.is((guest.read("/proc/1/stat") as string).split(" ").length, 52);
  t.regex(guest.read("/proc/thread-self/status") as string, /^Name:\tsh\nUmask:\t0022\nState:\tR/);
  t.is(guest.write("/proc/self/comm", "renamed\n", O_WRONLY), undefined);
  t.is(init.comm, "renamed");
  t.is(guest.write("/proc/self/oom_score_adj", "5000", O_WRONLY), EINVAL);
  t.is(guest.read("/proc/2/stat"), ENOENT);
  t.is(guest.write("/proc/uptime", "1", O_WRONLY), EACCES);
  t.true((guest.list("/proc") as string[]).includes("1"));
  done();
});

test("what a process holds is nobody's business but its user's", (t) => {
  const { guest, init, done } = container();
  guest.mkdir("/private", 0o700);
  guest.write("/private/f", "secret");
  init.cwd = ok(guest.path("/private"));
  t.is(guest.read("/proc/1/cwd/f"), "secret");
  const stranger = Object.assign(new Guest(guest.namespace), {
    credentials: user(1000),
    process: { pid: 2 },
  });
  t.is(stranger.read("/proc/1/cwd/f"), EACCES);
  t.is(stranger.inode("/proc/1/exe", true).readlink(stranger), EACCES);
  t.is(stranger.read("/proc/1/environ"), EACCES);
  t.is(stranger.read("/proc/1/maps"), EACCES);
  t.is(stranger.list("/proc/1/fd"), EACCES);
  t.is(stranger.read("/proc/1/cmdline"), "sh\0-c\0true\0");
  done();
});

test("a tree has an end: the inodes it may have", (t) => {
  const directory = scratch();
  const fs = tmpfs({ dirfd: directory.dirfd(), inodes: 3 });
  const guest = new Guest(fs);
  t.is(guest.mkdir("/a"), undefined);
  t.is(guest.mkdir("/b"), undefined);
  t.is(guest.mkdir("/c"), ENOSPC);
  t.is(guest.rmdir("/a"), undefined);
  t.is(guest.mkdir("/c"), undefined);
  fs.release();
  directory.done();
});

test("/proc/self/fd leads to what is open, also when its name is gone", (t) => {
  const { guest, init, done } = container();
  guest.write("/f", "content");
  const file = ok(guest.open("/f", O_RDONLY));
  init.files.set(3, file);
  t.deepEqual(guest.list("/proc/self/fd"), ["3"]);
  t.is(guest.inode("/proc/self/fd/3", true).readlink(guest), "/f");
  t.is(guest.read("/proc/self/fd/3"), "content");
  t.is(guest.read("/dev/fd/3"), "content");
  guest.unlink("/f");
  t.is(guest.inode("/proc/self/fd/3", true).readlink(guest), "/f (deleted)");
  t.is(guest.read("/proc/self/fd/3"), "content");
  t.is(guest.read("/proc/self/fd/4"), ENOENT);
  t.regex(guest.read("/proc/self/fdinfo/3") as string, /^pos:\t0\nflags:\t0/);
  file.close();
  done();
});

test("system files say what programs ask for", (t) => {
  const { guest, done } = container();
  t.is(guest.read("/proc/uptime"), "12.34 23.18\n");
  t.regex(guest.read("/proc/meminfo") as string, /^MemTotal: +1048576 kB\nMemFree: +524288 kB\n/);
  t.regex(guest.read("/proc/stat") as string, /^cpu {2}100 0 50 2318 [\s\S]*\nbtime 1700000000\n/);
  t.regex(guest.read("/proc/cpuinfo") as string, /processor\s*: 0/);
  t.is(guest.read("/proc/sys/kernel/hostname"), "box\n");
  t.is(guest.write("/proc/sys/vm/overcommit_memory", "1\n", O_WRONLY), undefined);
  t.is(guest.read("/proc/sys/vm/overcommit_memory"), "1\n");
  t.is(guest.read("/sys/devices/system/cpu/online"), "0-1\n");
  t.deepEqual(guest.list("/sys/fs/cgroup"), []);
  t.is(guest.write("/sys/devices/system/cpu/online", "0", O_WRONLY), EROFS);
  done();
});

test("every file of /proc and /sys can be read to its end", (t) => {
  const { guest, done } = container();
  let count = 0;
  const visit = (path: string) => {
    for (const name of ok(guest.list(path))) {
      const at = `${path}/${name}`;
      const stat = guest.lstat(at);
      if ((stat.mode & 0o170000) === 0o040000) visit(at);
      else if ((stat.mode & 0o170000) === 0o100000) {
        const file = ok(guest.open(at, O_RDONLY));
        t.is(typeof readAll(file), "string", at);
        file.close();
        count++;
      }
    }
  };
  visit("/proc");
  visit("/sys");
  t.true(count > 100);
  done();
});

test("what is mounted cannot be removed, and what covers it is seen from inside", (t) => {
  const { guest, done } = container();
  t.is(guest.rmdir("/proc")?.name, "EBUSY");
  t.is(guest.rename("/proc", "/p")?.name, "EBUSY");
  const dev = ok(guest.open("/dev", O_RDONLY | O_DIRECTORY));
  t.is(inodeAt(ok(guest.path("/dev/.."))).ino, guest.inode("/").ino);
  dev.close();
  done();
});

test("nothing of a container's memory file systems is left behind", (t) => {
  const directory = scratch();
  const { guest, tree, host } = container();
  guest.write("/dev/shm/f", "x", O_WRONLY | O_CREAT);
  tree.release();
  for (const name of readdirSync(join(host, "scratch"))) {
    t.deepEqual(readdirSync(join(host, "scratch", name)), []);
  }
  t.true(existsSync(join(host, "upper", "journal")));
  directory.done();
});
