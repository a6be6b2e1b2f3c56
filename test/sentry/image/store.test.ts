import { createReadStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test from "ava";
import { ImageError } from "../../../sentry/image/errors.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { importRoot } from "../../../sentry/image/import-root.ts";
import { load } from "../../../sentry/image/load.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import { parsePlatform } from "../../../sentry/image/platform.ts";
import { defaultRoot } from "../../../sentry/image/store-files.ts";
import { pieces, scratch, tar } from "./tar-fixture.ts";

const ROOT = tar([
  { name: "bin/sh", mode: 0o755, content: "#!" },
  { name: "etc/passwd", content: "root:x:0:0::/:/bin/sh\n" },
]);
const OTHER = tar([{ name: "other", content: "2" }]);

test("an imported root directory is an image with a name, a config and a tree", async (t) => {
  const store = new ImageStore(scratch(t));
  const image = await importRoot(store, pieces(gzipSync(ROOT)), {
    reference: "mini",
    changes: [
      'CMD ["/bin/sh", "-l"]',
      "ENTRYPOINT echo $HOME",
      'ENV A=1 B="two words" C=x\\ y',
      "ENV A 3 4",
      "WORKDIR /srv",
      "WORKDIR app",
      "user 1000:1000",
      "EXPOSE 80 53/udp",
      'VOLUME ["/data"]',
      "LABEL org.x=y",
      "STOPSIGNAL SIGINT",
    ],
    platform: parsePlatform("arm64"),
  });
  const found = await store.get("mini");
  t.is(found.id, image.id);
  t.deepEqual(found.tags, ["mini:latest"]);
  t.deepEqual(found.config.platform, { os: "linux", architecture: "arm64", variant: "v8" });
  t.deepEqual(
    { ...found.config.config, Labels: { ...found.config.config.Labels } },
    {
      Cmd: ["/bin/sh", "-l"],
      Entrypoint: ["/bin/sh", "-c", "echo $HOME"],
      Env: ["A=3 4", "B=two words", "C=x y"],
      WorkingDir: "/srv/app",
      User: "1000:1000",
      ExposedPorts: ["80/tcp", "53/udp"],
      Volumes: ["/data"],
      Labels: { "org.x": "y" },
      StopSignal: "SIGINT",
    },
  );
  t.is(found.size, 24);
  const tree = openImage(found.layerDirectories);
  t.is(tree.root.lookup("bin")?.lookup("sh")?.mode, 0o100755);
  tree.close();
});

test("get() finds an image by tag, digest, id and the beginning of its id", async (t) => {
  const store = new ImageStore(scratch(t));
  const { id } = await importRoot(store, pieces(ROOT), { reference: "localhost:5000/a/b:1.0" });
  for (const name of [
    "localhost:5000/a/b:1.0",
    id,
    id.slice(7),
    id.slice(7, 19),
    id.slice(0, 12),
  ]) {
    t.is((await store.get(name)).id, id, name);
  }
  const missing = await t.throwsAsync(store.get("localhost:5000/a/b"), { instanceOf: ImageError });
  t.is(missing.message, "No such image: localhost:5000/a/b:latest");
  t.is(await store.find("nothing"), undefined);
});

test("remove() takes names away one by one, and the layers with the last image that has them", async (t) => {
  const root = scratch(t);
  const store = new ImageStore(root);
  const first = await importRoot(store, pieces(ROOT), { reference: "a" });
  await importRoot(store, pieces(ROOT), { reference: "same-layer", changes: ["CMD x"] });
  await importRoot(store, pieces(OTHER), { reference: "c" });
  await store.tag("a", "a:two");
  await store.tag("a", "b");
  t.deepEqual(await store.remove("a:two"), {
    untagged: ["a:two"],
    deleted: [],
  });
  const conflict = await t.throwsAsync(store.remove(first.id), { instanceOf: ImageError });
  t.is(
    conflict.message,
    `conflict: unable to delete ${first.id.slice(7, 19)} (must be forced) - ` +
      "image is referenced in multiple repositories",
  );
  t.deepEqual(await store.remove(first.id, { force: true }), {
    untagged: ["a:latest", "b:latest"],
    deleted: [first.id],
  });
  const layer = first.config.diffIds[0];
  const last = await store.remove("same-layer");
  t.is(last.deleted.length, 2);
  t.true(layer !== undefined && last.deleted.includes(layer));
  t.deepEqual(
    (await store.list()).map((image) => image.tags),
    [["c:latest"]],
  );
  t.is(readdirSync(join(root, "images", "layers-2")).length, 1);
});

test("remove() refuses an image that a container uses; by force it takes the name only", async (t) => {
  const store = new ImageStore(scratch(t));
  const { id } = await importRoot(store, pieces(ROOT), { reference: "a" });
  const usersOf = (): string[] => ["0123456789ab"];
  const refused = await t.throwsAsync(store.remove("a", { usersOf }), { instanceOf: ImageError });
  t.is(
    refused.message,
    'conflict: unable to remove repository reference "a" (must force) - ' +
      `container 0123456789ab is using its referenced image ${id.slice(7, 19)}`,
  );
  t.deepEqual(await store.remove("a", { usersOf, force: true }), {
    untagged: ["a:latest"],
    deleted: [],
  });
  // The container can still be started.
  const kept = await store.get(id);
  openImage(kept.layerDirectories).close();
  t.is((await store.remove(id)).deleted.length, 2);
});

test("a name moves to the newer image, and the older one stays without it", async (t) => {
  const store = new ImageStore(scratch(t));
  const old = await importRoot(store, pieces(ROOT), { reference: "a" });
  const young = await importRoot(store, pieces(OTHER), { reference: "a" });
  t.is((await store.get("a")).id, young.id);
  t.deepEqual((await store.get(old.id)).tags, []);
});

test("a failed import leaves nothing, and what died before is swept away", async (t) => {
  const root = scratch(t);
  const store = new ImageStore(root);
  await importRoot(store, pieces(ROOT));
  const staging = join(root, "images", "staging");
  mkdirSync(join(staging, "dead"));
  writeFileSync(join(staging, "dead", "shared.pack"), "half");
  const truncated = ROOT.subarray(0, ROOT.length - 1024);
  const error = await t.throwsAsync(importRoot(store, pieces(truncated)), {
    instanceOf: ImageError,
  });
  t.is(error.code, "LAYER_TRUNCATED");
  t.deepEqual(readdirSync(staging), []);
  t.is(readdirSync(join(root, "images", "layers-2")).length, 1);
  t.is((await store.list()).length, 1);
});

test("many processes' worth of changes to the names lose none", async (t) => {
  const root = scratch(t);
  await importRoot(new ImageStore(root), pieces(ROOT), { reference: "a" });
  const tags = Array.from({ length: 20 }, (_, i) => `a:t${i}`);
  await Promise.all(tags.map((tag) => new ImageStore(root).tag("a", tag)));
  t.is((await new ImageStore(root).get("a")).tags.length, 21);
  const file = readFileSync(join(root, "images", "references.json"), "utf8");
  t.is(Object.keys(JSON.parse(file).references).length, 21);
});

test("an empty store lists nothing, and looking writes nothing", async (t) => {
  const root = scratch(t);
  t.deepEqual(await new ImageStore(root).list(), []);
  for (const refused of [new ImageStore(root).remove("a"), new ImageStore(root).tag("a", "b")]) {
    const error = await t.throwsAsync(refused, { instanceOf: ImageError });
    t.is(error.code, "IMAGE_NOT_FOUND");
  }
  t.deepEqual(readdirSync(root), []);
});

test("the store is where DD_ROOT says, else in the user's data directory", (t) => {
  t.is(defaultRoot({ DD_ROOT: "/r", XDG_DATA_HOME: "/d" }), "/r");
  t.is(defaultRoot({ XDG_DATA_HOME: "/d" }), "/d/dd");
  t.regex(defaultRoot({ XDG_DATA_HOME: "relative" }), /\/\.local\/share\/dd$/);
});

test("an archive that cannot be read is not the store's fault, and reading can be cancelled", async (t) => {
  const store = new ImageStore(scratch(t));
  for (const add of [importRoot, load]) {
    const missing = createReadStream(join(scratch(t), "missing.tar"));
    const error = await t.throwsAsync<ImageError>(add(store, missing), { instanceOf: ImageError });
    t.is(error.code, "ARCHIVE_UNREADABLE");
    t.regex(error.message, /no such file or directory.*missing\.tar/);
    const controller = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield ROOT.subarray(0, 512);
      for (;;) {
        controller.abort();
        yield new Uint8Array(512);
      }
    }
    const { signal } = controller;
    const cancelled = await t.throwsAsync<ImageError>(add(store, endless(), { signal }));
    t.is(cancelled.code, "ABORTED");
  }
  t.deepEqual(await store.list(), []);
});

test("a change that is no change is refused", async (t) => {
  const store = new ImageStore(scratch(t));
  for (const change of ["RUN x", "CMD", "EXPOSE http", "constructor x", "ENV =x"]) {
    const error = await t.throwsAsync(importRoot(store, pieces(ROOT), { changes: [change] }), {
      instanceOf: ImageError,
    });
    t.is(error.code, "CHANGE_INVALID", change);
  }
});
