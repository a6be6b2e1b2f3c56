import { gzipSync } from "node:zlib";
import test from "ava";
import fc from "fast-check";
import { extract } from "tar-stream";
import { digestOf } from "../../../sentry/image/digest.ts";
import { ImageBuilder } from "../../../sentry/image/image-builder.ts";
import { readDocument } from "../../../sentry/image/image-document.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import type { TarEntry } from "../../../sentry/image/tar-reader.ts";
import { readTar } from "../../../sentry/image/tar-reader.ts";
import { rebuildTar } from "../../../sentry/image/tar-recipe.ts";
import { encodeHeader, type TarMember, writeTar } from "../../../sentry/image/tar-writer.ts";
import { pieces, scratch, tar } from "./tar-fixture.ts";

const FILE: TarEntry = {
  path: "f",
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0n,
  link: "",
  major: 0,
  minor: 0,
  xattrs: new Map(),
};

function file(path: string, content: string, more: Partial<TarEntry> = {}): TarMember {
  const bytes = Buffer.from(content, "latin1");
  return { entry: { ...FILE, path, size: bytes.length, ...more }, content: [bytes] };
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("an image is built of a parent, a layer of an archive and one of named files", async (t) => {
  const store = new ImageStore(scratch(t));
  const [base, child] = await ImageBuilder.run(store, undefined, async (builder) => {
    const archive = tar([
      { name: "bin/sh", mode: 0o755, content: "#!" },
      { name: "gone", content: "x" },
    ]);
    const bottom = await builder.createLayer(pieces(gzipSync(archive)));
    const parent = await builder.createImage({
      layers: [bottom.diffId],
      config: { Env: ["A=1"], Cmd: ["/bin/sh"], Healthcheck: { Test: ["NONE"] } },
      history: [{ created_by: "ADD root", created: "2026-01-01T00:00:00Z" }],
      names: ["base"],
    });
    const top = await builder.createLayerOf([
      file("etc/motd", "hello", { uid: 5, mtime: 1_500_000_000_250_000_000n }),
      file(".wh.gone", ""),
    ]);
    const { config } = readDocument(parent.configBytes);
    const made = await builder.createImage({
      parent,
      layers: [top.diffId],
      config: { ...config, Labels: { a: "b" } },
      history: [
        { created_by: "LABEL a=b", empty_layer: true },
        { created_by: "RUN x", comment: "c" },
      ],
      author: "me",
      names: ["child:1", "localhost:5000/child"],
    });
    return [parent, made];
  });
  t.is(child.parent, base.id);
  t.deepEqual(child.tags, ["child:1", "localhost:5000/child:latest"]);
  t.is(child.config.diffIds.length, 2);
  t.is(child.config.diffIds[0], base.config.diffIds[0]);
  const { config, history } = readDocument((await store.get("child:1")).configBytes);
  t.deepEqual(config, {
    Env: ["A=1"],
    Cmd: ["/bin/sh"],
    Healthcheck: { Test: ["NONE"] },
    Labels: { a: "b" },
  });
  t.deepEqual(
    history.map((entry) => entry.created_by),
    ["ADD root", "LABEL a=b", "RUN x"],
  );
  const tree = openImage(child.layerDirectories);
  t.teardown(() => tree.close());
  t.is(tree.root.lookup("gone"), undefined);
  const motd = tree.root.lookup("etc")?.lookup("motd");
  t.is(motd?.uid, 5);
  t.is(motd?.mtime, 1_500_000_000_250_000_000n);
});

test("layers nobody made an image of are gone with the next removal", async (t) => {
  const store = new ImageStore(scratch(t));
  const diffId = await ImageBuilder.run(store, undefined, async (builder) => {
    const layer = await builder.createLayerOf([file("f", "x")]);
    const kept = await builder.createLayerOf([file("g", "y")]);
    await builder.createImage({ layers: [kept.diffId], config: {}, names: ["a"] });
    t.true(await store.layers.has(layer.diffId));
    return layer.diffId;
  });
  await store.remove("a");
  t.false(await store.layers.has(diffId));
});

test("what the writer of archives writes is what readers read, ours and tar-stream's", async (t) => {
  const bytes = fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((c) => String.fromCharCode(c)),
  });
  const name = bytes.filter((text) => text !== "" && !/[/=\n]/.test(text));
  const entry = fc.record({
    path: fc.array(
      fc.string({ unit: fc.constantFrom("a", "é", " ", "."), minLength: 1, maxLength: 90 }),
      {
        minLength: 1,
        maxLength: 5,
      },
    ),
    size: fc.nat(2000),
    uid: fc.integer({ min: 0, max: 0xffff_fffe }),
    mtime: fc.bigInt({ min: -(2n ** 60n), max: 2n ** 62n }),
    mode: fc.nat(0o7777),
    xattrs: fc.array(fc.tuple(name, bytes), { maxLength: 2 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 5 }), async (entries) => {
      const members = entries.map(({ path, size, xattrs, ...rest }): TarMember => {
        const attributes = new Map(
          xattrs.map(([key, value]) => [`user.${key}`, Buffer.from(value, "latin1")]),
        );
        return file(path.join("/"), "c".repeat(size), { ...rest, xattrs: attributes });
      });
      const archive = await collect(writeTar(members));
      const read: TarEntry[] = [];
      await readTar(pieces(archive, 777), {
        entry: (found) => read.push({ ...found, path: found.path }),
        content: () => undefined,
      });
      const plain = ({ xattrs, ...rest }: TarEntry): object => ({
        ...rest,
        xattrs: [...xattrs].map(([key, value]) => [key, Buffer.from(value)]).sort(),
      });
      t.deepEqual(
        read.map(plain),
        members.map((member) => plain(member.entry)),
      );
      const other = extract({ filenameEncoding: "latin1" } as object);
      const sizes: (number | undefined)[] = [];
      other.on("entry", (header, stream, next) => {
        sizes.push(header.size);
        stream.on("end", next).resume();
      });
      const done = new Promise<void>((resolve, reject) =>
        other.on("finish", () => resolve()).on("error", reject),
      );
      other.end(archive);
      await done;
      t.deepEqual(
        sizes,
        members.map((member) => member.entry.size),
      );
    }),
    { numRuns: 60 },
  );
});

test("every layer's archive can be made again, bit for bit", async (t) => {
  const store = new ImageStore(scratch(t));
  const archive = Buffer.concat([
    tar([
      { name: "g", type: "g", content: "52 comment=what git's archives begin with: a commit\n" },
      { name: "etc/", type: "5", uid: 7 },
      { name: "etc/large", content: "x".repeat(100_000) },
      { name: "etc/secret", content: "s".repeat(5000), mode: 0o600 },
      { name: "etc/small", content: "s", pax: { mtime: "1.5", comment: "not kept otherwise" } },
      { name: "etc/small", content: "again" },
      { name: ".wh.gone", content: "a whiteout with content" },
      { name: "hard", type: "1", link: "etc/small" },
    ]),
    Buffer.alloc(20_480),
  ]);
  const digest = digestOf(archive);
  await ImageBuilder.run(store, undefined, async (builder) => {
    const { diffId, unpackedSize } = await builder.createLayer(pieces(gzipSync(archive)));
    t.is(diffId, digest);
    t.is(unpackedSize, archive.length);
    const again = await collect(rebuildTar(store.layers.directory(diffId)));
    t.true(again.equals(archive));
  });
});

test("a header in ustar has no pax records, and one that needs them has", (t) => {
  t.is(encodeHeader(FILE).length, 512);
  t.is(encodeHeader({ ...FILE, path: `${"d".repeat(90)}/${"f".repeat(90)}` }).length, 512);
  t.is(encodeHeader({ ...FILE, path: "f".repeat(200) }).length, 3 * 512);
  t.is(encodeHeader({ ...FILE, mtime: 1n }).length, 3 * 512);
});
