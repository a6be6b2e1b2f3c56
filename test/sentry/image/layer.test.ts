import { readSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { writeLayer } from "../../../sentry/image/layer-writer.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import type { ImageNode, ImageTree } from "../../../sentry/image/tree.ts";
import { type Member, pieces, scratch, tar } from "./tar-fixture.ts";

/** Packs each archive as a layer, bottom to top, and opens the image. */
async function image(t: ExecutionContext, ...layers: Member[][]): Promise<ImageTree> {
  const base = scratch(t);
  const directories: string[] = [];
  for (const [i, members] of layers.entries()) {
    const directory = join(base, String(i));
    await writeLayer(pieces(tar(members)), directory);
    directories.push(directory);
  }
  const tree = openImage(directories);
  t.teardown(() => tree.close());
  return tree;
}

function at(tree: ImageTree, path: string): ImageNode | undefined {
  let node: ImageNode | undefined = tree.root;
  for (const name of path.split("/")) node = node?.lookup(name);
  return node;
}

function read(node: ImageNode | undefined): Buffer | undefined {
  const content = node?.content();
  if (content === undefined) return undefined;
  const bytes = Buffer.alloc(content.length);
  if (bytes.length > 0) readSync(content.fd, bytes, 0, bytes.length, content.offset);
  return bytes;
}

function names(node: ImageNode | undefined): string[] {
  return [...(node?.list() ?? [])].map((entry) => entry.name);
}

test("a layer keeps type, mode, owner, time, target and device number of each entry", async (t) => {
  const tree = await image(t, [
    { name: "./", type: "5", mode: 0o755, mtime: 7 },
    { name: "dir/", type: "5", mode: 0o1777, uid: 3, gid: 4 },
    { name: "dir/su", mode: 0o4755, uid: 1000, gid: 100, content: "hello", mtime: 1_700_000_000 },
    { name: "dir/link", type: "2", link: "../else\xff", mode: 0o777 },
    { name: "null", type: "3", mode: 0o666, major: 1, minor: 3 },
    { name: "disk", type: "4", mode: 0o660, major: 259, minor: 70_000 },
    { name: "pipe", type: "6", mode: 0o600 },
  ]);
  t.is(tree.root.mtime, 7_000_000_000n);
  t.deepEqual(names(tree.root), ["dir", "disk", "null", "pipe"]);
  const su = at(tree, "dir/su");
  t.like(su, { type: "file", mode: 0o104755, uid: 1000, gid: 100, size: 5, nlink: 1 });
  t.is(su?.mtime, 1_700_000_000_000_000_000n);
  t.deepEqual(read(su), Buffer.from("hello"));
  t.like(at(tree, "dir"), { type: "directory", mode: 0o041777, uid: 3, gid: 4, nlink: 2 });
  t.like(at(tree, "dir/link"), { type: "symlink", target: "../else\xff", size: 8 });
  t.like(at(tree, "null"), { type: "character", rdev: 0x103, mode: 0o020666 });
  // makedev(259, 70000), as glibc computes it.
  t.like(at(tree, "disk"), { type: "block", rdev: 0x11110370 });
  t.like(at(tree, "pipe"), { type: "fifo", size: 0 });
  t.is(at(tree, "dir/nothing"), undefined);
  t.is(at(tree, "null/x"), undefined);
  t.is(tree.root.lookup(""), undefined);
  t.is(tree.root.lookup("."), undefined);
});

test("lookup() finds each of many names, and list() shows them in the order of their bytes", async (t) => {
  const many = Array.from({ length: 1000 }, (_, i) => `f${(i * 7919) % 1000}\xe9`);
  const tree = await image(
    t,
    many.map((name) => ({ name: `d/${name}`, content: name })),
  );
  t.deepEqual(names(at(tree, "d")), many.toSorted());
  for (const name of many) t.is(read(at(tree, `d/${name}`))?.toString("latin1"), name);
  t.is(at(tree, "d/f"), undefined);
  t.is(at(tree, "d/zzz"), undefined);
});

test("hard links are one inode with several names, also when the target is a symlink", async (t) => {
  const tree = await image(t, [
    { name: "a", content: "x" },
    { name: "d/b", type: "1", link: "./a" },
    { name: "d/c", type: "1", link: "/d/b" },
    { name: "s", type: "2", link: "a" },
    { name: "s2", type: "1", link: "s" },
  ]);
  t.is(at(tree, "a"), at(tree, "d/b"));
  t.is(at(tree, "a"), at(tree, "d/c"));
  t.is(at(tree, "a")?.nlink, 3);
  t.is(at(tree, "s2")?.type, "symlink");
  t.deepEqual(
    [...(at(tree, "d")?.list() ?? [])].map((entry) => entry.ino),
    [at(tree, "a")?.ino, at(tree, "a")?.ino],
  );
});

test("content is mappable when it is world-readable, at least a page, and reachable", async (t) => {
  const page = Buffer.alloc(5000, "p");
  const tree = await image(t, [
    { name: "tiny", content: "1" },
    { name: "page", content: page },
    { name: "tiny2", content: "2" },
    { name: "page2", content: page },
    { name: "secret", content: page, mode: 0o640 },
    { name: "root/", type: "5", mode: 0o700 },
    { name: "root/sub/page", content: page },
    { name: "empty" },
  ]);
  const shared = at(tree, "page")?.content();
  t.like(shared, { mappable: true, length: 5000 });
  t.is((shared?.offset ?? 1) % 16384, 0);
  // The rest of the last page is zero, so that a mapping of it is as mmap(2) says.
  const rest = Buffer.alloc(16384 - 5000, "?");
  readSync(shared?.fd ?? -1, rest, 0, rest.length, (shared?.offset ?? 0) + 5000);
  t.true(rest.every((byte) => byte === 0));
  t.like(at(tree, "tiny")?.content(), { mappable: false });
  t.like(at(tree, "secret")?.content(), { mappable: false });
  t.like(at(tree, "root/sub/page")?.content(), { mappable: false });
  t.not(at(tree, "secret")?.content()?.fd, shared?.fd);
  t.not(at(tree, "root/sub/page")?.content()?.fd, shared?.fd);
  t.like(at(tree, "empty")?.content(), { length: 0 });
  for (const path of ["page", "secret", "root/sub/page"]) t.deepEqual(read(at(tree, path)), page);
  t.is(read(at(tree, "tiny"))?.toString(), "1");
  t.is(read(at(tree, "tiny2"))?.toString(), "2");
});

test("extended attributes keep every byte", async (t) => {
  const capability = "\x01\x00\x00\x02\x00\x04\xff\x80\x00\x00\x00\x0a=\x00";
  const tree = await image(t, [
    {
      name: "ping",
      content: "x",
      pax: {
        "SCHILY.xattr.security.capability": capability,
        "SCHILY.xattr.user.caf\xe9": "1",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        mtime: "12.0000000019",
      },
    },
    { name: "none" },
  ]);
  const xattrs = at(tree, "ping")?.xattrs();
  t.deepEqual([...(xattrs?.keys() ?? [])], ["security.capability", "user.caf\xe9"]);
  t.deepEqual(
    xattrs?.get("security.capability"),
    Uint8Array.from(Buffer.from(capability, "latin1")),
  );
  t.is(at(tree, "ping")?.mtime, 12_000_000_001n);
  t.is(at(tree, "none")?.xattrs().size, 0);
});

test("names are bytes, in the header, in a pax record and in a GNU long name", async (t) => {
  const long = `${"d\xfe/".repeat(60)}end`;
  const tree = await image(t, [
    { name: "caf\xe9", content: "1" },
    { name: "short", content: "2", pax: { path: long } },
    { name: "././@LongLink", type: "L", content: `${"g\xfd/".repeat(60)}end\0` },
    { name: "cut", content: "3" },
    { name: "././@LongLink", type: "K", content: `${"t\xfc/".repeat(60)}end\0` },
    { name: "s", type: "2", link: "cut" },
    { name: "p", type: "2", link: "cut", pax: { linkpath: "\xfa\xfb" } },
  ]);
  t.is(read(at(tree, "caf\xe9"))?.toString(), "1");
  t.is(read(at(tree, long))?.toString(), "2");
  t.is(read(at(tree, `${"g\xfd/".repeat(60)}end`))?.toString(), "3");
  t.is(at(tree, "s")?.target, `${"t\xfc/".repeat(60)}end`);
  t.is(at(tree, "p")?.target, "\xfa\xfb");
});

test("an upper layer replaces, hides and adds; a lower one shows through", async (t) => {
  const tree = await image(
    t,
    [
      { name: "etc/", type: "5", mode: 0o750, uid: 9 },
      { name: "etc/a", content: "a0" },
      { name: "etc/b", content: "b0" },
      { name: "etc/c/deep", content: "deep" },
      { name: "opt/x", content: "x0" },
      { name: "opt/y", content: "y0" },
      { name: "var/log/old", content: "old" },
      { name: "file", content: "file" },
      { name: "gone/in/all", content: "1" },
    ],
    [
      { name: "etc/.wh.a" },
      { name: "etc/b", content: "b1" },
      { name: "etc/d", content: "d1" },
      { name: "opt/.wh..wh..opq" },
      { name: "opt/z", content: "z1" },
      { name: "var", type: "2", link: "opt" },
      { name: "file/", type: "5" },
      { name: "file/now", content: "dir" },
      { name: ".wh.gone" },
    ],
    [{ name: "etc/a", content: "a2" }],
  );
  t.deepEqual(names(tree.root), ["etc", "file", "opt", "var"]);
  t.deepEqual(names(at(tree, "etc")), ["a", "b", "c", "d"]);
  t.is(read(at(tree, "etc/a"))?.toString(), "a2");
  t.is(read(at(tree, "etc/b"))?.toString(), "b1");
  t.is(read(at(tree, "etc/c/deep"))?.toString(), "deep");
  t.deepEqual(names(at(tree, "opt")), ["z"]);
  t.is(at(tree, "opt/x"), undefined);
  t.is(at(tree, "var")?.type, "symlink");
  t.deepEqual(names(at(tree, "file")), ["now"]);
  // No layer but the lowest describes /etc: the others must not reset its owner and mode.
  t.like(at(tree, "etc"), { mode: 0o040750, uid: 9, nlink: 1 });
});

test("inode numbers are unique, agree with list(), and are the same when opened again", async (t) => {
  const base = scratch(t);
  const layers = [
    [{ name: "a/x" }, { name: "a/y" }, { name: "b" }],
    [{ name: "a/z" }, { name: "b" }],
  ];
  const directories = layers.map((_, i) => join(base, String(i)));
  for (const [i, directory] of directories.entries()) {
    await writeLayer(pieces(tar(layers[i] ?? [])), directory);
  }
  const numbers = (): number[] => {
    const tree = openImage(directories);
    const seen: number[] = [];
    const walk = (node: ImageNode): void => {
      for (const entry of node.list()) {
        const child = node.lookup(entry.name);
        t.like(child, { ino: entry.ino, type: entry.type });
        t.true(entry.ino >= 1 && entry.ino <= tree.inodeMax);
        seen.push(entry.ino);
        if (child?.type === "directory") walk(child);
      }
    };
    walk(tree.root);
    tree.close();
    return seen;
  };
  const first = numbers();
  t.is(new Set(first).size, 5);
  t.deepEqual(numbers(), first);
});

test("the same node is always the same object", async (t) => {
  const tree = await image(t, [{ name: "d/f" }], [{ name: "d/g" }]);
  t.is(at(tree, "d"), at(tree, "d"));
  t.is(at(tree, "d/f"), at(tree, "d/f"));
  t.is(at(tree, "d/g"), at(tree, "d/g"));
});

test("parents that are symlinks in the layer are followed inside of it", async (t) => {
  const tree = await image(t, [
    { name: "usr/bin/", type: "5" },
    { name: "bin", type: "2", link: "usr/bin" },
    { name: "bin/sh", content: "sh" },
    { name: "up", type: "2", link: "../../../../usr" },
    { name: "up/lib/x", content: "x" },
    { name: "abs", type: "2", link: "/usr/new" },
    { name: "abs/y", content: "y" },
  ]);
  t.is(at(tree, "bin")?.type, "symlink");
  t.is(read(at(tree, "usr/bin/sh"))?.toString(), "sh");
  t.is(read(at(tree, "usr/lib/x"))?.toString(), "x");
  t.is(read(at(tree, "usr/new/y"))?.toString(), "y");
});

test("the last of several entries of one name wins", async (t) => {
  const tree = await image(
    t,
    [
      { name: "d/lower", content: "lower" },
      { name: "e/lower", content: "lower" },
    ],
    [
      { name: "f", content: "first" },
      { name: "f", content: "second" },
      { name: "d/", type: "5", mode: 0o700 },
      { name: "d/kept" },
      { name: "d/", type: "5", mode: 0o711 },
      { name: "e/dropped" },
      { name: "e", content: "file" },
      { name: "e/", type: "5" },
    ],
  );
  t.is(read(at(tree, "f"))?.toString(), "second");
  t.is(at(tree, "f")?.nlink, 1);
  t.deepEqual(names(at(tree, "d")), ["kept", "lower"]);
  t.is(at(tree, "d")?.mode, 0o040711);
  t.deepEqual(names(at(tree, "e")), []);
});

test("a whiteout and an entry of the same name leave the entry, with nothing of lower layers", async (t) => {
  for (const order of [0, 1]) {
    const pair: Member[] = [{ name: ".wh.d" }, { name: "d/new", content: "n" }];
    const tree = await image(
      t,
      [{ name: "d/old", content: "o" }],
      order === 0 ? pair : pair.toReversed(),
    );
    t.deepEqual(names(at(tree, "d")), ["new"]);
  }
});

test("a hard link to a file of a lower layer is that file", async (t) => {
  const tree = await image(
    t,
    [{ name: "d/f", content: "below" }],
    [
      { name: "g", type: "1", link: "d/f" },
      { name: "d/h", type: "1", link: "d/f" },
    ],
  );
  t.is(at(tree, "g"), at(tree, "d/f"));
  t.is(at(tree, "d/h"), at(tree, "d/f"));
  t.deepEqual(
    [...tree.root.list()].find((entry) => entry.name === "g"),
    { name: "g", ino: at(tree, "d/f")?.ino ?? 0, type: "file" },
  );
});

test("gzip in several members is one layer, and its facts are those of the streams", async (t) => {
  const base = scratch(t);
  const archive = tar([{ name: "f", content: Buffer.alloc(100_000, "z") }]);
  const gz = Buffer.concat([gzipSync(archive.subarray(0, 700)), gzipSync(archive.subarray(700))]);
  const facts = await writeLayer(pieces(gz, 13), join(base, "l"));
  t.is(facts.size, gz.length);
  t.is(facts.unpackedSize, archive.length);
  t.is(facts.contentBytes, 100_000);
  const plain = await writeLayer(pieces(archive), join(base, "m"));
  t.is(facts.diffId, plain.diffId);
  t.is(plain.digest, plain.diffId);
});
