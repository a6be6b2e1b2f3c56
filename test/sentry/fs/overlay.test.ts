import { cpSync, mkdirSync, readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { ENOENT, Errno } from "../../../sentry/abi/errno.ts";
import { O_RDONLY } from "../../../sentry/abi/file.ts";
import { HostFs } from "../../../sentry/fs/host.ts";
import { overlay } from "../../../sentry/fs/overlay.ts";
import { tmpfs } from "../../../sentry/fs/tmpfs.ts";
import { Journal } from "../../../sentry/fs/upper/journal.ts";
import { HOST_O, openHostPath } from "../../../sentry/host/fs.ts";
import { chmod } from "../../../sentry/vfs/attributes.ts";
import { fsContract } from "./contract.ts";
import { dump, Guest, ok, readAll, scratch, shape } from "./fixture.ts";
import { File, LOWER, lowerOf, type Spec } from "./lower-fixture.ts";
import { operation, perform } from "./operations.ts";

fsContract(test, "overlay", () => {
  const directory = scratch();
  return {
    fs: overlay({ lower: lowerOf({}, directory.path), dirfd: directory.dirfd() }),
    done: directory.done,
  };
});

function fill(guest: Guest, spec: { [name: string]: Spec }, at: string, made: Map<Spec, string>) {
  for (const [name, item] of Object.entries(spec)) {
    const path = `${at}/${name}`;
    const known = made.get(item);
    if (known !== undefined) guest.link(known, path);
    else if (item instanceof File) {
      made.set(item, path);
      guest.write(path, item.text);
      chmod(guest, ok(guest.path(path)), item.mode);
    } else if (typeof item["link"] === "string") guest.symlink(item["link"], path);
    else {
      guest.mkdir(path);
      fill(guest, item as { [name: string]: Spec }, path, made);
    }
  }
}

function open(directory: string, spec = LOWER) {
  const upper = join(directory, "upper");
  mkdirSync(upper, { recursive: true });
  const dirfd = ok(openHostPath(upper, HOST_O.PATH | HOST_O.DIRECTORY));
  const fs = overlay({ lower: lowerOf(spec, directory), dirfd });
  return { fs, guest: new Guest(fs), upper };
}

test("an overlay behaves as a plain copy of its lower tree, also after it was closed and opened again", (t) => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (calls) => {
      const directory = scratch();
      const other = scratch();
      const first = open(directory.path);
      const plain = tmpfs({ dirfd: other.dirfd(), mode: 0o755 });
      const model = new Guest(plain);
      fill(model, LOWER, "", new Map());
      for (const call of calls) {
        const expected = perform(model, call);
        const actual = perform(first.guest, call);
        if (expected !== actual)
          throw new Error(`${JSON.stringify(call)}: ${actual}, not ${expected}`);
      }
      const expected = dump(model);
      t.deepEqual(dump(first.guest), expected);
      const snapshot = [...first.fs.snapshot()];
      first.fs.release();
      const second = open(directory.path);
      t.deepEqual(dump(second.guest), expected);
      second.fs.release();
      // The snapshot alone says the same as the history.
      const journal = join(first.upper, "journal");
      truncateSync(journal, 0);
      const dirfd = ok(openHostPath(first.upper, HOST_O.PATH | HOST_O.DIRECTORY));
      ok(ok(Journal.open(dirfd)).journal.compact(snapshot) ?? 0);
      const third = open(directory.path);
      t.deepEqual(dump(third.guest), expected);
      third.fs.release();
      plain.release();
      directory.done();
      other.done();
    }),
    { numRuns: 60 },
  );
});

test("tmpfs behaves as the host's own file system", (t) => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), (calls) => {
      const directory = scratch();
      const other = scratch();
      const host = new HostFs({ dirfd: directory.dirfd() });
      const real = new Guest(host);
      const plain = tmpfs({ dirfd: other.dirfd(), mode: 0o755 });
      const model = new Guest(plain);
      for (const call of calls) {
        // Only root may give files away on the host.
        if (call.op === "chown") continue;
        const expected = perform(real, call);
        const actual = perform(model, call);
        if (expected !== actual)
          throw new Error(`${JSON.stringify(call)}: ${actual}, not ${expected}`);
      }
      t.deepEqual(dump(model), dump(real));
      host.release();
      plain.release();
      directory.done();
      other.done();
    }),
    { numRuns: 40 },
  );
});

test("a journal cut anywhere gives the tree after some call", (t) => {
  fc.assert(
    fc.property(
      fc.array(operation, { minLength: 1, maxLength: 25 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (calls, where) => {
        const directory = scratch();
        const { fs, guest, upper } = open(directory.path);
        const seen = new Set([shape(guest)]);
        for (const call of calls) {
          perform(guest, call);
          seen.add(shape(guest));
        }
        // What a kill leaves behind, less a part of the journal that never reached the disk.
        const crashed = join(directory.path, "crashed");
        mkdirSync(crashed);
        cpSync(upper, join(crashed, "upper"), { recursive: true });
        const journal = join(crashed, "upper", "journal");
        truncateSync(journal, Math.floor(statSync(journal).size * where));
        const after = open(crashed);
        t.true(seen.has(shape(after.guest)));
        after.fs.release();
        fs.release();
        directory.done();
      },
    ),
    { numRuns: 60 },
  );
});

test("a killed container keeps what its calls had done", (t) => {
  const directory = scratch();
  const { guest, upper, fs } = open(directory.path);
  guest.write("/a/new", "new content");
  guest.write("/b", "changed");
  guest.rename("/a", "/moved");
  guest.unlink("/c/a");
  const before = dump(guest);
  const crashed = join(directory.path, "crashed");
  mkdirSync(crashed);
  cpSync(upper, join(crashed, "upper"), { recursive: true });
  const after = open(crashed);
  t.deepEqual(dump(after.guest), before);
  after.fs.release();
  fs.release();
  directory.done();
});

test("inode numbers survive copy-up, rename and restart", (t) => {
  const directory = scratch();
  const first = open(directory.path);
  const b = first.guest.stat("/b").ino;
  const deep = first.guest.stat("/a/b/c").ino;
  first.guest.write("/b", "changed");
  first.guest.rename("/a", "/z");
  t.is(first.guest.stat("/b").ino, b);
  t.is(first.guest.stat("/z/b/c").ino, deep);
  first.fs.release();
  const second = open(directory.path);
  t.is(second.guest.stat("/b").ino, b);
  t.is(second.guest.stat("/z/b/c").ino, deep);
  second.fs.release();
  directory.done();
});

test("who has a lower file open for reading sees what others write to it", (t) => {
  const directory = scratch();
  const { fs, guest } = open(directory.path);
  const reader = ok(guest.open("/b", O_RDONLY));
  guest.write("/b", "changed underneath");
  t.is(readAll(reader), "changed underneath");
  reader.close();
  fs.release();
  directory.done();
});

test("a removed directory that is made again does not show what the lower one had", (t) => {
  const directory = scratch();
  const { fs, guest } = open(directory.path);
  for (const path of ["/c/a", "/c/b"]) t.is(guest.unlink(path), undefined);
  t.is(guest.rmdir("/c"), undefined);
  t.is(guest.mkdir("/c"), undefined);
  t.deepEqual(guest.list("/c"), []);
  t.is(guest.read("/c/a"), ENOENT);
  fs.release();
  const again = open(directory.path);
  t.deepEqual(again.guest.list("/c"), []);
  again.fs.release();
  directory.done();
});

test("blobs of files that are gone are gone, also when the container was killed with them open", (t) => {
  const directory = scratch();
  const { guest, upper } = open(directory.path);
  guest.write("/kept", "1");
  guest.write("/gone", "2");
  guest.unlink("/gone");
  guest.write("/open", "3");
  ok(guest.open("/open", O_RDONLY));
  guest.unlink("/open");
  const crashed = join(directory.path, "crashed");
  mkdirSync(crashed);
  cpSync(upper, join(crashed, "upper"), { recursive: true });
  const after = open(crashed);
  t.is(readdirSync(join(crashed, "upper", "blobs")).length, 1);
  t.is(after.guest.read("/kept"), "1");
  after.fs.release();
  directory.done();
});

test("a lower file's content that may not be mapped in place is copied for mapping", (t) => {
  const directory = scratch();
  const { fs, guest } = open(directory.path);
  const file = ok(guest.open("/b", O_RDONLY));
  const backing = file.backing();
  t.false(backing instanceof Errno);
  t.deepEqual({ ...ok(backing), fd: 0 }, { fd: 0, offset: 0, length: 7, direct: false });
  file.close();
  fs.release();
  directory.done();
});
