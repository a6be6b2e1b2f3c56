import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { ENOENT } from "../../../sentry/abi/errno.ts";
import { makeDev } from "../../../sentry/abi/file.ts";
import { changesOf } from "../../../sentry/archive/changes.ts";
import { layerOf } from "../../../sentry/archive/layer.ts";
import { packTree } from "../../../sentry/archive/pack.ts";
import { absolutePath, baseName, statPath } from "../../../sentry/archive/paths.ts";
import { type UnpackHow, unpack } from "../../../sentry/archive/unpack.ts";
import { overlay } from "../../../sentry/fs/overlay.ts";
import { tmpfs } from "../../../sentry/fs/tmpfs.ts";
import type { TreeFs } from "../../../sentry/fs/tree/tree-fs.ts";
import { HOST_O, openHostPath } from "../../../sentry/host/fs.ts";
import { readTar, type TarEntry } from "../../../sentry/image/tar-reader.ts";
import { writeTar } from "../../../sentry/image/tar-writer.ts";
import { chmod, chown } from "../../../sentry/vfs/attributes.ts";
import { CAP_LAST, ROOT_CREDENTIALS } from "../../../sentry/vfs/credentials.ts";
import { setxattr } from "../../../sentry/vfs/xattr.ts";
import { dump, Guest, ok, scratch } from "../fs/fixture.ts";
import { LOWER, lowerOf } from "../fs/lower-fixture.ts";
import { operation, perform } from "../fs/operations.ts";

const KEEP: UnpackHow = { noOverwriteDirNonDir: false };

function guestOf(fs: TreeFs): Guest {
  const guest = new Guest(fs);
  guest.credentials = { ...ROOT_CREDENTIALS, capabilities: (1n << BigInt(CAP_LAST + 1)) - 1n };
  guest.fs.umask = 0;
  return guest;
}

function memory(): { guest: Guest; done(): void } {
  const directory = scratch();
  const fs = tmpfs({ dirfd: directory.dirfd(), mode: 0o755 });
  const done = () => {
    fs.release();
    directory.done();
  };
  return { guest: guestOf(fs), done };
}

async function* bytesOf(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk;
}

function packed(guest: Guest, path: string, name: string): Buffer {
  return Buffer.concat([...packTree(guest, ok(guest.path(path, true)), name)]);
}

function entry(path: string, change: Partial<TarEntry> = {}): TarEntry {
  const plain = {
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0n,
    link: "",
  } as const;
  return { path, ...plain, major: 0, minor: 0, xattrs: new Map(), ...change };
}

async function unpackEntries(guest: Guest, how: UnpackHow, entries: readonly TarEntry[]) {
  const members = entries.map((each) => ({
    entry: each,
    ...(each.size > 0 ? { content: [Buffer.alloc(each.size, "x")] } : {}),
  }));
  await unpack(guest, guest.fs.root, how, writeTar(members));
}

test("what is packed and unpacked again is the same tree: modes, owners, links, devices, attributes", async (t) => {
  const from = memory();
  const to = memory();
  const { guest } = from;
  guest.mkdir("/d", 0o1777);
  guest.write("/d/file", "content\n");
  guest.write(`/d/${"long".repeat(40)}`, "");
  guest.write("/d/\xff\xfe", "not UTF-8");
  guest.link("/d/file", "/d/second");
  guest.symlink("../x", "/d/link");
  guest.mknod("/d/fifo", 0o010600);
  guest.mknod("/d/null", 0o020666, makeDev(1, 3));
  guest.mkdir("/d/empty");
  chown(guest, ok(guest.path("/d/file")), 1000, 2_000_000_000);
  chmod(guest, ok(guest.path("/d/file")), 0o4755);
  setxattr(guest, ok(guest.path("/d/file")), "user.x", Uint8Array.of(0, 255, 10), 0);
  await unpack(to.guest, to.guest.fs.root, KEEP, bytesOf([packed(guest, "/d", "d")]));
  t.deepEqual(dump(to.guest, "/d"), dump(guest, "/d"));
  t.deepEqual([...ok(to.guest.inode("/d/file").getxattr("user.x"))], [0, 255, 10]);
  from.done();
  to.done();
});

test("GNU tar reads what is packed, and what GNU tar writes is unpacked", async (t) => {
  const host = mkdtempSync(join(tmpdir(), "dd-archive-"));
  const { guest, done } = memory();
  mkdirSync(join(host, "in/deep"), { recursive: true });
  writeFileSync(join(host, "in/deep/file"), "from tar\n", { mode: 0o640 });
  const tar = execFileSync("tar", ["-C", host, "-c", "in"]);
  await unpack(guest, guest.fs.root, KEEP, bytesOf([tar]));
  t.is(guest.read("/in/deep/file"), "from tar\n");
  writeFileSync(join(host, "out.tar"), packed(guest, "/in", "renamed"));
  execFileSync("tar", ["-C", host, "-xf", join(host, "out.tar")]);
  t.is(readFileSync(join(host, "renamed/deep/file"), "utf8"), "from tar\n");
  done();
  rmSync(host, { recursive: true });
});

test("a path keeps the slash or dot that says what is meant", (t) => {
  const cases = [
    ["a/../b", "/b"],
    ["/a/b/", "/a/b/"],
    ["/a/.", "/a/."],
    ["", "/"],
    [".", "/."],
    ["../../etc", "/etc"],
  ] as const;
  for (const [given, meant] of cases) t.is(absolutePath(given), meant);
  t.deepEqual(["/", "/a/", "/a/.", "/a"].map(baseName), ["/", "a", ".", "a"]);
});

test("a stat has Go's mode bits and a link's last target", (t) => {
  const { guest, done } = memory();
  guest.mkdir("/real", 0o1777);
  guest.symlink("real", "/one");
  guest.symlink("/one/./missing/../gone", "/two");
  guest.symlink("/loop", "/loop");
  t.like(statPath(guest, "/real"), { name: "real", mode: 2 ** 31 + 2 ** 20 + 0o777 });
  t.like(statPath(guest, "/one"), { mode: 2 ** 27 + 0o777, linkTarget: "/real" });
  t.is(statPath(guest, "/two").linkTarget, "/real/gone");
  t.like(statPath(guest, "/one/"), { name: "one", linkTarget: "" });
  t.throws(() => statPath(guest, "/loop"), { code: "PATH_INVALID" });
  t.throws(() => statPath(guest, "/none"), { code: "PATH_NOT_FOUND" });
  done();
});

const HOSTILE: readonly (readonly [name: string, entries: readonly TarEntry[]])[] = [
  ["a name that goes up", [entry("../out", { size: 1 })]],
  ["a name that goes up later", [entry("a/../../out", { size: 1 })]],
  [
    "a hard link to what is outside",
    [entry("in", { type: "hardlink", link: "../../secret" }), entry("in", { size: 1 })],
  ],
];
for (const [name, entries] of HOSTILE) {
  test(`an archive cannot leave where it is unpacked: ${name}`, async (t) => {
    const { guest, done } = memory();
    guest.write("/secret", "untouched");
    guest.mkdir("/box");
    const tar = writeTar(
      entries.map((each) => ({
        entry: each,
        content: each.size > 0 ? ["x"].map(Buffer.from) : [],
      })),
    );
    await t.throwsAsync(unpack(guest, ok(guest.path("/box")), KEEP, tar), {
      code: "ARCHIVE_ESCAPES",
    });
    t.is(guest.read("/secret"), "untouched");
    t.deepEqual(guest.list("/"), ["box", "secret"]);
    done();
  });
}

test("a link in an archive leads within the container's root, not the host's", async (t) => {
  const { guest, done } = memory();
  guest.mkdir("/etc");
  await unpackEntries(guest, KEEP, [
    entry("up", { type: "symlink", link: "/../../../etc" }),
    entry("up/planted", { size: 3 }),
  ]);
  t.is(guest.read("/etc/planted"), "xxx");
  done();
});

test("a directory and something else do not replace each other unless that is wished", async (t) => {
  const { guest, done } = memory();
  guest.mkdir("/dir");
  guest.write("/dir/x", "x");
  guest.write("/file", "f");
  const strict = { noOverwriteDirNonDir: true };
  const overDirectory = unpackEntries(guest, strict, [entry("dir", { size: 1 })]);
  await t.throwsAsync(overDirectory, { code: "CANNOT_OVERWRITE" });
  const overFile = unpackEntries(guest, strict, [entry("file", { type: "directory" })]);
  await t.throwsAsync(overFile, { code: "CANNOT_OVERWRITE" });
  await unpackEntries(guest, KEEP, [
    entry("dir", { size: 1 }),
    entry("file", { type: "directory", mode: 0o700 }),
  ]);
  t.is(guest.read("/dir"), "x");
  t.deepEqual(guest.list("/file"), []);
  done();
});

test("a directory that is there keeps what is in it; owners can be overridden; names rebased", async (t) => {
  const { guest, done } = memory();
  guest.mkdir("/a");
  guest.write("/a/old", "");
  const how = {
    noOverwriteDirNonDir: true,
    owner: { uid: 7, gid: 8 },
    rebase: { from: "b", to: "a" },
  };
  await unpackEntries(guest, how, [
    entry("b", { type: "directory", mode: 0o750 }),
    entry("b/new", { size: 2, uid: 99 }),
    entry("b/again", { type: "hardlink", link: "b/new" }),
  ]);
  t.deepEqual(guest.list("/a"), ["again", "new", "old"]);
  t.like(guest.stat("/a/new"), { uid: 7, gid: 8, nlink: 2 });
  t.is(guest.stat("/a").mode & 0o777, 0o750);
  done();
});

test("a broken archive is said to be one, and what came before it stays", async (t) => {
  const { guest, done } = memory();
  const tar: Buffer[] = [];
  for await (const chunk of writeTar([{ entry: entry("first"), content: [] }])) {
    tar.push(Buffer.from(chunk));
  }
  const broken = Buffer.concat([...tar.slice(0, 1), Buffer.alloc(512, "?")]);
  await t.throwsAsync(unpack(guest, guest.fs.root, KEEP, bytesOf([broken])), {
    code: "BAD_ARCHIVE",
  });
  t.is(guest.read("/first"), "");
  done();
});

/** A layer cannot say a name like a whiteout's. */
const { [".wh.a"]: _, ...IMAGE } = LOWER;

function openOverlay(directory: string): { fs: TreeFs; guest: Guest } {
  const upper = join(directory, "upper");
  mkdirSync(upper, { recursive: true });
  const dirfd = ok(openHostPath(upper, HOST_O.PATH | HOST_O.DIRECTORY));
  const fs = overlay({ lower: lowerOf(IMAGE, directory), dirfd });
  return { fs, guest: guestOf(fs) };
}

/** Applies a layer to a plain copy of its image as the OCI image specification says. */
async function applyLayer(guest: Guest, chunks: Iterable<Uint8Array>): Promise<void> {
  const entries: { entry: TarEntry; content: Buffer[] }[] = [];
  await readTar(bytesOf(chunks), {
    entry: (each) => entries.push({ entry: each, content: [] }),
    content: (bytes) => entries.at(-1)?.content.push(Buffer.from(bytes)),
  });
  for (const { entry: each, content } of entries) {
    const cut = each.path.lastIndexOf("/") + 1;
    const [above, name] = [`/${each.path.slice(0, cut)}`, each.path.slice(cut)];
    if (name === ".wh..wh..opq") {
      for (const child of ok(guest.list(above))) remove(guest, `${above}${child}`);
    } else if (name.startsWith(".wh.")) remove(guest, above + name.slice(4));
    else await unpack(guest, guest.fs.root, KEEP, writeTar([{ entry: each, content }]));
  }
}

/** As whoever applies a whiteout: one of what is not there removes nothing. */
function remove(guest: Guest, path: string): void {
  const error = guest.unlink(path);
  if (error === undefined || error === ENOENT) return;
  for (const name of ok(guest.list(path))) remove(guest, `${path}/${name}`);
  guest.rmdir(path);
}

test("the layer of any changes, applied to the image, gives the changed tree; also after a restart", async (t) => {
  const property = fc.asyncProperty(
    fc.array(operation, { maxLength: 30 }),
    fc.boolean(),
    async (calls, restart) => {
      const directory = scratch();
      let { fs, guest } = openOverlay(directory.path);
      for (const call of calls) perform(guest, call);
      if (restart) {
        fs.release();
        ({ fs, guest } = openOverlay(directory.path));
      }
      const layer = [...layerOf(fs, guest)];
      const image = scratch();
      const copy = openOverlay(image.path);
      await applyLayer(copy.guest, layer);
      // A link whose other names are unchanged becomes a file of its own, as in every layer.
      const sayable = (of: Guest) => dump(of, "/", false).filter((line) => !/\/\.wh\./.test(line));
      t.deepEqual(sayable(copy.guest), sayable(guest));
      for (const { path, kind } of changesOf(fs)) {
        t.is(guest.path(path, true) === ENOENT, kind === "deleted", path);
      }
      fs.release();
      copy.fs.release();
      directory.done();
      image.done();
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test("nothing has changed in a tree that was only looked at, and a restored file is no change", (t) => {
  const directory = scratch();
  const { fs, guest } = openOverlay(directory.path);
  dump(guest);
  t.deepEqual(changesOf(fs), []);
  guest.write("/new", "");
  guest.unlink("/new");
  guest.mkdir("/proc");
  t.deepEqual(changesOf(fs), []);
  guest.write("/proc/x", "");
  t.deepEqual(
    changesOf(fs).map(({ path, kind }) => `${kind} ${path}`),
    ["added /proc", "added /proc/x"],
  );
  fs.release();
  directory.done();
});
