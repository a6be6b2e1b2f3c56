import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, finishDigest, hexOf, isDigest } from "./digest.ts";
import { ImageError, storeError } from "./errors.ts";
import { JsonReader } from "./json.ts";
import { type KnownBlob, readKnownBlobs, rememberBlob } from "./known-blobs.ts";
import { type LayerFacts, type WriteLayerOptions, writeLayer } from "./layer-writer.ts";
import { FileLock } from "./lock.ts";
import type { Descriptor } from "./manifest.ts";
import { markingAtOnce } from "./marking.ts";
import { isCode, type StoreFiles, writeDurably } from "./store-files.ts";
import { rebuildTar } from "./tar-recipe.ts";

const FACTS_NAME = "layer.json";
const json = new JsonReader("STORE_IO");

/** Where a layer comes from, and what is known of it. */
export interface LayerSource extends WriteLayerOptions {
  /** Opens the stream; called once, and only when the layer is needed. */
  open(): AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

/**
 * The layers of the store, by the digest of their unpacked archive. Callers hold the store's lock,
 * shared, until an image refers to the layers they use.
 */
export class LayerStore {
  readonly #files: StoreFiles;
  readonly #facts = new Map<Digest, LayerFacts>();

  constructor(files: StoreFiles) {
    this.#files = files;
  }

  /** The host directory of a layer, for {@link openImage}. */
  directory(diffId: Digest): string {
    return join(this.#files.layers, hexOf(diffId));
  }

  async has(diffId: Digest): Promise<boolean> {
    try {
      return (await stat(this.directory(diffId))).isDirectory();
    } catch (error) {
      if (isCode(error, "ENOENT")) return false;
      throw storeError(error);
    }
  }

  /** Whether all of these layers are there, found out at once. */
  hasAll(diffIds: readonly Digest[]): boolean {
    return diffIds.every((diffId) => existsSync(this.directory(diffId)));
  }

  /**
   * Makes sure that the layer `diffId` is there. Of several who want it at once one reads it; the
   * others wait and find it.
   * @returns whether it was read now
   * @throws {ImageError} whatever is wrong with it; then nothing of it stays
   */
  async ensure(diffId: Digest, source: LayerSource): Promise<boolean> {
    if (await this.has(diffId)) return false;
    const lockPath = this.#files.layerLockPath(hexOf(diffId));
    const lock = await FileLock.acquire(lockPath, "exclusive", source.signal);
    try {
      if (await this.has(diffId)) return false;
      const expected = { ...source.expected, diffId };
      await this.#write(source.open(), { ...source, expected });
      return true;
    } finally {
      await lock.release();
    }
  }

  /** Adds a layer of which nothing is known before; returns what it turned out to be. */
  async add(source: AsyncIterable<Uint8Array>, options: WriteLayerOptions): Promise<LayerFacts> {
    return this.#write(source, options);
  }

  async #write(source: AsyncIterable<Uint8Array>, options: WriteLayerOptions): Promise<LayerFacts> {
    const staged = this.#files.newStagingPath();
    try {
      const facts = await markingAtOnce(() => writeLayer(source, staged, options));
      await writeDurably(join(staged, FACTS_NAME), Buffer.from(JSON.stringify(facts)));
      await this.#files.publish(staged, this.directory(facts.diffId));
      return facts;
    } catch (error) {
      await rm(staged, { recursive: true, force: true }).catch(() => undefined);
      throw storeError(error);
    }
  }

  /** What is known of a layer that is there. */
  async facts(diffId: Digest): Promise<LayerFacts> {
    const known = this.#facts.get(diffId);
    if (known !== undefined) return known;
    const path = join(this.directory(diffId), FACTS_NAME);
    const bytes = await readFile(path).catch((error: unknown) => {
      throw storeError(error);
    });
    const facts = json.parse(bytes) as unknown as LayerFacts;
    this.#facts.set(diffId, facts);
    return facts;
  }

  /** The compressed forms of a layer that registries are known to have. */
  async knownBlobs(diffId: Digest): Promise<KnownBlob[]> {
    return readKnownBlobs(this.directory(diffId));
  }

  /** Remembers that `repository` has the layer as `blob`, which was seen to unpack to it. */
  async rememberBlob(diffId: Digest, blob: Descriptor, repository: string): Promise<void> {
    await rememberBlob(this.#files, this.directory(diffId), blob, repository);
  }

  /**
   * The archive of a layer, as it was when the layer came.
   * @throws {ImageError} STORE_IO where the store is damaged, at the end: the digest is checked
   */
  async *archive(diffId: Digest): AsyncGenerator<Uint8Array, void, void> {
    const hash = createHash("sha256");
    for await (const bytes of rebuildTar(this.directory(diffId))) {
      hash.update(bytes);
      yield bytes;
    }
    if (finishDigest(hash) !== diffId) {
      throw new ImageError("STORE_IO", `the layer ${diffId} is damaged`);
    }
  }

  /**
   * Removes the layers that are not in `used`, and what was translated of them; only for who holds the store
   * exclusively.
   */
  async removeAllBut(used: ReadonlySet<Digest>): Promise<Digest[]> {
    const removed: Digest[] = [];
    for (const name of await readdir(this.#files.layers)) {
      const diffId = `sha256:${name}`;
      if (!isDigest(diffId) || used.has(diffId)) continue;
      await this.#files.withdraw(this.directory(diffId));
      this.#facts.delete(diffId);
      removed.push(diffId);
    }
    await this.#removeTranslationsBut(used);
    return removed;
  }

  /** They can be made again, so that one that stays does no harm either. */
  async #removeTranslationsBut(used: ReadonlySet<Digest>): Promise<void> {
    const directory = this.#files.translations;
    for (const name of await readdir(directory).catch(() => [])) {
      const [hex] = name.split("-");
      const diffId = `sha256:${hex}`;
      if (!isDigest(diffId) || used.has(diffId)) continue;
      await rm(join(directory, name), { force: true }).catch(() => {});
    }
  }
}
