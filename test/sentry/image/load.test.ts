import { createReadStream, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { digestOf } from "../../../sentry/image/digest.ts";
import { ImageError, type ImageErrorCode } from "../../../sentry/image/errors.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { load } from "../../../sentry/image/load.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import { familiarName } from "../../../sentry/image/reference.ts";
import { makeLayout, push, tool } from "./registry-fixture.ts";
import { type Member, pieces, scratch, tar } from "./tar-fixture.ts";

const LAYERS = [
  tar([{ name: "a", content: "lower" }]),
  tar([
    { name: "a", content: "upper" },
    { name: "b", content: "b" },
  ]),
];

function check(t: ExecutionContext, image: { layerDirectories: readonly string[] }): void {
  const tree = openImage(image.layerDirectories);
  t.deepEqual(
    [...tree.root.list()].map((entry) => entry.name),
    ["a", "b"],
  );
  t.is(tree.root.lookup("a")?.size, 5);
  tree.close();
}

test("load() reads what skopeo writes as a docker-archive", async (t) => {
  const layout = makeLayout(t, { tag: "latest", layers: LAYERS });
  const archive = join(scratch(t), "image.tar");
  push(`oci:${layout}:latest`, `docker-archive:${archive}:some/app:1.0`);
  const root = scratch(t);
  const store = new ImageStore(root);
  const [loaded] = await load(store, createReadStream(archive));
  t.deepEqual(loaded?.names.map(familiarName), ["some/app:1.0"]);
  check(t, await store.get("some/app:1.0"));
  t.deepEqual(
    readdirSync(join(root, "images", "staging")).filter((n) => !n.endsWith(".lock")),
    [],
  );
});

test("load() reads what skopeo and umoci write as an OCI archive, also gzipped", async (t) => {
  const layout = makeLayout(t, { tag: "latest", layers: LAYERS });
  const archive = join(scratch(t), "image.tar");
  push(`oci:${layout}:latest`, `oci-archive:${archive}:registry.example/app:2`);
  const store = new ImageStore(scratch(t));
  const [loaded] = await load(store, pieces(gzipSync(readFileSync(archive))));
  t.deepEqual(loaded?.names.map(familiarName), ["registry.example/app:2"]);
  check(t, await store.get("registry.example/app:2"));

  const plain = join(scratch(t), "layout.tar");
  tool("tar", "-C", layout, "-cf", plain, ".");
  const [untagged] = await load(store, createReadStream(plain));
  t.deepEqual(untagged?.names, []);
  t.is(untagged?.image.id, loaded?.image.id);
});

/** A docker-archive by hand. */
function dockerArchive(change: {
  readonly config?: (config: Record<string, unknown>) => unknown;
  readonly item?: (item: Record<string, unknown>) => unknown;
  readonly members?: readonly Member[];
}): Buffer {
  const config = {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: LAYERS.map((layer) => digestOf(layer)) },
  };
  const item = { Config: "c.json", RepoTags: ["app:1"], Layers: ["0/layer.tar", "1/layer.tar"] };
  return tar([
    { name: "c.json", content: JSON.stringify(change.config?.(config) ?? config) },
    { name: "0/layer.tar", content: LAYERS[0] ?? "" },
    { name: "real.tar", content: LAYERS[1] ?? "" },
    { name: "1/layer.tar", type: "2", link: "../real.tar" },
    ...(change.members ?? []),
    { name: "manifest.json", content: JSON.stringify([change.item?.(item) ?? item]) },
  ]);
}

test("load() follows links among the files of an archive, and nowhere else", async (t) => {
  const store = new ImageStore(scratch(t));
  const [loaded] = await load(store, pieces(dockerArchive({})));
  check(t, loaded?.image ?? { layerDirectories: [] });
  const outside = dockerArchive({
    members: [{ name: "1/layer.tar", type: "2", link: "../../../../../../etc/passwd" }],
  });
  const error = await t.throwsAsync(load(new ImageStore(scratch(t)), pieces(outside)), {
    instanceOf: ImageError,
  });
  t.is(error.code, "ARCHIVE_INVALID");
});

test("load() refuses archives that do not hold together", async (t) => {
  const cases: readonly (readonly [string, ImageErrorCode, Buffer])[] = [
    ["no image", "ARCHIVE_INVALID", tar([{ name: "f" }])],
    ["no JSON", "ARCHIVE_INVALID", tar([{ name: "manifest.json", content: "{" }])],
    ["no list", "ARCHIVE_INVALID", tar([{ name: "manifest.json", content: "{}" }])],
    [
      "a large manifest",
      "ARCHIVE_INVALID",
      tar([{ name: "manifest.json", content: Buffer.alloc(5e6) }]),
    ],
    [
      "nothing named Config",
      "ARCHIVE_INVALID",
      dockerArchive({ item: (i) => ({ ...i, Config: "x" }) }),
    ],
    [
      "a loop of links",
      "ARCHIVE_INVALID",
      dockerArchive({ members: [{ name: "c.json", type: "2", link: "c.json" }] }),
    ],
    [
      "a bad name",
      "REFERENCE_INVALID",
      dockerArchive({ item: (i) => ({ ...i, RepoTags: ["A:1"] }) }),
    ],
    [
      "too few layers",
      "CONFIG_INVALID",
      dockerArchive({ item: (i) => ({ ...i, Layers: ["0/layer.tar"] }) }),
    ],
    [
      "layers in another order",
      "DIFF_ID_MISMATCH",
      dockerArchive({ item: (i) => ({ ...i, Layers: ["1/layer.tar", "0/layer.tar"] }) }),
    ],
    [
      "a config without layers",
      "CONFIG_INVALID",
      dockerArchive({ config: () => ({ rootfs: { diff_ids: [] } }) }),
    ],
    [
      "a config with a path for a digest",
      "CONFIG_INVALID",
      dockerArchive({ config: () => ({ rootfs: { diff_ids: ["sha256:../../x"] } }) }),
    ],
    ["a config that is no object", "CONFIG_INVALID", dockerArchive({ config: () => [1] })],
    [
      "an environment that is no list",
      "CONFIG_INVALID",
      dockerArchive({ config: (c) => ({ ...c, config: { Env: "A=1" } }) }),
    ],
    ["half an archive", "LAYER_TRUNCATED", dockerArchive({}).subarray(0, 5000)],
    ["an image in a layout that is missing", "ARCHIVE_INVALID", layoutArchive({})],
    ["an image in a layout that is another", "DIGEST_MISMATCH", layoutArchive({ content: "{ }" })],
    ["an image in a layout of another size", "SIZE_MISMATCH", layoutArchive({ content: "{}  " })],
  ];
  for (const [what, code, archive] of cases) {
    const root = scratch(t);
    const store = new ImageStore(root);
    const error = await t.throwsAsync(
      load(store, pieces(archive)),
      { instanceOf: ImageError },
      what,
    );
    t.is(error?.code, code, `${what}: ${error?.message}`);
    t.deepEqual(await store.list(), [], what);
    const staged = readdirSync(join(root, "images", "staging"));
    t.deepEqual(
      staged.filter((name) => !name.endsWith(".lock")),
      [],
      what,
    );
  }
});

function layoutArchive(manifest: { readonly content?: string }): Buffer {
  const digest = digestOf(Buffer.from("{x}"));
  const index = {
    schemaVersion: 2,
    manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 3 }],
  };
  const members: Member[] = [{ name: "index.json", content: JSON.stringify(index) }];
  if (manifest.content !== undefined) {
    members.push({ name: `blobs/sha256/${digest.slice(7)}`, content: manifest.content });
  }
  return tar(members);
}
