import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as zlib from "node:zlib";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { digestOf } from "../../../sentry/image/digest.ts";
import { ImageError, type ImageErrorCode } from "../../../sentry/image/errors.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { importRoot } from "../../../sentry/image/import-root.ts";
import { writeLayer } from "../../../sentry/image/layer-writer.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import type { ImageNode } from "../../../sentry/image/tree.ts";
import { END, type Member, member, paxRecords, pieces, scratch, tar } from "./tar-fixture.ts";

/** Imports `archive`, which must fail, and checks that nothing of it stays. */
async function refused(t: ExecutionContext, archive: Uint8Array): Promise<ImageErrorCode> {
  const root = scratch(t);
  const store = new ImageStore(root);
  const error = await t.throwsAsync(importRoot(store, pieces(archive)), { instanceOf: ImageError });
  t.deepEqual(readdirSync(join(root, "images", "staging")), []);
  t.deepEqual(readdirSync(join(root, "images", "configs")), []);
  t.deepEqual(await store.list(), []);
  return error.code;
}

/** A raw pax header before an ordinary file. */
function withPax(records: string): Member[] {
  return [{ name: "PaxHeader", type: "x", content: records }, { name: "f" }];
}

/** A sparse file of the format 0.1. */
function sparse(map: string, size: number, content: string): Member[] {
  return [{ name: "f", content, pax: { "GNU.sparse.map": map, "GNU.sparse.size": String(size) } }];
}

/** One of the format 1.0. */
function sparseMap(content: string): Member[] {
  const pax = { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" };
  return [{ name: "f", content, pax }];
}

const long = "n".repeat(256);
const xattrs = Object.fromEntries(
  Array.from({ length: 129 }, (_, i) => [`SCHILY.xattr.user.${i}`, "v"]),
);

const HOSTILE: readonly (readonly [string, ImageErrorCode, readonly Member[]])[] = [
  ["a path that leads up", "LAYER_PATH", [{ name: "../evil" }]],
  ["a path that leads up from a directory", "LAYER_PATH", [{ name: "a/../../evil" }]],
  ["a path that ends in ..", "LAYER_PATH", [{ name: "a/..", type: "5" }]],
  ["an absolute path that leads up", "LAYER_PATH", [{ name: "/../etc/passwd" }]],
  ["a path in pax that leads up", "LAYER_PATH", [{ name: "f", pax: { path: "../evil" } }]],
  [
    "a GNU long name that leads up",
    "LAYER_PATH",
    [{ name: "././@LongLink", type: "L", content: "../evil\0" }, { name: "f" }],
  ],
  ["a hard link that leads up", "LAYER_PATH", [{ name: "h", type: "1", link: "../../etc/passwd" }]],
  ["a hard link to nothing", "LAYER_LINK", [{ name: "h", type: "1", link: "etc/passwd" }]],
  ["a hard link to itself", "LAYER_LINK", [{ name: "h", type: "1", link: "h" }]],
  ["a hard link to the root", "LAYER_LINK", [{ name: "h", type: "1", link: "/" }]],
  [
    "a hard link to a directory",
    "LAYER_LINK",
    [
      { name: "d/", type: "5" },
      { name: "h", type: "1", link: "d" },
    ],
  ],
  [
    "a hard link to what a whiteout removed",
    "LAYER_LINK",
    [{ name: ".wh.x" }, { name: "h", type: "1", link: "x" }],
  ],
  [
    "a hard link with content",
    "LAYER_ENTRY",
    [{ name: "a" }, { name: "h", type: "1", link: "a", content: "x" }],
  ],
  ["a hard link without a target", "LAYER_ENTRY", [{ name: "h", type: "1" }]],
  [
    "a loop of symlinks in a path",
    "LAYER_PATH",
    [{ name: "a", type: "2", link: "b" }, { name: "b", type: "2", link: "a" }, { name: "a/x" }],
  ],
  ["a symlink to nothing", "LAYER_ENTRY", [{ name: "s", type: "2" }]],
  ["a root directory that is a symlink", "LAYER_ENTRY", [{ name: "./", type: "2", link: "/etc" }]],
  ["a root directory that is a file", "LAYER_ENTRY", [{ name: ".", content: "x" }]],
  ["a path through a file", "LAYER_ENTRY", [{ name: "f" }, { name: "f/x" }]],
  ["a path through a device", "LAYER_ENTRY", [{ name: "f", type: "3" }, { name: "f/x" }]],
  ["an entry without a name", "LAYER_ENTRY", [{ name: "" }]],
  ["a NUL byte in a path", "LAYER_ENTRY", [{ name: "f", pax: { path: "a\0b" } }]],
  ["a NUL byte in a target", "LAYER_ENTRY", [{ name: "f", type: "2", pax: { linkpath: "a\0b" } }]],
  ["a name of 256 bytes", "LAYER_LIMIT", [{ name: "f", pax: { path: `d/${long}` } }]],
  ["a path of 4097 bytes", "LAYER_LIMIT", [{ name: "f", pax: { path: `${"a/".repeat(2048)}b` } }]],
  [
    "a target of 4097 bytes",
    "LAYER_LIMIT",
    [{ name: "f", type: "2", pax: { linkpath: "a".repeat(4097) } }],
  ],
  [
    "directories deeper than any path",
    "LAYER_LIMIT",
    [
      { name: "f", pax: { path: `${"d/".repeat(2000)}x` } },
      { name: "s", type: "2", pax: { linkpath: "d/".repeat(2000) } },
      { name: "f", pax: { path: `s/${"e/".repeat(100)}x` } },
    ],
  ],
  ["a character device with content", "LAYER_ENTRY", [{ name: "c", type: "3", content: "x" }]],
  ["a device number that is too large", "LAYER_ENTRY", [{ name: "c", type: "3", major: 0o10000 }]],
  ["a user that is none", "LAYER_ENTRY", [{ name: "f", pax: { uid: "4294967295" } }]],
  ["a size that is no number", "LAYER_ENTRY", [{ name: "f", rawSize: "zzzzzzzzzzz\0" }]],
  ["a size of -1", "LAYER_ENTRY", [{ name: "f", rawSize: "\xff".repeat(12) }]],
  ["a size of -2", "LAYER_ENTRY", [{ name: "f", rawSize: `${"\xff".repeat(11)}\xfe` }]],
  [
    "a size beyond all bounds",
    "LAYER_ENTRY",
    [{ name: "f", rawSize: `\x80\x00\x00\x00\x7f${"\xff".repeat(7)}` }],
  ],
  [
    "more content promised than there is",
    "LAYER_TRUNCATED",
    [{ name: "f", rawSize: "77777777\0   " }],
  ],
  ["a negative size in pax", "LAYER_ENTRY", withPax("11 size=-1\n")],
  ["a size in pax that is no number", "LAYER_ENTRY", withPax("13 size=12a\n\n")],
  ["a size in pax larger than the archive", "LAYER_TRUNCATED", withPax("15 size=999999\n")],
  ["a pax record that is longer than its header", "LAYER_ENTRY", withPax("99 path=x\n")],
  ["a pax record without a length", "LAYER_ENTRY", withPax("path=x\n")],
  ["a pax record without a key", "LAYER_ENTRY", withPax("6 =xx\n")],
  ["a pax record that does not end", "LAYER_ENTRY", withPax("9 path=xx")],
  ["a pax record of length zero", "LAYER_ENTRY", withPax("0 path=x\n")],
  ["a time in pax that is none", "LAYER_ENTRY", [{ name: "f", pax: { mtime: "soon" } }]],
  [
    "a pax header of over a megabyte",
    "LAYER_LIMIT",
    [{ name: "f", pax: { comment: "x".repeat(2 ** 20) } }],
  ],
  ["too many attributes", "LAYER_LIMIT", [{ name: "f", pax: xattrs }]],
  ["an attribute without a name", "LAYER_ENTRY", [{ name: "f", pax: { "SCHILY.xattr.": "v" } }]],
  [
    "an attribute with a long name",
    "LAYER_ENTRY",
    [{ name: "f", pax: { [`SCHILY.xattr.user.${long}`]: "v" } }],
  ],
  [
    "an attribute with a large value",
    "LAYER_LIMIT",
    [{ name: "f", pax: { "SCHILY.xattr.user.x": "v".repeat(65_537) } }],
  ],
  ["a GNU sparse file without its map", "LAYER_ENTRY", [{ name: "f", type: "S", content: "x" }]],
  [
    "a sparse file of an unknown format",
    "LAYER_UNSUPPORTED",
    [{ name: "f", pax: { "GNU.sparse.major": "1" } }],
  ],
  ["a map of holes that goes backwards", "LAYER_ENTRY", sparse("4,2,0,2", 8, "abcd")],
  ["a map of holes that overlaps", "LAYER_ENTRY", sparse("0,3,2,1", 8, "abcd")],
  ["a map of holes beyond the file", "LAYER_ENTRY", sparse("6,4", 8, "abcd")],
  ["a map of holes for less than there is", "LAYER_ENTRY", sparse("0,2", 8, "abcd")],
  ["a map of holes that is no map", "LAYER_ENTRY", sparse("0,2,x", 8, "ab")],
  ["a map of holes with half a pair", "LAYER_ENTRY", sparse("0,2,4", 8, "ab")],
  ["a sparse file of an exabyte", "LAYER_LIMIT", sparse("0,2", 2 ** 50, "ab")],
  ["a map of holes before the content that is cut off", "LAYER_ENTRY", sparseMap("3\n0\n")],
  ["a map of holes before the content that is endless", "LAYER_ENTRY", sparseMap("9".repeat(512))],
  ["a map of holes with too many", "LAYER_ENTRY", sparseMap("999999\n".padEnd(512, "\0"))],
  ["an entry of an unknown kind", "LAYER_UNSUPPORTED", [{ name: "f", type: "Z" }]],
  ["a whiteout of nothing", "LAYER_WHITEOUT", [{ name: "d/.wh." }]],
  ["a whiteout of .", "LAYER_WHITEOUT", [{ name: ".wh.." }]],
  ["a whiteout of ..", "LAYER_WHITEOUT", [{ name: ".wh..." }]],
  ["a whiteout that is a directory", "LAYER_WHITEOUT", [{ name: ".wh.x/", type: "5" }]],
  ["a whiteout that is a symlink", "LAYER_WHITEOUT", [{ name: ".wh.x", type: "2", link: "y" }]],
  ["a file inside of a whiteout", "LAYER_WHITEOUT", [{ name: ".wh.x/y" }]],
];

for (const [what, code, members] of HOSTILE) {
  test(`a layer with ${what} is refused with ${code}`, async (t) => {
    t.is(await refused(t, tar(members)), code);
  });
}

const GOOD = tar([{ name: "f", content: Buffer.alloc(50_000, "good") }]);

test("a broken stream is refused, whatever breaks it", async (t) => {
  const gz = zlib.gzipSync(GOOD);
  const flipped = Buffer.from(gz);
  flipped[gz.length >> 1] = (flipped[gz.length >> 1] ?? 0) ^ 0xff;
  const checksum = Buffer.from(GOOD);
  checksum[0] = 0x67;
  const cases: readonly (readonly [Uint8Array, ImageErrorCode])[] = [
    [new Uint8Array(), "LAYER_TRUNCATED"],
    [GOOD.subarray(0, 300), "LAYER_TRUNCATED"],
    [GOOD.subarray(0, 30_000), "LAYER_TRUNCATED"],
    [GOOD.subarray(0, GOOD.length - END.length), "LAYER_TRUNCATED"],
    [gz.subarray(0, gz.length - 20), "LAYER_TRUNCATED"],
    [flipped, "LAYER_CORRUPT"],
    [Buffer.concat([gz, Buffer.alloc(10)]), "LAYER_CORRUPT"],
    [Buffer.concat([gz, Buffer.alloc(50_000)]), "LAYER_CORRUPT"],
    [Buffer.concat([gz, Buffer.from("more")]), "LAYER_CORRUPT"],
    [checksum, "LAYER_CORRUPT"],
    [Buffer.alloc(4096, "noise"), "LAYER_CORRUPT"],
    [Buffer.concat([GOOD, member({ name: "hidden" }), END]), "LAYER_CORRUPT"],
    [Buffer.from("\xfd7zXZ\0 and so on", "latin1"), "LAYER_CORRUPT"],
    [Buffer.from("BZh91AY and so on", "latin1"), "LAYER_CORRUPT"],
  ];
  for (const [archive, code] of cases) t.is(await refused(t, archive), code);
});

for (const [program, ...options] of [
  ["zstd", "-q"],
  ["xz", "-0"],
  ["bzip2", "-1"],
] as const) {
  test.serial(`${program} is unpacked by that program, and damage in it is found`, async (t) => {
    const packed = execFileSync(program, [...options, "-c"], { input: GOOD });
    const facts = await writeLayer(pieces(packed), join(scratch(t), "layer"));
    t.is(facts.diffId, digestOf(GOOD));
    t.is(facts.digest, digestOf(packed));
    t.is(await refused(t, packed.subarray(0, packed.length - 20)), "LAYER_CORRUPT");
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield packed.subarray(0, 40);
      throw new ImageError("REGISTRY_STALLED");
    }
    const failing = writeLayer(broken(), join(scratch(t), "layer"));
    await t.throwsAsync(failing, { code: "REGISTRY_STALLED" });
    const { PATH } = process.env;
    process.env["PATH"] = "/nonexistent";
    try {
      const able = program === "zstd" && "createZstdDecompress" in zlib;
      if (!able) t.is(await refused(t, packed), "LAYER_UNSUPPORTED");
    } finally {
      process.env["PATH"] = PATH;
    }
  });
}

test("a bomb of zstd is stopped by its ratio", async (t) => {
  const zeros = execFileSync("sh", ["-c", "head -c 100M /dev/zero | zstd -q -c"]);
  t.is(await refused(t, zeros), "LAYER_LIMIT");
});

test("a bomb is stopped by its ratio, and by the number of its entries", async (t) => {
  t.is(await refused(t, zlib.gzipSync(Buffer.alloc(160 * 1024 * 1024))), "LAYER_LIMIT");
  const one = member({ name: "f" });
  const many = Buffer.alloc(one.length * 10_000, one);
  async function* crowd(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 101; i++) yield many;
  }
  const error = await t.throwsAsync(writeLayer(crowd(), join(scratch(t), "l")), {
    instanceOf: ImageError,
  });
  t.is(error.code, "LAYER_LIMIT");
});

test("a layer that is not what was promised is refused", async (t) => {
  const directory = scratch(t);
  const gz = zlib.gzipSync(GOOD);
  const other = `sha256:${"0".repeat(64)}` as const;
  const facts = await writeLayer(pieces(gz), join(directory, "ok"));
  const cases = [
    [{ digest: other }, "DIGEST_MISMATCH"],
    [{ size: gz.length - 1 }, "SIZE_MISMATCH"],
    [{ size: gz.length + 1 }, "SIZE_MISMATCH"],
    [{ diffId: other }, "DIFF_ID_MISMATCH"],
    [{ diffId: facts.digest }, "DIFF_ID_MISMATCH"],
  ] as const;
  for (const [i, [expected, code]] of cases.entries()) {
    const writing = writeLayer(pieces(gz), join(directory, String(i)), { expected });
    t.is((await t.throwsAsync(writing, { instanceOf: ImageError })).code, code);
  }
  const { digest, size, diffId } = facts;
  await writeLayer(pieces(gz), join(directory, "good"), { expected: { digest, size, diffId } });
});

test("what looks hostile but is not stays inside of the layer", async (t) => {
  const directory = join(scratch(t), "l");
  const deep = `${"d/".repeat(2000)}x`;
  await writeLayer(
    pieces(
      tar([
        { name: "/etc/passwd", content: "mine" },
        { name: "out", type: "2", link: "../../../../etc" },
        { name: "out/shadow", content: "inside" },
        { name: "cafe\xcc\x81" },
        { name: "caf\xc3\xa9" },
        { name: "CAFE" },
        { name: ".wh..wh.plnk/", type: "5" },
        { name: ".wh..wh.plnk/1.2" },
        { name: ".wh..wh.aufs", content: "ignored" },
        { name: "etc/", type: "5", rawSize: "00000001000\0" },
        { name: ".wh.gone", content: "a whiteout with content" },
        { name: "after", content: "whole" },
        { name: "f", pax: { path: deep } },
        { name: "__proto__", content: "a name like any other", pax: { ["__proto__"]: "x" } },
        { name: "g", type: "g", content: paxRecords({ comment: "git" }) },
        { name: "last" },
      ]),
    ),
    directory,
  );
  const tree = openImage([directory]);
  const names = [...tree.root.list()].map((entry) => entry.name);
  t.deepEqual(
    names,
    [
      "CAFE",
      "__proto__",
      "after",
      "caf\xc3\xa9",
      "cafe\xcc\x81",
      "d",
      "etc",
      "last",
      "out",
    ].toSorted(),
  );
  t.deepEqual(
    [...(tree.root.lookup("etc")?.list() ?? [])].map((entry) => entry.name),
    ["passwd", "shadow"],
  );
  let node: ImageNode | undefined = tree.root;
  for (const name of deep.split("/")) node = node?.lookup(name);
  t.is(node?.type, "file");
  tree.close();
});

test("random damage to an archive is read or refused, never anything else", async (t) => {
  const archive = tar([
    { name: "d/", type: "5" },
    { name: "d/f", content: "x".repeat(700), pax: { mtime: "1.5", "SCHILY.xattr.user.a": "b" } },
    { name: "l", type: "2", link: "d/f" },
    { name: "h", type: "1", link: "d/f" },
    { name: "d/.wh.y" },
  ]);
  const base = scratch(t);
  let run = 0;
  const damage = fc.array(fc.tuple(fc.nat(archive.length - 1), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(damage, fc.nat(archive.length), async (changes, cut) => {
      const bytes = Buffer.from(archive);
      for (const [at, value] of changes) bytes[at] = value;
      fixChecksums(bytes);
      const directory = join(base, String(run++));
      try {
        await writeLayer(
          pieces(bytes.subarray(0, cut % 4 === 0 ? cut : bytes.length), 700),
          directory,
        );
        const tree = openImage([directory]);
        for (const entry of tree.root.list()) tree.root.lookup(entry.name)?.xattrs();
        tree.close();
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
    }),
    { numRuns: 300 },
  );
  t.pass();
});

/** Makes every 512-byte block that says "ustar" a header with a right checksum. */
function fixChecksums(bytes: Buffer): void {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (block.toString("latin1", 257, 262) !== "ustar") continue;
    block.fill(" ", 148, 156);
    let sum = 0;
    for (const byte of block) sum += byte;
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
}
