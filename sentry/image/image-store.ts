import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, hexOf, isDigest } from "./digest.ts";
import { ImageError, storeError } from "./errors.ts";
import { type ImageConfig, parseImageConfig } from "./image-config.ts";
import { LayerClaims } from "./layer-claims.ts";
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
import { type ImageUser, planRemoval, type RemovableImage, type RemovalRecord } from "./removal.ts";
import { isCode, StoreFiles, writeDurably } from "./store-files.ts";

const CONFIG_NAME = "config.json";
const MANIFEST_NAME = "manifest.json";
/** The id of the image that it was made from here. */
const PARENT_NAME = "parent";
/** Its time is when the image got its last name. */
const TAGGED_NAME = "tagged";

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
  /** Also an image that a stopped container has, or one with names in several repositories. */
  readonly force?: boolean;
  /** Leaves parents that nobody needs any more. */
  readonly noPrune?: boolean;
  /** The containers there are; asked for again and again, as others make some meanwhile. */
  readonly users?: () => readonly ImageUser[];
}

export interface Removed {
  /** What docker says about it, in its order. */
  readonly records: readonly RemovalRecord[];
  /** Bytes of the layers that no image has any more. */
  readonly reclaimed: number;
}

/** What never changes about an image in the store. */
interface Facts {
  readonly config: ImageConfig;
  readonly configBytes: Uint8Array;
  readonly manifestBytes: Uint8Array | undefined;
  readonly parent: Digest | undefined;
  readonly size: number;
}

/** The images of one user: configs, layers and names, under `DD_ROOT`. Any number of processes may use it. */
export class ImageStore {
  readonly layers: LayerStore;
  /** Layers that are kept without an image. */
  readonly claims: LayerClaims;
  readonly #files: StoreFiles;
  readonly #references: ReferenceTable;
  /** Of the images that were looked at and are still there. */
  readonly #facts = new Map<Digest, Facts>();

  /** @param root `DD_ROOT`; see {@link defaultRoot}. Nothing is written before something is added. */
  constructor(root: string) {
    this.#files = new StoreFiles(root);
    this.layers = new LayerStore(this.#files);
    this.claims = new LayerClaims(this.#files);
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

  /** Gives on what `source` makes of the store; no layer is removed meanwhile. */
  async *keeping<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, void> {
    await this.#files.prepare();
    const lock = await FileLock.acquire(this.#files.lockPath(), "shared");
    try {
      yield* source;
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
    const { manifestBytes, parent } = image;
    await this.#references.update(async (table) => {
      const staged = this.#files.newStagingPath();
      await mkdir(staged, { mode: 0o700 });
      await writeDurably(join(staged, CONFIG_NAME), image.configBytes);
      if (manifestBytes !== undefined)
        await writeDurably(join(staged, MANIFEST_NAME), manifestBytes);
      if (parent !== undefined) await writeDurably(join(staged, PARENT_NAME), Buffer.from(parent));
      const fresh = await this.#files.publish(staged, this.#configDirectory(id));
      if (!fresh) await this.#complete(id, image);
      for (const name of image.names) table.set(canonicalName(name), id);
      if (image.names.length > 0) await this.#markTagged(id);
    });
    this.#facts.delete(id);
    return this.#read(id, await this.#references.read());
  }

  /** What was not known of an image when it was made first. */
  async #complete(id: Digest, { manifestBytes, parent }: NewImage): Promise<void> {
    const directory = this.#configDirectory(id);
    const pieces: readonly (readonly [string, Uint8Array | undefined])[] = [
      [MANIFEST_NAME, manifestBytes],
      [PARENT_NAME, parent === undefined ? undefined : Buffer.from(parent)],
    ];
    for (const [name, bytes] of pieces) {
      const path = join(directory, name);
      if (bytes === undefined || (await optional(stat(path))) !== undefined) continue;
      await this.#files.replace(path, bytes);
    }
  }

  /** The image has got a name now. */
  async #markTagged(id: Digest): Promise<void> {
    const path = join(this.#configDirectory(id), TAGGED_NAME);
    await writeFile(path, "", { mode: 0o600 });
    const now = new Date();
    await utimes(path, now, now);
  }

  /** When the image got its last name here; undefined for never. */
  async taggedAt(id: Digest): Promise<Date | undefined> {
    return (await optional(stat(join(this.#configDirectory(id), TAGGED_NAME))))?.mtime;
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
    if (familiarName({ domain: name.domain, path: name.path }) === "sha256") {
      throw new ImageError(
        "REFERENCE_INVALID",
        "refusing to create an ambiguous tag using digest algorithm as name",
      );
    }
    await this.get(source);
    await this.#references.update(async (table) => {
      const id = await this.#resolve(source, table);
      table.set(canonicalName(name), id);
      await this.#markTagged(id);
    });
  }

  /** Gives an image the name it has in a registry, by the digest of its manifest there. */
  async addDigest(id: Digest, reference: Reference, digest: Digest): Promise<void> {
    await this.#references.update((table) => {
      table.set(canonicalName(byDigest(reference, digest)), id);
    });
  }

  /**
   * Takes a name away, and with its last name the image and the layers no other image has.
   * @param name a name; or an id, which stands for all names of one repository
   * @throws {ImageError} IMAGE_NOT_FOUND, or IMAGE_CONFLICT in docker's words
   */
  async remove(name: string, options: RemoveOptions = {}): Promise<Removed> {
    const { force = false, noPrune = false, users = () => [] } = options;
    // Before there is a store to lock, there is nothing in it.
    await this.#resolve(name, await this.#references.read());
    const { removal, reclaimed } = await this.#references.update(async (table) => {
      const id = await this.#resolve(name, table);
      const canonical = canonicalOf(name);
      const named = canonical !== undefined && table.get(canonical) === id;
      const images = await this.#removable();
      const known = named ? canonical : undefined;
      const request = { id, name: known, called: name, force, prune: !noPrune };
      const plan = planRemoval(request, table, images, users());
      for (const gone of plan.images) {
        await this.#keep(gone);
        this.#facts.delete(gone);
      }
      return { removal: plan, reclaimed: await this.#reclaimable(images, plan.images) };
    });
    if (removal.images.length > 0) await this.#collect(users);
    return { records: removal.records, reclaimed };
  }

  /**
   * Hides an image. A container may be left of it, or just be made of it: docker leaves such a container its
   * files, too. Who collects sees whether there is one.
   */
  async #keep(id: Digest): Promise<void> {
    await mkdir(this.#files.kept, { recursive: true, mode: 0o700 });
    await this.#files.publish(this.#configDirectory(id), join(this.#files.kept, hexOf(id)));
  }

  async #removable(): Promise<Map<Digest, RemovableImage>> {
    const images = new Map<Digest, RemovableImage>();
    for (const id of await this.#ids()) {
      // Not its layers: an image that has lost one can be removed as well.
      const known = this.#facts.get(id);
      if (known !== undefined) images.set(id, { diffIds: known.config.diffIds, ...known });
      else {
        const configBytes = await optional(readFile(join(this.#configDirectory(id), CONFIG_NAME)));
        if (configBytes === undefined) continue;
        const { diffIds } = parseImageConfig(configBytes);
        images.set(id, { diffIds, parent: await this.#parentOf(id) });
      }
    }
    return images;
  }

  /** Bytes of the layers that only `gone` had. */
  async #reclaimable(
    images: ReadonlyMap<Digest, RemovableImage>,
    gone: readonly Digest[],
  ): Promise<number> {
    const lost = new Set(gone.flatMap((id) => images.get(id)?.diffIds ?? []));
    for (const [id, { diffIds }] of images) {
      if (!gone.includes(id)) for (const diffId of diffIds) lost.delete(diffId);
    }
    let bytes = 0;
    for (const diffId of lost) {
      if (await this.layers.has(diffId)) bytes += (await this.layers.facts(diffId)).contentBytes;
    }
    return bytes;
  }

  /** Removes layers that nobody needs any more, unless somebody is at work in the store. */
  async collect(): Promise<void> {
    await this.#files.prepare();
    await this.#collect(undefined);
  }

  /**
   * Removes layers that no image has and nobody claims; where others are at work they stay for the next time.
   * @param users undefined: not known, and every image that was kept for one is kept
   */
  async #collect(users: (() => readonly ImageUser[]) | undefined): Promise<void> {
    await this.#files.tryAlone(async () => {
      await this.#files.sweep();
      const used = new Set<Digest>();
      for (const { diffIds } of (await this.#removable()).values()) {
        for (const diffId of diffIds) used.add(diffId);
      }
      for (const id of await this.#keptIds()) {
        const path = join(this.#files.kept, hexOf(id));
        if (users?.().every(({ image }) => image !== id)) await this.#files.withdraw(path);
        else {
          const { diffIds } = parseImageConfig(await readFile(join(path, CONFIG_NAME)));
          for (const diffId of diffIds) used.add(diffId);
        }
      }
      for (const { layers } of await this.claims.list())
        for (const layer of layers) used.add(layer);
      await this.layers.removeAllBut(used);
    });
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
    const bad = canonical === undefined && !isDigest(name) ? parseError(name) : undefined;
    throw bad ?? notFound(name);
  }

  async #read(id: Digest, references: References): Promise<StoredImage> {
    const facts = await this.#factsOf(id);
    const names = namesOf(id, references).map(familiar);
    return {
      id,
      ...facts,
      tags: names.filter((name) => !name.includes("@")),
      digests: names.filter((name) => name.includes("@")),
      layerDirectories: facts.config.diffIds.map((diffId) => this.layers.directory(diffId)),
    };
  }

  async #factsOf(id: Digest): Promise<Facts> {
    const directory = this.#configDirectory(id);
    const known = this.#facts.get(id);
    if (known !== undefined && existsSync(directory) && this.layers.hasAll(known.config.diffIds)) {
      return known;
    }
    this.#facts.delete(id);
    const configBytes = await optional(readFile(join(directory, CONFIG_NAME)));
    if (configBytes === undefined) throw notFound(id);
    const config = parseImageConfig(configBytes);
    let size = 0;
    for (const diffId of config.diffIds) {
      if (!(await this.layers.has(diffId))) throw notFound(id);
      size += (await this.layers.facts(diffId)).contentBytes;
    }
    const facts: Facts = {
      config,
      configBytes,
      manifestBytes: await optional(readFile(join(directory, MANIFEST_NAME))),
      parent: await this.#parentOf(id),
      size,
    };
    this.#facts.set(id, facts);
    return facts;
  }

  async #parentOf(id: Digest): Promise<Digest | undefined> {
    const text = await optional(readFile(join(this.#configDirectory(id), PARENT_NAME), "utf8"));
    return isDigest(text) ? text : undefined;
  }

  async #ids(): Promise<Digest[]> {
    return digestsIn(this.#files.configs);
  }

  async #keptIds(): Promise<Digest[]> {
    return digestsIn(this.#files.kept);
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

/** Why a name is none, unless it could be an id. */
function parseError(name: string): unknown {
  try {
    parseReference(name);
    return undefined;
  } catch (error) {
    return /^[0-9a-f]{64}$/.test(name) ? undefined : error;
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

/** The digests that are names in a directory. */
async function digestsIn(directory: string): Promise<Digest[]> {
  const names = (await optional(readdir(directory))) ?? [];
  return names.map((name) => `sha256:${name}`).filter(isDigest);
}
