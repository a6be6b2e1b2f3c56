/** What every writable file system must do, whatever keeps its files. Run by the test of each of them. */
import type { TestFn } from "ava";
import {
  EACCES,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
} from "../../../sentry/abi/errno.ts";
import * as abi from "../../../sentry/abi/file.ts";
import * as attributes from "../../../sentry/vfs/attributes.ts";
import type { FileSystem } from "../../../sentry/vfs/inode.ts";
import { Guest, ioBuffer, ok, readAll, user } from "./fixture.ts";

/** Makes a fresh, empty instance and says how to get rid of it. */
export type Make = () => { readonly fs: FileSystem; done(): void };

export function fsContract(test: TestFn, kind: string, make: Make): void {
  const it = (name: string, body: (guest: Guest, t: import("ava").ExecutionContext) => void) => {
    test(`${kind}: ${name}`, (t) => {
      const { fs, done } = make();
      try {
        body(new Guest(fs), t);
      } finally {
        fs.release();
        done();
      }
    });
  };

  it("a file keeps what is written to it", (g, t) => {
    t.is(g.write("/a", "hello"), undefined);
    t.is(g.read("/a"), "hello");
    t.is(g.write("/a", " world", abi.O_WRONLY | abi.O_APPEND), undefined);
    t.is(g.read("/a"), "hello world");
    t.is(g.stat("/a").size, 11);
    t.is(g.write("/a", "bye"), undefined);
    t.is(g.read("/a"), "bye");
  });

  it("readers see what a writer that has the file open adds", (g, t) => {
    const writer = ok(g.open("/log", abi.O_CREAT | abi.O_WRONLY | abi.O_APPEND));
    const reader = ok(g.open("/log", abi.O_RDONLY));
    t.is(readAll(reader), "");
    ok(writer.write(ioBuffer(Buffer.from("line 1\n"))));
    t.is(readAll(reader), "line 1\n");
    t.is(g.stat("/log").size, 7);
    writer.close();
    reader.close();
  });

  it("names are made once, and missing ones are missing", (g, t) => {
    t.is(g.read("/none"), ENOENT);
    t.is(g.mkdir("/d"), undefined);
    t.is(g.mkdir("/d"), EEXIST);
    t.is(g.open("/d", abi.O_CREAT | abi.O_EXCL | abi.O_RDWR), EEXIST);
    t.is(g.open("/d", abi.O_RDWR), EISDIR);
    t.is(g.mkdir("/x/y"), ENOENT);
    t.is(g.write("/f", ""), undefined);
    t.is(g.mkdir("/f/y"), ENOTDIR);
    t.is(g.unlink("/d"), EISDIR);
    t.is(g.rmdir("/f"), ENOTDIR);
    t.is(g.mkdir(`/${"n".repeat(256)}`), ENAMETOOLONG);
    t.is(g.mkdir(`/${"n".repeat(255)}`), undefined);
  });

  it("directories list what they hold and go only when empty", (g, t) => {
    g.mkdir("/d");
    for (const name of ["b", "a", ".wh.a", "c"]) t.is(g.write(`/d/${name}`, name), undefined);
    t.deepEqual(g.list("/d"), [".wh.a", "a", "b", "c"]);
    t.is(g.rmdir("/d"), ENOTEMPTY);
    for (const name of ["b", "a", ".wh.a", "c"]) t.is(g.unlink(`/d/${name}`), undefined);
    t.deepEqual(g.list("/d"), []);
    t.is(g.rmdir("/d"), undefined);
    t.is(g.list("/d"), ENOENT);
  });

  it("getdents gives all names of a big directory, and EINVAL for no room at all", (g, t) => {
    g.mkdir("/d");
    for (let i = 0; i < 300; i++) g.symlink("x", `/d/name-${i}`);
    t.is((g.list("/d") as string[]).length, 300);
    const directory = ok(g.open("/d", abi.O_RDONLY));
    t.is(directory.readdir(10), EINVAL);
    directory.close();
  });

  it("a file without a name lives as long as it is open", (g, t) => {
    g.write("/f", "content");
    const file = ok(g.open("/f", abi.O_RDWR));
    t.is(g.unlink("/f"), undefined);
    t.is(g.read("/f"), ENOENT);
    t.is(readAll(file), "content");
    t.is(ok(file.stat()).nlink, 0);
    t.regex(file.name, /^\/f \(deleted\)$/);
    file.close();
  });

  it("hard links are one file", (g, t) => {
    g.write("/a", "1");
    t.is(g.link("/a", "/b"), undefined);
    t.is(g.stat("/a").ino, g.stat("/b").ino);
    t.is(g.stat("/a").nlink, 2);
    g.write("/b", "two");
    t.is(g.read("/a"), "two");
    t.is(g.unlink("/a"), undefined);
    t.is(g.stat("/b").nlink, 1);
    t.is(g.read("/b"), "two");
    g.mkdir("/d");
    t.is(g.link("/d", "/e"), EPERM);
  });

  it("symlinks keep their target and are followed", (g, t) => {
    g.mkdir("/d");
    g.write("/d/f", "x");
    t.is(g.symlink("d/f", "/l"), undefined);
    t.is(g.read("/l"), "x");
    t.is(g.inode("/l", true).readlink(g), "d/f");
    t.is(g.lstat("/l").size, 3);
    t.is(g.open("/l", abi.O_RDONLY | abi.O_NOFOLLOW), ELOOP);
    g.symlink("loop", "/loop");
    t.is(g.read("/loop"), ELOOP);
    g.symlink("/new", "/dangling");
    t.is(g.write("/dangling", "made"), undefined);
    t.is(g.read("/new"), "made");
  });

  it("rename moves, replaces and refuses as rename(2) says", (g, t) => {
    g.write("/a", "a");
    g.write("/b", "b");
    t.is(g.rename("/a", "/b"), undefined);
    t.is(g.read("/b"), "a");
    t.is(g.read("/a"), ENOENT);
    g.mkdir("/d");
    g.mkdir("/d/e");
    t.is(g.rename("/b", "/d"), EISDIR);
    t.is(g.rename("/d", "/b"), ENOTDIR);
    t.is(g.rename("/d", "/d/e/f"), EINVAL);
    t.is(g.rename("/d/e", "/d"), ENOTEMPTY);
    g.mkdir("/full");
    g.write("/full/f", "");
    t.is(g.rename("/d", "/full"), ENOTEMPTY);
    t.is(g.rename("/full", "/d/e"), undefined);
    t.deepEqual(g.list("/d/e"), ["f"]);
    t.is(g.rename("/b", "/d/e", abi.RENAME_NOREPLACE), EEXIST);
    t.is(g.rename("/b", "/d/e/f", abi.RENAME_EXCHANGE), undefined);
    t.is(g.read("/d/e/f"), "a");
    t.is(g.read("/b"), "");
  });

  it("rename between two names of one file does nothing", (g, t) => {
    g.write("/a", "x");
    g.link("/a", "/b");
    t.is(g.rename("/a", "/b"), undefined);
    t.deepEqual(g.list("/"), ["a", "b"]);
  });

  it("umask, chmod and times are kept", (g, t) => {
    g.fs.umask = 0o027;
    g.write("/f", "x");
    t.is(g.stat("/f").mode, 0o100640);
    g.mkdir("/d", 0o777);
    t.is(g.stat("/d").mode, 0o040750);
    t.is(attributes.chmod(g, ok(g.path("/f")), 0o4711), undefined);
    t.is(g.stat("/f").mode, 0o104711);
    t.is(attributes.setTimes(g, ok(g.path("/f")), 5n, 1_234_567_890_123_456_789n), undefined);
    t.is(g.stat("/f").mtimeNs, 1_234_567_890_123_456_789n);
    t.is(g.stat("/f").atimeNs, 5n);
    const before = g.stat("/f").mtimeNs;
    g.write("/f", "later", abi.O_WRONLY);
    t.true(g.stat("/f").mtimeNs > before);
  });

  it("truncate cuts and extends with zeroes", (g, t) => {
    g.write("/f", "0123456789");
    t.is(attributes.truncate(g, ok(g.path("/f")), 4), undefined);
    t.is(g.read("/f"), "0123");
    const file = ok(g.open("/f", abi.O_RDWR));
    t.is(file.truncate(6), undefined);
    t.is(readAll(file), "0123\0\0");
    file.close();
  });

  it("permission bits decide for an ordinary user", (g, t) => {
    g.write("/secret", "s");
    attributes.chmod(g, ok(g.path("/secret")), 0o600);
    g.mkdir("/closed", 0o700);
    g.write("/closed/f", "");
    g.mkdir("/tmp", 0o777);
    attributes.chmod(g, ok(g.path("/tmp")), 0o1777);
    g.write("/tmp/roots", "");
    g.credentials = user(1234);
    t.is(g.read("/secret"), EACCES);
    t.is(g.read("/closed/f"), EACCES);
    t.is(g.write("/new", ""), EACCES);
    t.is(g.unlink("/tmp/roots"), EPERM);
    t.is(attributes.chmod(g, ok(g.path("/secret")), 0o666), EPERM);
  });

  it("FIFOs and sockets are names of their type", (g, t) => {
    t.is(g.mknod("/fifo", abi.S_IFIFO | 0o644), undefined);
    t.is(g.lstat("/fifo").mode, abi.S_IFIFO | 0o644);
    t.is(g.mknod("/sock", abi.S_IFSOCK | 0o755), undefined);
    t.is(g.lstat("/sock").mode, abi.S_IFSOCK | 0o755);
    t.is(g.unlink("/fifo"), undefined);
  });

  it("a directory that is gone makes nothing more", (g, t) => {
    g.mkdir("/d");
    const d = ok(g.path("/d"));
    g.rmdir("/d");
    g.fs.cwd = d;
    t.is(g.mkdir("x"), ENOENT);
    t.is(g.write("f", ""), ENOENT);
  });

  it("files and directories can be made durable", (g, t) => {
    g.mkdir("/d");
    g.write("/d/f", "x");
    const file = ok(g.open("/d/f", abi.O_RDWR));
    const directory = ok(g.open("/d", abi.O_RDONLY | abi.O_DIRECTORY));
    t.is(file.sync(false), undefined);
    t.is(file.sync(true), undefined);
    t.is(directory.sync(false), undefined);
    file.close();
    directory.close();
  });

  it("what is mapped or read directly has the file's bytes", (g, t) => {
    g.write("/f", "direct");
    const file = ok(g.open("/f", abi.O_RDONLY));
    const backing = ok(file.backing());
    t.true(backing.direct);
    t.is(backing.offset, 0);
    file.close();
  });
}
