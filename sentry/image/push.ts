import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { type Digest, digestOf } from "./digest.ts";
import { ImageError } from "./errors.ts";
import type { ImageStore, StoredImage } from "./image-store.ts";
import {
  type Descriptor,
  DOCKER_MANIFEST,
  encodeManifest,
  GZIP_LAYER,
  isForeign,
  type Manifest,
  OCI_INDEX,
  OCI_MANIFEST,
  parseManifest,
} from "./manifest.ts";
import { DEFAULT_TAG, familiarRepository, parseReference, type Reference } from "./reference.ts";
import type { RegistryOptions } from "./registry-client.ts";
import { PushRepository } from "./registry-push.ts";

/** Layers that are sent at the same time. */
const LAYERS_AT_ONCE = 3;
const CHUNK_BYTES = 256 * 1024;

/** What happens during a push; a layer is named by the digest of its archive. */
export type PushEvent =
  | { readonly type: "image"; readonly tag: string; readonly layers: readonly Digest[] }
  | {
      readonly type: "pushing";
      readonly layer: Digest;
      readonly current: number;
      readonly total: number;
    }
  | { readonly type: "pushed" | "exists" | "skipped"; readonly layer: Digest }
  | { readonly type: "mounted"; readonly layer: Digest; readonly from: string }
  | {
      readonly type: "done";
      readonly image: Digest;
      readonly tag: string;
      readonly digest: Digest;
      readonly size: number;
    };

export interface PushOptions extends RegistryOptions {
  /** Pushes every tag of the repository; otherwise one, `latest` where none is given. */
  readonly allTags?: boolean;
  readonly onProgress?: (event: PushEvent) => void;
}

/**
 * Sends an image to its registry. What the registry has already is not sent, and an image that came with a
 * manifest keeps it, wherever its blobs can be had from the registry. Else its layers are compressed anew: their
 * archives are the same to the bit, the blobs and so the manifest are not.
 * @throws {ImageError} REFERENCE_INVALID, IMAGE_NOT_FOUND, REGISTRY_*, STORE_*, ABORTED
 */
export async function push(
  store: ImageStore,
  name: string,
  options: PushOptions = {},
): Promise<void> {
  const reference = parseReference(name);
  if (reference.digest !== undefined) {
    throw new ImageError("REFERENCE_INVALID", "cannot push a digest reference");
  }
  const images = await imagesOf(store, reference, options.allTags === true);
  const stop = new AbortController();
  const signals = options.signal === undefined ? [stop.signal] : [options.signal, stop.signal];
  const stoppable = { ...options, signal: AbortSignal.any(signals) };
  const repository = new PushRepository(reference, stoppable);
  try {
    // Layers are safe from removal as long as an image may be added.
    await store.adding(options.signal, async () => {
      for (const [tag, image] of images) {
        const job = new Push({ store, repository, reference, image, options: stoppable, stop });
        await job.run(tag);
      }
    });
  } finally {
    repository.close();
  }
}

/**
 * Sends one image for several platforms: the images, and an index of them that has the name.
 * @returns the digest of the index
 * @throws {ImageError} as {@link push}
 */
export async function pushIndex(
  store: ImageStore,
  name: string,
  images: readonly StoredImage[],
  options: RegistryOptions = {},
): Promise<Digest> {
  const reference = parseReference(name);
  const stop = new AbortController();
  const signals = options.signal === undefined ? [stop.signal] : [options.signal, stop.signal];
  const stoppable = { ...options, signal: AbortSignal.any(signals) };
  const repository = new PushRepository(reference, stoppable);
  try {
    return await store.adding(options.signal, async () => {
      const manifests: object[] = [];
      for (const image of images) {
        const job = new Push({ store, repository, reference, image, options: stoppable, stop });
        const { bytes, mediaType } = await job.blobs();
        const digest = await repository.putManifest(digestOf(bytes), bytes, mediaType);
        const { os, architecture, variant } = image.config.platform;
        const platform = { architecture, os, ...(variant === undefined ? {} : { variant }) };
        manifests.push({ mediaType, digest, size: bytes.length, platform });
      }
      const document = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
      const bytes = Buffer.from(JSON.stringify(document));
      return repository.putManifest(reference.tag ?? DEFAULT_TAG, bytes, OCI_INDEX);
    });
  } finally {
    repository.close();
  }
}

/** The images to push, by tag. */
async function imagesOf(
  store: ImageStore,
  reference: Reference,
  all: boolean,
): Promise<ReadonlyMap<string, StoredImage>> {
  const repository = familiarRepository(reference);
  const found = new Map<string, StoredImage>();
  if (!all) {
    const tag = reference.tag ?? DEFAULT_TAG;
    const image = await store.find(`${repository}:${tag}`);
    if (image !== undefined) found.set(tag, image);
  } else {
    for (const image of await store.list()) {
      for (const name of image.tags) {
        const { tag } = parseReference(name);
        if (tag !== undefined && name === `${repository}:${tag}`) found.set(tag, image);
      }
    }
  }
  if (found.size > 0) return found;
  throw new ImageError("IMAGE_NOT_LOCAL", repository);
}

interface PushJob {
  readonly store: ImageStore;
  readonly repository: PushRepository;
  readonly reference: Reference;
  readonly image: StoredImage;
  readonly options: PushOptions;
  readonly stop: AbortController;
}

/** One image on its way. */
class Push {
  readonly #job: PushJob;
  readonly #original: Manifest | undefined;
  /** By diffId: an image may have the same layer twice. */
  readonly #sending = new Map<Digest, Promise<Descriptor>>();

  constructor(job: PushJob) {
    this.#job = job;
    const { manifestBytes } = job.image;
    const parsed = manifestBytes && parseManifest(manifestBytes, undefined);
    this.#original = parsed?.kind === "manifest" ? parsed : undefined;
  }

  async run(tag: string): Promise<void> {
    const { image, repository, reference, store, options } = this.#job;
    options.onProgress?.({ type: "image", tag, layers: image.config.diffIds });
    const { bytes, mediaType } = await this.blobs();
    const digest = await repository.putManifest(tag, bytes, mediaType);
    await store.addDigest(image.id, reference, digest);
    options.onProgress?.({ type: "done", image: image.id, tag, digest, size: bytes.length });
  }

  /** Sends everything but the manifest, which is returned. */
  async blobs(): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }> {
    const { image, repository } = this.#job;
    const layers = await this.#sendAll(image.config.diffIds);
    const config = { digest: image.id, size: image.configBytes.length };
    if (!(await repository.hasBlob(image.id))) await repository.uploadBytes(image.configBytes);
    return this.#manifest(config, layers);
  }

  /** The image's own manifest where it is true, else a new one. */
  #manifest(
    config: Omit<Descriptor, "mediaType">,
    layers: readonly Descriptor[],
  ): { readonly bytes: Uint8Array; readonly mediaType: string } {
    const { manifestBytes } = this.#job.image;
    const original = this.#original;
    const family =
      original?.config.mediaType.startsWith("application/vnd.oci.") === true
        ? OCI_MANIFEST
        : DOCKER_MANIFEST;
    const same =
      original?.config.digest === config.digest &&
      layers.every(({ digest }, i) => digest === original.layers[i]?.digest);
    return same && manifestBytes !== undefined
      ? { bytes: manifestBytes, mediaType: family }
      : encodeManifest(config, layers, family);
  }

  /** Sends what is missing, several at a time; the first failure stops all. */
  async #sendAll(diffIds: readonly Digest[]): Promise<Descriptor[]> {
    const queue = [...diffIds.entries()];
    const sent: Descriptor[] = [];
    const failures: unknown[] = [];
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [i, diffId] = next;
        const sending = this.#sending.get(diffId) ?? this.#send(diffId, this.#original?.layers[i]);
        this.#sending.set(diffId, sending);
        sent[i] = await sending;
      }
    };
    const workers = Array.from({ length: LAYERS_AT_ONCE }, () =>
      worker().catch((error: unknown) => {
        failures.push(error);
        queue.length = 0;
        this.#job.stop.abort();
      }),
    );
    await Promise.all(workers);
    if (failures.length > 0) throw failures[0];
    return sent;
  }

  /** Makes sure that the repository has a layer, in one of its known forms if possible. */
  async #send(diffId: Digest, original: Descriptor | undefined): Promise<Descriptor> {
    const { store, repository, reference, options } = this.#job;
    const { domain, path } = reference;
    const here = `${domain}/${path}`;
    const known = await store.layers.knownBlobs(diffId);
    const forms = new Map<Digest, Descriptor>();
    for (const form of original === undefined ? known : [original, ...known]) {
      if (!forms.has(form.digest)) forms.set(form.digest, form);
    }
    if (original !== undefined && isForeign(original)) {
      options.onProgress?.({ type: "skipped", layer: diffId });
      return original;
    }
    for (const form of forms.values()) {
      if (!(await repository.hasBlob(form.digest))) continue;
      options.onProgress?.({ type: "exists", layer: diffId });
      return form;
    }
    for (const { digest, repositories } of known) {
      for (const each of repositories) {
        if (each === here || !each.startsWith(`${domain}/`)) continue;
        const from = each.slice(domain.length + 1);
        if (!(await repository.mount(digest, from))) continue;
        const form = forms.get(digest);
        if (form === undefined) continue;
        await store.layers.rememberBlob(diffId, form, here);
        options.onProgress?.({ type: "mounted", layer: diffId, from });
        return form;
      }
    }
    const blob = await this.#upload(diffId);
    await store.layers.rememberBlob(diffId, blob, here);
    options.onProgress?.({ type: "pushed", layer: diffId });
    return blob;
  }

  async #upload(diffId: Digest): Promise<Descriptor> {
    const { store, repository, options } = this.#job;
    const total = (await store.layers.facts(diffId)).unpackedSize;
    const open = (): AsyncIterable<Uint8Array> => {
      let current = 0;
      async function* counted(): AsyncGenerator<Uint8Array, void, void> {
        for await (const bytes of store.layers.archive(diffId)) {
          current += bytes.length;
          options.onProgress?.({ type: "pushing", layer: diffId, current, total });
          yield bytes;
        }
      }
      return compress(counted());
    };
    return { mediaType: GZIP_LAYER, ...(await repository.uploadStream(open)) };
  }
}

/** gzip, always the same for the same bytes with the same zlib: no name and no time is in its header. */
async function* compress(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const gzip = createGzip({ chunkSize: CHUNK_BYTES });
  const feed = Readable.from(source, { objectMode: false });
  feed.on("error", (error) => gzip.destroy(error));
  feed.pipe(gzip);
  try {
    for await (const bytes of gzip) yield bytes;
  } finally {
    feed.destroy();
  }
}
