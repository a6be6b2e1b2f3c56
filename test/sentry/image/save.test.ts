import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { hexOf } from "../../../sentry/image/digest.ts";
import { ImageBuilder } from "../../../sentry/image/image-builder.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { importRoot } from "../../../sentry/image/import-root.ts";
import { load } from "../../../sentry/image/load.ts";
import { parsePlatform } from "../../../sentry/image/platform.ts";
import { familiarName } from "../../../sentry/image/reference.ts";
import { save } from "../../../sentry/image/save.ts";
import { tool } from "./registry-fixture.ts";
import { pieces, scratch, tar } from "./tar-fixture.ts";

const BASE = tar([{ name: "etc/hostname", content: "base\n" }]);
const TOP = tar([{ name: "top", content: Buffer.alloc(300_000, "top") }]);

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A store with two images that share a layer; one of them has two names. */
async function filled(t: ExecutionContext): Promise<ImageStore> {
  const store = new ImageStore(scratch(t));
  await ImageBuilder.run(store, undefined, async (builder) => {
    const bottom = (await builder.createLayer(pieces(BASE))).diffId;
    const top = (await builder.createLayer(pieces(TOP))).diffId;
    const made = { created: "2024-01-02T03:04:05.6Z", history: [{ created_by: "x" }] };
    const config = { Cmd: ["sh"], Labels: { a: "b" } };
    const names = ["app:1", "registry.example:5000/team/app:one"];
    await builder.createImage({ ...made, layers: [bottom, top], config, names });
    await builder.createImage({ ...made, layers: [bottom], config, names: ["base", "app:2"] });
  });
  return store;
}

/** Unpacks an archive with the system's tar. */
function unpack(t: ExecutionContext, archive: Uint8Array): string {
  const directory = scratch(t);
  writeFileSync(join(directory, "saved.tar"), archive);
  mkdirSync(join(directory, "out"));
  tool("tar", "-xf", join(directory, "saved.tar"), "-C", join(directory, "out"));
  return join(directory, "out");
}

test("saved images are loaded again as they were, with the names that were asked for", async (t) => {
  const store = await filled(t);
  const archive = await collect(await save(store, ["app:1", "base"]));
  t.true(archive.equals(await collect(await save(store, ["app:1", "base"]))));
  const other = new ImageStore(scratch(t));
  const loaded = await load(other, pieces(archive));
  t.deepEqual(
    loaded.map(({ image, names }) => [image.id, ...names.map(familiarName)]),
    [
      [(await store.get("app:1")).id, "app:1"],
      [(await store.get("base")).id, "base:latest"],
    ],
  );
  t.deepEqual((await other.get("app:1")).configBytes, (await store.get("app:1")).configBytes);
});

test("a repository is saved with all its tags, an id without a name", async (t) => {
  const store = await filled(t);
  const { id } = await store.get("base");
  const all = await load(new ImageStore(scratch(t)), await save(store, ["app"]));
  t.deepEqual(all.flatMap(({ names }) => names.map(familiarName)).sort(), ["app:1", "app:2"]);
  const [byId] = await load(
    new ImageStore(scratch(t)),
    await save(store, [hexOf(id).slice(0, 12)]),
  );
  t.deepEqual(byId?.names, []);
  t.is(byId?.image.id, id);
});

test("what is saved is an OCI layout and a docker archive, for the tools that read them", async (t) => {
  const store = await filled(t);
  const image = await store.get("app:1");
  const names = ["app:1", "registry.example:5000/team/app:one"];
  const out = unpack(t, await collect(await save(store, names)));
  const read = (name: string): unknown => JSON.parse(readFileSync(join(out, name), "utf8"));
  t.deepEqual(read("oci-layout"), { imageLayoutVersion: "1.0.0" });
  t.deepEqual(read("manifest.json"), [
    {
      Config: `blobs/sha256/${hexOf(image.id)}`,
      RepoTags: names,
      Layers: image.config.diffIds.map((diffId) => `blobs/sha256/${hexOf(diffId)}`),
    },
  ]);
  t.deepEqual(Object.keys(read("repositories") as object), [
    "app",
    "registry.example:5000/team/app",
  ]);
  const inspect = (source: string): { readonly Layers: readonly string[] } =>
    JSON.parse(tool("skopeo", "inspect", source));
  t.deepEqual(inspect(`oci:${out}:one`).Layers, image.config.diffIds);
  tool("tar", "-C", out, "-cf", `${out}.tar`, ".");
  t.deepEqual(inspect(`docker-archive:${out}.tar:app:1`).Layers, image.config.diffIds);
});

test("what cannot be saved is said before the first byte", async (t) => {
  const store = await filled(t);
  await t.throwsAsync(save(store, ["app:1", "missing"]), {
    message: "No such image: missing:latest",
  });
  await importRoot(store, pieces(BASE), { reference: "arm", platform: parsePlatform("arm64") });
  await t.throwsAsync(save(store, ["arm"], { platform: parsePlatform("amd64") }), {
    code: "PLATFORM_UNAVAILABLE",
  });
});
