import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, hexOf, isDigest } from "./digest.ts";
import { ImageError, storeError } from "./errors.ts";
import { type ImageConfig, parseImageConfig } from "./image-config.ts";
import { LayerStore } from "./layer-store.ts";
import { FileLock } from "./lock.ts";
import { danglingLink } from "./merged-tree.ts";
import {
  byDigest,
  canonicalName,
  familiarName,
  parseReference,
  type Reference,
  withDefaultTag,
} from "./reference.ts";
import { type References, ReferenceTable } from "./reference-table.ts";
import { isCode, StoreFiles, writeDurably } from "./store-files.ts";

const CONFIG_NAME = "config.json";
const MANIFEST_NAME = "manifest.json";
/** The id of the image that it was made from here. */
const PARENT_NAME = "parent";

/** An image that is complete in the store. */
export interface StoredImage {
  /** The digest of its config, which is what `docker images` calls its ID. */
  readonly id: Digest;
  readonly config: ImageConfig;
  /** The config as it was made. */
  readonly configBytes: Uint8Array;
  /** The manifest it came with, if it came with one. */
  readonly manifestBytes: Uint8Array | undefined;
  /** The image that it was made from, if it was made here of one. */
  readonly parent: Digest | undefined;
  /** Its names with tags as people write them (`debian:bookworm`), sorted. */
  readonly tags: readonly string[];
  /** Its names with digests as people write them, sorted. */
  readonly digests: readonly string[];
  /** Bytes of its layers, unpacked. */
  readonly size: number;
  /** The host directories of its layers, bottom to top: what `openImage` wants. */
  readonly layerDirectories: readonly string[];
}

/** The parts of an image whose layers are in the store. */
export interface NewImage {
  readonly configBytes: Uint8Array;
  readonly manifestBytes?: Uint8Array;
  /** The image that it was made from. */
  readonly parent?: Digest;
  /** Names for it; each is taken from the image that had it. */
  readonly names: readonly Reference[];
}

export interface RemoveOptions {
  /**
   * Removes all names of an image given by its id, and the names of one that containers use: that
   * image stays, without a name, until they are gone and it is removed once more.
   */
  readonly force?: boolean;
  /** The containers that use an image. */
  readonly usersOf?: (id: Digest) => readonly string[];
}

export interface Removal {
  /** Names as people write them. */
  readonly untagged: readonly string[];
  readonly deleted: readonly Digest[];
}

/** The images of one user: configs, layers and names, under `DD_ROOT`. Any number of processes may use it. */
export class ImageStore {
  readonly layers: LayerStore;
  readonly #files: StoreFiles;
  readonly #references: ReferenceTable;

  /** @param root `DD_ROOT`; see {@link defaultRoot}. Nothing is written before something is added. */
  constructor(root: string) {
    this.#files = new StoreFiles(root);
    this.layers = new LayerStore(this.#files);
    this.#references = new ReferenceTable(this.#files);
  }

  /**
   * Runs `work`, which may add layers and then an image; layers are safe from removal meanwhile.
   * First removes what processes that died have left behind, if nobody else is at work.
   */
  async adding<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    await this.#files.prepare();
    await this.#files.tryAlone(() => this.#files.sweep());
    const lock = await FileLock.acquire(this.#files.lockPath(), "shared", signal);
    try {
      return await work();
    } finally {
      await lock.release();
    }
  }

  /** Runs `work` with a path in the store to put things at, which is removed afterwards. */
  async inStaging<T>(work: (path: string) => Promise<T>): Promise<T> {
    const path = this.#files.newStagingPath();
    try {
      return await work(path);
    } finally {
      await rm(path, { recursive: true, force: true });
    }
  }

  /**
   * Makes an image visible; its layers must be there, and the caller is inside of {@link adding}.
   * @throws {ImageError} CONFIG_INVALID, LAYER_LINK when the layers do not fit on each other
   */
  async commit(image: NewImage): Promise<StoredImage> {
    const { diffIds } = parseImageConfig(image.configBytes);
    const dangling = danglingLink(diffIds.map((diffId) => this.layers.directory(diffId)));
    if (dangling !== undefined) throw new ImageError("LAYER_LINK", JSON.stringify(dangling));
    const id = digestOf(image.configBytes);
    await this.#references.update(async (table) => {
      const staged = this.#files.newStagingPath();
      await mkdir(staged, { mode: 0o700 });
      await writeDurably(join(staged, CONFIG_NAME), image.configBytes);
      if (image.manifestBytes !== undefined) {
        await writeDurably(join(staged, MANIFEST_NAME), image.manifestBytes);
      }
      if (image.parent !== undefined) {
        await writeDurably(join(staged, PARENT_NAME), Buffer.from(image.parent));
      }
      await this.#files.publish(staged, this.#configDirectory(id));
      for (const name of image.names) table.set(canonicalName(name), id);
    });
    return this.#read(id, await this.#references.read());
  }

  /** All images, in no particular order. */
  async list(): Promise<StoredImage[]> {
    const references = await this.#references.read();
    const images: StoredImage[] = [];
    for (const id of await this.#ids()) {
      const image = await unlessMissing(this.#read(id, references));
      if (image !== undefined) images.push(image);
    }
    return images;
  }

  /**
   * The image called `name`: a reference, an id, or the beginning of an id.
   * @throws {ImageError} IMAGE_NOT_FOUND, in docker's words
   */
  async get(name: string): Promise<StoredImage> {
    const references = await this.#references.read();
    return this.#read(await this.#resolve(name, references), references);
  }

  /** As {@link get}, but undefined where there is no such image. */
  async find(name: string): Promise<StoredImage | undefined> {
    return unlessMissing(this.get(name));
  }

  /** Gives the image called `source` the name `target` as well. */
  async tag(source: string, target: string): Promise<void> {
    const name = withDefaultTag(parseReference(target));
    if (name.digest !== undefined) {
      throw new ImageError("REFERENCE_INVALID", "refusing to create a tag with a digest reference");
    }
    await this.get(source);
    await this.#references.update(async (table) => {
      table.set(canonicalName(name), await this.#resolve(source, table));
    });
  }

  /**
   * Takes a name away, and with its last name the image and the layers no other image has.
   * @throws {ImageError} IMAGE_NOT_FOUND, or IMAGE_CONFLICT where only force would do
   */
  async remove(name: string, options: RemoveOptions = {}): Promise<Removal> {
    // Before there is a store to lock, there is nothing in it.
    await this.#resolve(name, await this.#references.read());
    const removal = await this.#references.update(async (table) => {
      const id = await this.#resolve(name, table);
      const names = namesOf(id, table);
      const canonical = canonicalOf(name);
      const named = canonical !== undefined && table.get(canonical) === id;
      const tags = names.filter((other) => !other.includes("@"));
      if (named && tags.some((tag) => tag !== canonical)) {
        table.delete(canonical);
        return { untagged: [familiar(canonical)], deleted: [] };
      }
      refuseInUse(id, named ? undefined : tags, name, options);
      for (const other of names) table.delete(other);
      // By force the names go, but not what a container stands on.
      if (options.usersOf?.(id).length) return { untagged: names.map(familiar), deleted: [] };
      await this.#files.withdraw(this.#configDirectory(id));
      return { untagged: names.map(familiar), deleted: [id] };
    });
    if (removal.deleted.length === 0) return removal;
    const layers = await this.#collect();
    return { ...removal, deleted: [...removal.deleted, ...layers] };
  }

  /** Removes layers that no image has; where others are at work they stay for the next time. */
  async #collect(): Promise<Digest[]> {
    let removed: Digest[] = [];
    await this.#files.tryAlone(async () => {
      await this.#files.sweep();
      const used = new Set<Digest>();
      for (const id of await this.#ids()) {
        const image = await unlessMissing(this.#config(id));
        for (const diffId of image?.config.diffIds ?? []) used.add(diffId);
      }
      removed = await this.layers.removeAllBut(used);
    });
    return removed;
  }

  async #resolve(name: string, references: References): Promise<Digest> {
    const canonical = canonicalOf(name);
    const named = canonical === undefined ? undefined : references.get(canonical);
    if (named !== undefined) return named;
    const prefix = name.startsWith("sha256:") ? name.slice("sha256:".length) : name;
    if (/^[0-9a-f]{1,64}$/.test(prefix)) {
      const [id, another] = (await this.#ids()).filter((one) => hexOf(one).startsWith(prefix));
      if (id !== undefined && another === undefined) return id;
    }
    throw notFound(name);
  }

  async #read(id: Digest, references: References): Promise<StoredImage> {
    const { configBytes, config } = await this.#config(id);
    const names = namesOf(id, references).map(familiar);
    let size = 0;
    for (const diffId of config.diffIds) {
      if (!(await this.layers.has(diffId))) throw notFound(names[0] ?? id);
      size += (await this.layers.facts(diffId)).contentBytes;
    }
    return {
      id,
      config,
      configBytes,
      manifestBytes: await optional(readFile(join(this.#configDirectory(id), MANIFEST_NAME))),
      parent: await this.#parent(id),
      tags: names.filter((name) => !name.includes("@")),
      digests: names.filter((name) => name.includes("@")),
      size,
      layerDirectories: config.diffIds.map((diffId) => this.layers.directory(diffId)),
    };
  }

  async #config(id: Digest): Promise<{ configBytes: Uint8Array; config: ImageConfig }> {
    const configBytes = await optional(readFile(join(this.#configDirectory(id), CONFIG_NAME)));
    if (configBytes === undefined) throw notFound(id);
    return { configBytes, config: parseImageConfig(configBytes) };
  }

  async #parent(id: Digest): Promise<Digest | undefined> {
    const bytes = await optional(readFile(join(this.#configDirectory(id), PARENT_NAME), "utf8"));
    return isDigest(bytes) ? bytes : undefined;
  }

  async #ids(): Promise<Digest[]> {
    const names = (await optional(readdir(this.#files.configs))) ?? [];
    return names.map((name) => `sha256:${name}`).filter(isDigest);
  }

  #configDirectory(id: Digest): string {
    return join(this.#files.configs, hexOf(id));
  }
}

/** What could not be read because it is not there is undefined. */
async function optional<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw storeError(error);
  }
}

/** An image that is not there, perhaps because somebody has just removed it, is undefined. */
async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof ImageError && error.code === "IMAGE_NOT_FOUND") return undefined;
    throw error;
  }
}

function canonicalOf(name: string): string | undefined {
  try {
    const reference = withDefaultTag(parseReference(name));
    // A digest says more than a tag beside it.
    const { digest } = reference;
    return canonicalName(digest === undefined ? reference : byDigest(reference, digest));
  } catch {
    return undefined; // perhaps an id
  }
}

function familiar(canonical: string): string {
  return familiarName(parseReference(canonical));
}

function namesOf(id: Digest, references: References): string[] {
  return [...references]
    .filter(([, image]) => image === id)
    .map(([name]) => name)
    .sort();
}

function notFound(name: string): ImageError {
  const untagged = !/[:@]/.test(name.slice(name.lastIndexOf("/") + 1));
  return new ImageError("IMAGE_NOT_FOUND", untagged ? `${name}:latest` : name);
}

/** Docker's reasons not to remove an image. `tags` is given where the image was named by its id. */
function refuseInUse(
  id: Digest,
  tags: readonly string[] | undefined,
  name: string,
  { force = false, usersOf = () => [] }: RemoveOptions,
): void {
  if (force) return;
  const short = hexOf(id).slice(0, 12);
  const repositories = new Set(tags?.map((tag) => tag.slice(0, tag.lastIndexOf(":"))));
  if (repositories.size > 1) {
    throw new ImageError(
      "IMAGE_CONFLICT",
      `unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    );
  }
  const [user] = usersOf(id);
  if (user === undefined) return;
  throw new ImageError(
    "IMAGE_CONFLICT",
    tags === undefined
      ? `unable to remove repository reference ${JSON.stringify(name)} (must force) - ` +
          `container ${user} is using its referenced image ${short}`
      : `unable to delete ${short} (must be forced) - image is being used by container ${user}`,
  );
}
