import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { digestOf } from "../../../sentry/image/digest.ts";
import { ImageError } from "../../../sentry/image/errors.ts";
import { ImageBuilder } from "../../../sentry/image/image-builder.ts";
import { ImageStore } from "../../../sentry/image/image-store.ts";
import { openImage } from "../../../sentry/image/merged-tree.ts";
import { pruneImages } from "../../../sentry/image/prune.ts";
import { pull } from "../../../sentry/image/pull.ts";
import { save } from "../../../sentry/image/save.ts";
import { fakeImage, startFake } from "./fake-registry.ts";
import { pieces, scratch, tar } from "./tar-fixture.ts";

const SHARED = tar([{ name: "shared", content: Buffer.alloc(200_000, "s") }]);
const ROUNDS = 2;

/** What may happen to who works on an image while others take it away. */
async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const gone = ["IMAGE_NOT_FOUND", "IMAGE_CONFLICT", "STORE_IO"];
    if (error instanceof ImageError && gone.includes(error.code)) return undefined;
    throw error;
  }
}

test("images are pulled, built, tagged, saved, pruned and removed at once, and what is left is whole", async (t) => {
  const own = [1, 2, 3].map((i) => tar([{ name: `own-${i}`, content: String(i) }]));
  const registries = await Promise.all(
    own.map((archive) => startFake(t, fakeImage([SHARED, archive]))),
  );
  const root = scratch(t);
  const puller = async (name: string): Promise<void> => {
    const store = new ImageStore(root);
    for (let i = 0; i < ROUNDS; i++) {
      const { image } = await pull(store, name);
      // While it is looked at it may go, but never by halves.
      const tree = await unlessGone(
        Promise.resolve().then(() => openImage(image.layerDirectories)),
      );
      tree?.close();
      await unlessGone(store.tag(name, `tag-${i}`));
      await unlessGone(store.remove(name, { force: true }));
    }
  };
  const builder = async (): Promise<void> => {
    const store = new ImageStore(root);
    for (let i = 0; i < ROUNDS; i++) {
      await ImageBuilder.run(store, undefined, async (build) => {
        const bottom = await build.createLayer(pieces(SHARED));
        const top = await build.createLayer(pieces(tar([{ name: `built-${i}` }])));
        const layers = [bottom.diffId, top.diffId];
        const { layerDirectories } = await build.createImage({ layers, config: {} });
        t.is(layerDirectories.length, 2);
      });
    }
  };
  const pruner = async (): Promise<void> => {
    const store = new ImageStore(root);
    for (let i = 0; i < ROUNDS; i++) {
      await pruneImages(store, { dangling: [String(i % 2 === 0)] }, () => []);
      for (const image of await store.list()) {
        const saved = await unlessGone(save(store, [image.id]));
        if (saved !== undefined) await unlessGone(drain(saved));
      }
    }
  };
  const names = registries.map(({ name }) => name);
  await Promise.all([...names.map(puller), ...names.map(puller), builder(), builder(), pruner()]);

  const store = new ImageStore(root);
  for (const name of names) await pull(store, name);
  for (const image of await store.list()) {
    for (const diffId of image.config.diffIds) {
      const archive = await drain(store.layers.archive(diffId));
      t.is(digestOf(archive), diffId);
    }
  }
  await pruneImages(store, { dangling: ["false"] }, () => []);
  t.deepEqual(await store.list(), []);
  const images = join(root, "images");
  t.deepEqual(readdirSync(join(images, "layers-2")), []);
  t.deepEqual(readdirSync(join(images, "staging")), []);
});

async function drain(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}
