import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  createReadStream,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { writeLayer } from "../../../sentry/image/layer-writer.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import { rebuildTar } from "../../../sentry/image/tar-recipe.ts";
import type { ImageNode } from "../../../sentry/image/tree.ts";
import { tool } from "./registry-fixture.ts";
import { type Member, pieces, scratch, tar } from "./tar-fixture.ts";

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What there is to say of a node, in a form that the host can say of its own file. */
function ofNode(node: ImageNode): Record<string, unknown> {
  const content = node.content();
  const bytes = Buffer.alloc(content?.length ?? 0);
  if (content !== undefined) readSync(content.fd, bytes, 0, bytes.length, content.offset);
  return {
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    mtime: node.mtime,
    size: node.type === "directory" ? 0 : node.size,
    nlink: node.nlink,
    target: node.target,
    hash: content === undefined ? undefined : hash(bytes),
  };
}

/** @param name a path as bytes */
function ofHost(name: string): Record<string, unknown> {
  const path = Buffer.from(name, "latin1");
  const stat = lstatSync(path, { bigint: true });
  return {
    mode: Number(stat.mode),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: stat.mtimeNs,
    size: stat.isDirectory() ? 0 : Number(stat.size),
    nlink: Number(stat.nlink),
    target: stat.isSymbolicLink() ? readlinkSync(path, "latin1") : "",
    hash: stat.isFile() ? hash(readFileSync(path)) : undefined,
  };
}

function compare(t: ExecutionContext, node: ImageNode, path: string): number {
  t.deepEqual(ofNode(node), ofHost(path), path);
  if (node.type !== "directory") return 1;
  const names = readdirSync(Buffer.from(path, "latin1"), "latin1").toSorted();
  t.deepEqual(
    [...node.list()].map((entry) => entry.name),
    names,
    path,
  );
  let count = 1;
  for (const name of names) {
    const child = node.lookup(name);
    if (child !== undefined) count += compare(t, child, join(path, name));
  }
  return count;
}

/** A directory with everything that an ordinary user can make. */
function makeTree(t: ExecutionContext): string {
  const root = join(scratch(t), "root");
  mkdirSync(join(root, "deep", ...Array.from({ length: 60 }, (_, i) => `level-${i}`)), {
    recursive: true,
  });
  for (const [i, size] of [0, 1, 511, 512, 4095, 4096, 16_383, 16_384, 200_001].entries()) {
    writeFileSync(join(root, `file-${size}`), Buffer.alloc(size, `${i}`));
  }
  mkdirSync(join(root, "modes"));
  for (const mode of [0o400, 0o644, 0o755, 0o4755, 0o2711, 0o640]) {
    const path = join(root, "modes", mode.toString(8));
    writeFileSync(path, `${mode}`);
    chmodSync(path, mode);
  }
  linkSync(join(root, "file-4096"), join(root, "modes", "linked"));
  linkSync(join(root, "file-4096"), join(root, "deep", "linked-too"));
  symlinkSync("../file-1", join(root, "modes", "symlink"));
  symlinkSync("x".repeat(300), join(root, "deep", "long-target"));
  writeFileSync(join(root, `n${"a".repeat(250)}`), "long name");
  writeFileSync(Buffer.from(`${root}/latin-\xe9`, "latin1"), "not UTF-8");
  chmodSync(join(root, "deep"), 0o1777);
  return root;
}

for (const format of ["pax", "gnu"]) {
  test(`a directory that tar packs as ${format} is the same in a layer`, async (t) => {
    const root = makeTree(t);
    const archive = join(scratch(t), "root.tar");
    // GNU tar's own format has no fractions of seconds.
    if (format === "gnu")
      tool("find", root, "-exec", "touch", "-h", "-d", "@1700000000", "{}", "+");
    tool("tar", `--format=${format}`, "-C", root, "-cf", archive, ".");
    const directory = join(scratch(t), "layer");
    await writeLayer(createReadStream(archive), directory);
    const tree = openImage([directory]);
    t.true(compare(t, tree.root, root) > 80);
    tree.close();
  });
}

const SPARSE = [
  ["gnu"],
  ["pax", "--sparse-version=0.0"],
  ["pax", "--sparse-version=0.1"],
  ["pax", "--sparse-version=1.0"],
] as const;

for (const [format, ...options] of SPARSE) {
  test(`files with holes that tar packs as ${format} ${options.join("")} are the same`, async (t) => {
    const root = join(scratch(t), "root");
    mkdirSync(root);
    sparseFile(join(root, "a-hole-at-the-end"), [0], 5_000_000);
    sparseFile(
      join(root, "b-many-holes"),
      Array.from({ length: 60 }, (_, i) => i * 65_536),
      4e6,
    );
    sparseFile(join(root, "c-only-a-hole"), [], 300_000);
    writeFileSync(join(root, "d-whole"), "no hole");
    tool("find", root, "-exec", "touch", "-d", "@1700000000", "{}", "+");
    const archive = join(scratch(t), "root.tar");
    tool("tar", `--format=${format}`, ...options, "-S", "-C", root, "-cf", archive, ".");
    t.true(statSync(archive).size < 1_000_000);
    const directory = join(scratch(t), "layer");
    await writeLayer(createReadStream(archive), directory);
    const tree = openImage([directory]);
    t.is(compare(t, tree.root, root), 5);
    tree.close();
    const again = createHash("sha256");
    for await (const chunk of rebuildTar(directory)) again.update(chunk);
    t.is(again.digest("hex"), hash(readFileSync(archive)));
  });
}

/** A file of `size` bytes with a page of content at each of `offsets`. */
function sparseFile(path: string, offsets: readonly number[], size: number): void {
  const fd = openSync(path, "w");
  for (const offset of offsets) writeSync(fd, Buffer.alloc(4096, `${offset + 1}`), 0, 4096, offset);
  ftruncateSync(fd, size);
  closeSync(fd);
}

test("a real directory of the system is the same in a layer", async (t) => {
  const archive = join(scratch(t), "zoneinfo.tar");
  // Hard links and symlinks without number, on any Debian.
  tool("tar", "--format=pax", "-C", "/usr/share/zoneinfo", "-cf", archive, ".");
  const directory = join(scratch(t), "layer");
  await writeLayer(createReadStream(archive), directory);
  const tree = openImage([directory]);
  t.true(compare(t, tree.root, "/usr/share/zoneinfo") > 500);
  tree.close();
});

/** A directory as the model sees it: names to contents or directories. */
interface Model extends Map<string, Model | string> {}

/** Applies a layer to the model as the OCI specification says: whiteouts first, then the entries. */
function apply(model: Model, members: readonly Member[]): void {
  const split = (name: string): [string[], string] => {
    const parts = name.split("/").filter((part) => part !== "");
    return [parts, parts.pop() ?? ""];
  };
  // A directory that no entry describes is there all the same, also for the sake of a whiteout.
  const at = (parts: readonly string[]): Model => {
    let here = model;
    for (const part of parts) {
      let next = here.get(part);
      if (!(next instanceof Map)) {
        next = new Map();
        here.set(part, next);
      }
      here = next;
    }
    return here;
  };
  // From the top down: what is inside of a directory that goes away comes after it.
  const depth = ({ name }: Member): number => split(name)[0].length;
  for (const { name } of members.toSorted((a, b) => depth(a) - depth(b))) {
    const [parts, last] = split(name);
    if (last === ".wh..wh..opq") at(parts).clear();
    else if (last.startsWith(".wh.")) at(parts).delete(last.slice(4));
  }
  for (const { name, type, content } of members) {
    const [parts, last] = split(name);
    if (last.startsWith(".wh.")) continue;
    const here = at(parts);
    if (type !== "5") here.set(last, String(content));
    else if (!(here.get(last) instanceof Map)) here.set(last, new Map());
  }
}

function modelOf(node: ImageNode): Model | string {
  if (node.type !== "directory") {
    const { fd = -1, offset = 0, length = 0 } = node.content() ?? {};
    const bytes = Buffer.alloc(length);
    readSync(fd, bytes, 0, length, offset);
    return bytes.toString();
  }
  const found: Model = new Map();
  for (const entry of node.list()) {
    const child = node.lookup(entry.name);
    if (child !== undefined) found.set(entry.name, modelOf(child));
  }
  return found;
}

/** A model with its names sorted, to compare. */
function sorted(model: Model | string | undefined): unknown {
  if (!(model instanceof Map)) return model;
  return [...model].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]);
}

const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const entry: fc.Arbitrary<Member> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ name: path, content: fc.constantFrom("1", "2", "3") }) },
  { weight: 2, arbitrary: path.map((at) => ({ name: `${at}/`, type: "5" })) },
  {
    weight: 2,
    arbitrary: path.map((at) => ({ name: at.replace(/[^/]*$/, (last) => `.wh.${last}`) })),
  },
  { weight: 1, arbitrary: path.map((at) => ({ name: `${at}/.wh..wh..opq` })) },
);

/** Drops what no archive of a file system can hold: names below files, and a name twice. */
function coherent(members: readonly Member[]): Member[] {
  const kinds = new Map<string, "file" | "directory">();
  return members.filter((candidate) => {
    const parts = candidate.name.split("/").filter((part) => part !== "");
    const prefixes = parts.slice(0, -1).map((_, i) => parts.slice(0, i + 1).join("/"));
    if (prefixes.some((prefix) => kinds.get(prefix) === "file")) return false;
    const own = parts.join("/");
    const kind = candidate.type === "5" ? "directory" : "file";
    if (kinds.has(own) && (kind === "file" || kinds.get(own) === "file")) return false;
    for (const prefix of prefixes) kinds.set(prefix, "directory");
    kinds.set(own, kind);
    return true;
  });
}

test("any layers merge as applying them one after the other would", async (t) => {
  const base = scratch(t);
  let run = 0;
  const layer = fc.array(entry, { maxLength: 8 }).map(coherent);
  await fc.assert(
    fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), async (layers) => {
      const model: Model = new Map();
      const directories: string[] = [];
      for (const members of layers) {
        const directory = join(base, String(run++));
        await writeLayer(pieces(tar(members)), directory);
        directories.push(directory);
        apply(model, members);
      }
      const tree = openImage(directories);
      try {
        assert.deepEqual(sorted(modelOf(tree.root)), sorted(model));
      } finally {
        tree.close();
      }
    }),
    { numRuns: 250 },
  );
  t.pass();
});
