import { createReadStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { chainIds } from "../../../sentry/image/chain-id.ts";
import { digestOf } from "../../../sentry/image/digest.ts";
import { ImageError } from "../../../sentry/image/errors.ts";
import { ImageBuilder } from "../../../sentry/image/image-builder.ts";
import { readDocument } from "../../../sentry/image/image-document.ts";
import { type ImageFilters, listImages } from "../../../sentry/image/image-filter.ts";
import { ImageStore, type RemoveOptions } from "../../../sentry/image/image-store.ts";
import { importRoot } from "../../../sentry/image/import-root.ts";
import { load } from "../../../sentry/image/load.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import { parsePlatform } from "../../../sentry/image/platform.ts";
import { pruneImages } from "../../../sentry/image/prune.ts";
import { parseReference } from "../../../sentry/image/reference.ts";
import type { ImageUser } from "../../../sentry/image/removal.ts";
import { defaultRoot } from "../../../sentry/image/store-files.ts";
import { storedLayers } from "../../../sentry/image/stored-layers.ts";
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
      "HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f http://localhost/",
      "ONBUILD RUN make",
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
      ExposedPorts: ["53/udp", "80/tcp"],
      Volumes: ["/data"],
      Labels: { "org.x": "y" },
      StopSignal: "SIGINT",
    },
  );
  t.like(readDocument(found.configBytes).config, {
    Healthcheck: {
      Test: ["CMD-SHELL", "curl -f http://localhost/"],
      Interval: 90_000_000_000,
      Retries: 3,
    },
    OnBuild: ["RUN make"],
  });
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

/** What `docker rmi` would print, with ids cut short. */
async function removed(store: ImageStore, name: string, options: RemoveOptions = {}) {
  const { records } = await store.remove(name, options);
  return records.map((each) =>
    "untagged" in each
      ? `Untagged: ${each.untagged}`
      : `Deleted: ${each.deleted.slice("sha256:".length, "sha256:".length + 12)}`,
  );
}

async function conflict(t: ExecutionContext, removing: Promise<unknown>): Promise<string> {
  return (await t.throwsAsync(removing, { instanceOf: ImageError, code: "IMAGE_CONFLICT" }))
    .message;
}

function short(id: string | undefined): string {
  return (id ?? "").replace("sha256:", "").slice(0, 12);
}

test("remove() takes names away one by one, and the layers with the last image that has them", async (t) => {
  const root = scratch(t);
  const store = new ImageStore(root);
  const first = await importRoot(store, pieces(ROOT), { reference: "a" });
  const same = await importRoot(store, pieces(ROOT), { reference: "same", changes: ["CMD x"] });
  await importRoot(store, pieces(OTHER), { reference: "c" });
  await store.tag("a", "a:two");
  await store.tag("a", "b");
  t.deepEqual(await removed(store, "a:two"), ["Untagged: a:two"]);
  t.is(
    await conflict(t, store.remove(first.id)),
    `conflict: unable to delete ${short(first.id)} (must be forced) - ` +
      "image is referenced in multiple repositories",
  );
  t.deepEqual(await removed(store, first.id, { force: true }), [
    "Untagged: a:latest",
    "Untagged: b:latest",
    `Deleted: ${short(first.id)}`,
  ]);
  const { records, reclaimed } = await store.remove("same");
  t.deepEqual(records, [
    { untagged: "same:latest" },
    { deleted: same.id },
    { deleted: same.config.diffIds[0] },
  ]);
  t.is(reclaimed, same.size);
  t.deepEqual(
    (await store.list()).map((image) => image.tags),
    [["c:latest"]],
  );
  t.is(readdirSync(join(root, "images", "layers-2")).length, 1);
});

test("an image that a container has is not removed; by force it goes, but not the container's files", async (t) => {
  const root = scratch(t);
  const store = new ImageStore(root);
  const { id, config } = await importRoot(store, pieces(ROOT), { reference: "a" });
  const user = { id: "0123456789abcdef", image: id, running: false };
  const stopped = { users: () => [user] };
  const running = { users: () => [{ ...user, running: true }] };
  const refusal = "conflict: unable to remove repository reference";
  t.is(
    await conflict(t, store.remove("a", stopped)),
    `${refusal} "a" (must force) - container 0123456789ab is using its referenced ` +
      `image ${short(id)}`,
  );
  t.is(
    await conflict(t, store.remove(id, stopped)),
    `conflict: unable to delete ${short(id)} (must be forced) - image is being used by stopped ` +
      "container 0123456789ab",
  );
  t.is(
    await conflict(t, store.remove(id, { ...running, force: true })),
    `conflict: unable to delete ${short(id)} (cannot be forced) - image is being used by ` +
      "running container 0123456789ab",
  );
  // With a name there is something to take away.
  t.deepEqual(await removed(store, "a", { ...running, force: true }), ["Untagged: a:latest"]);
  await store.tag(id, "a");
  t.deepEqual(await removed(store, "a", { ...stopped, force: true }), [
    "Untagged: a:latest",
    `Deleted: ${short(id)}`,
    `Deleted: ${short(config.diffIds[0])}`,
  ]);
  t.is(await store.find(id), undefined);
  openImage(storedLayers(root, id)).close();
  const other = await importRoot(store, pieces(OTHER), { reference: "b" });
  await store.remove("b", stopped);
  openImage(storedLayers(root, id)).close();
  t.throws(() => storedLayers(root, other.id), { instanceOf: ImageError });
  await importRoot(store, pieces(OTHER), { reference: "b" });
  await store.remove("b");
  t.throws(() => storedLayers(root, id), { instanceOf: ImageError });
});

test("a container that is made while its image goes keeps its layers", async (t) => {
  const root = scratch(t);
  const store = new ImageStore(root);
  const { id } = await importRoot(store, pieces(ROOT));
  const made = { id: "0123456789ab", image: id, running: false };
  let asked = 0;
  // It is not there yet when the removal is decided.
  await store.remove(id, { users: () => (asked++ === 0 ? [] : [made]) });
  t.is(await store.find(id), undefined);
  openImage(storedLayers(root, id)).close();
});

test("digests go with the last tag of their repository, parents without a name with their child", async (t) => {
  const store = new ImageStore(scratch(t));
  const [parent, child] = await ImageBuilder.run(store, undefined, async (builder) => {
    const { diffId } = await builder.createLayer(pieces(ROOT));
    const bottom = await builder.createImage({ layers: [diffId], config: {} });
    const more = (await builder.createLayer(pieces(OTHER))).diffId;
    const top = { parent: bottom, layers: [more], config: { Cmd: ["x"] }, names: ["a/b:1"] };
    return [bottom, await builder.createImage(top)];
  });
  const digest = digestOf(Buffer.from("a manifest"));
  await store.addDigest(child.id, parseReference("a/b"), digest);
  t.deepEqual((await store.get(`a/b@${digest}`)).tags, ["a/b:1"]);
  t.is(
    await conflict(t, store.remove(parent.id, { force: true })),
    `conflict: unable to delete ${short(parent.id)} (cannot be forced) - image has dependent ` +
      "child images",
  );
  t.deepEqual(
    (await listImages(store)).map(({ id }) => id),
    [child.id],
  );
  t.is((await listImages(store, {}, { all: true })).length, 2);
  const chain = chainIds(child.config.diffIds);
  const expected = ["Untagged: a/b:1", `Untagged: a/b@${digest}`, `Deleted: ${short(child.id)}`];
  expected.push(`Deleted: ${short(chain[1])}`, `Deleted: ${short(parent.id)}`);
  t.deepEqual(await removed(store, "a/b:1"), [...expected, `Deleted: ${short(chain[0])}`]);
  t.deepEqual(await store.list(), []);
});

test("filters choose images by what they are called, how old they are and their labels", async (t) => {
  const store = new ImageStore(scratch(t));
  await ImageBuilder.run(store, undefined, async (builder) => {
    const layers = [(await builder.createLayer(pieces(ROOT))).diffId];
    const make = (names: string[], created: string, labels: Record<string, string>) =>
      builder.createImage({ layers, names, created, config: { Labels: labels } });
    await make(["old", "r.example:5000/team/old:v1"], "2020-01-01T00:00:00Z", { a: "1" });
    await make(["middle"], "2021-01-01T00:00:00Z", { a: "2", b: "" });
    await make([], "2022-01-01T00:00:00Z", {});
  });
  const names = async (filters: ImageFilters): Promise<string[][]> =>
    (await listImages(store, filters)).map(({ tags }) => [...tags]);
  const [old, middle] = [["old:latest", "r.example:5000/team/old:v1"], ["middle:latest"]];
  t.deepEqual(await names({}), [[], middle, old]);
  t.deepEqual(await names({ dangling: ["true"] }), [[]]);
  t.deepEqual(await names({ dangling: ["0"] }), [middle, old]);
  t.deepEqual(await names({ label: ["a"] }), [middle, old]);
  t.deepEqual(await names({ label: ["a", "b="] }), [middle]);
  t.deepEqual(await names({ label: ["a=1"] }), [old]);
  t.deepEqual(await names({ since: ["old"] }), [[], middle]);
  t.deepEqual(await names({ before: ["middle"] }), [old]);
  t.deepEqual(await names({ until: ["2020-06-01"] }), [old]);
  t.deepEqual(await names({ reference: ["old"] }), [["old:latest"]]);
  t.deepEqual(await names({ reference: ["*/*/old:v?", "mid*"] }), [
    middle,
    ["r.example:5000/team/old:v1"],
  ]);
  t.deepEqual(await names({ reference: ["r.example:5000/*"] }), []);
  for (const [filters, message] of [
    [{ nonsense: ["1"] }, /invalid filter 'nonsense'/],
    [{ dangling: ["maybe"] }, /invalid filter 'dangling=\[maybe\]'/],
    [{ until: ["soon"] }, /invalid filter/],
    [{ reference: ["[b-a]"] }, /invalid filter/],
  ] as const) {
    await t.throwsAsync(listImages(store, filters), { code: "FILTER_INVALID", message });
  }
});

test("pruning removes what has no tag, or everything that no container has", async (t) => {
  const store = new ImageStore(scratch(t));
  const used = await importRoot(store, pieces(ROOT), { reference: "used" });
  const dangling = await importRoot(store, pieces(OTHER));
  await importRoot(store, pieces(OTHER), { reference: "tagged", changes: ["LABEL keep=1"] });
  const user = { id: "0123456789ab", image: used.id, running: false };
  const users = (): ImageUser[] => [user];
  const first = await pruneImages(store, {}, users);
  t.deepEqual(first, { records: [{ deleted: dangling.id }], reclaimed: 0 });
  const kept = await pruneImages(store, { dangling: ["false"], "label!": ["keep"] }, users);
  t.deepEqual(kept.records, []);
  const all = await pruneImages(store, { dangling: ["false"] }, users);
  t.is(all.records.length, 3);
  t.is(all.reclaimed, 1);
  t.deepEqual(
    (await store.list()).map(({ tags }) => tags),
    [["used:latest"]],
  );
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
  for (const change of [
    "RUN x",
    "CMD",
    "EXPOSE http",
    "constructor x",
    "ENV =x",
    "HEALTHCHECK x",
    "HEALTHCHECK --retries=x CMD y",
    "HEALTHCHECK --timeout=3 CMD y",
  ]) {
    const error = await t.throwsAsync(importRoot(store, pieces(ROOT), { changes: [change] }), {
      instanceOf: ImageError,
    });
    t.is(error.code, "CHANGE_INVALID", change);
  }
});
