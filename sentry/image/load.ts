import { ArchiveFiles } from "./archive-files.ts";
import { readArchive } from "./archive-source.ts";
import { digestOf, hexOf } from "./digest.ts";
import { ImageError } from "./errors.ts";
import { parseImageConfig } from "./image-config.ts";
import type { ImageStore, StoredImage } from "./image-store.ts";
import { JsonReader } from "./json.ts";
import { INDEX_MANIFESTS_MAX, LAYERS_MAX } from "./limits.ts";
import { choose, type Descriptor, parseManifest } from "./manifest.ts";
import { hostPlatform, matches, type Platform } from "./platform.ts";
import { parseReference, type Reference, withDefaultTag } from "./reference.ts";

export interface LoadOptions {
  /** Which of a multi-platform image's images: default the host's. */
  readonly platform?: Platform;
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface Loaded {
  readonly image: StoredImage;
  /** The names that the archive gave it; without any, only its id names it. */
  readonly names: readonly Reference[];
}

const DOCKER_MANIFEST = "manifest.json";
const OCI_INDEX = "index.json";
/** Whole names; `org.opencontainers.image.ref.name` is one too, but often only a tag. */
const NAME_ANNOTATIONS = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

const json = new JsonReader("ARCHIVE_INVALID");

/**
 * Adds the images of an archive, as `docker save` (docker-archive) or OCI tools (an OCI layout)
 * write it; tar, perhaps compressed.
 * @throws {ImageError} ARCHIVE_INVALID where it is neither, and whatever is wrong with its images
 */
export async function load(
  store: ImageStore,
  archive: AsyncIterable<Uint8Array>,
  options: LoadOptions = {},
): Promise<Loaded[]> {
  const source = readArchive(archive, options.signal);
  return store.adding(options.signal, () =>
    store.inStaging(async (directory) => {
      const files = await ArchiveFiles.read(source, directory, options.onBytes);
      if (files.has(DOCKER_MANIFEST)) return loadDockerArchive(store, files, options);
      if (files.has(OCI_INDEX)) return loadLayout(store, files, options);
      throw new ImageError("ARCHIVE_INVALID", `it has neither ${DOCKER_MANIFEST} nor ${OCI_INDEX}`);
    }),
  );
}

async function loadDockerArchive(
  store: ImageStore,
  files: ArchiveFiles,
  { signal }: LoadOptions,
): Promise<Loaded[]> {
  const loaded: Loaded[] = [];
  for (const value of await readList(files)) {
    const item = json.object(value, "an image");
    const layers = json.strings(item["Layers"], "Layers", LAYERS_MAX);
    const tags = json.optionalStrings(item["RepoTags"], "RepoTags", INDEX_MANIFESTS_MAX) ?? [];
    const configBytes = await files.bytes(json.string(item["Config"], "Config"));
    const names = tags.map((tag) => withDefaultTag(parseReference(tag)));
    const sources = layers.map((name) => ({ name, expected: {} }));
    const image = await add(store, files, { configBytes, names, layers: sources }, signal);
    loaded.push({ image, names });
  }
  return loaded;
}

async function readList(files: ArchiveFiles): Promise<readonly unknown[]> {
  // The document is a list, and our reader wants an object.
  const text = Buffer.from(await files.bytes(DOCKER_MANIFEST)).toString("utf8");
  const document = json.parse(Buffer.from(`{"images":${text}\n}`));
  return json.array(document["images"], DOCKER_MANIFEST, INDEX_MANIFESTS_MAX);
}

async function loadLayout(
  store: ImageStore,
  files: ArchiveFiles,
  options: LoadOptions,
): Promise<Loaded[]> {
  const bytes = await files.bytes(OCI_INDEX);
  const index = parseManifest(bytes, undefined);
  if (index.kind !== "index") throw json.error(`${OCI_INDEX} is not a list of images`);
  const names = namesInIndex(bytes);
  const platform = options.platform ?? hostPlatform();
  const loaded: Loaded[] = [];
  for (const [i, descriptor] of index.manifests.entries()) {
    const other = descriptor.platform !== undefined && !matches(platform, descriptor.platform);
    if (other && index.manifests.length > 1) continue;
    loaded.push(await loadManifest(store, files, descriptor, names[i] ?? [], options));
  }
  // Nothing for this platform: say so in the usual words.
  if (loaded.length === 0) choose(index, platform);
  return loaded;
}

function namesInIndex(bytes: Uint8Array): readonly (readonly Reference[])[] {
  const manifests = json.array(json.parse(bytes)["manifests"], "manifests", INDEX_MANIFESTS_MAX);
  return manifests.map((value) => {
    const annotations = json.optionalObject(
      json.object(value, "a manifest")["annotations"],
      "annotations",
    );
    for (const key of NAME_ANNOTATIONS) {
      const name = annotations[key];
      if (typeof name !== "string" || !/[:/]/.test(name)) continue;
      return [withDefaultTag(parseReference(name))];
    }
    return [];
  });
}

async function loadManifest(
  store: ImageStore,
  files: ArchiveFiles,
  descriptor: Descriptor,
  names: readonly Reference[],
  options: LoadOptions,
): Promise<Loaded> {
  const manifestBytes = await blob(files, descriptor);
  const manifest = parseManifest(manifestBytes, descriptor.mediaType);
  if (manifest.kind === "index") {
    const inner = choose(manifest, options.platform ?? hostPlatform());
    if (parseManifest(await blob(files, inner), inner.mediaType).kind === "index") {
      throw new ImageError("MANIFEST_INVALID", "a list of images in a list of images");
    }
    return loadManifest(store, files, inner, names, options);
  }
  const configBytes = await blob(files, manifest.config);
  const layers = manifest.layers.map((layer) => ({
    name: blobName(layer),
    expected: { digest: layer.digest, size: layer.size },
  }));
  const image = await add(
    store,
    files,
    { configBytes, manifestBytes, names, layers },
    options.signal,
  );
  return { image, names };
}

function blobName(descriptor: Descriptor): string {
  return `blobs/sha256/${hexOf(descriptor.digest)}`;
}

async function blob(files: ArchiveFiles, descriptor: Descriptor): Promise<Uint8Array> {
  const bytes = await files.bytes(blobName(descriptor));
  if (bytes.length !== descriptor.size) {
    throw new ImageError("SIZE_MISMATCH", `${bytes.length} bytes instead of ${descriptor.size}`);
  }
  const digest = digestOf(bytes);
  if (digest === descriptor.digest) return bytes;
  throw new ImageError("DIGEST_MISMATCH", `${digest} instead of ${descriptor.digest}`);
}

interface ArchivedImage {
  readonly configBytes: Uint8Array;
  readonly manifestBytes?: Uint8Array;
  readonly names: readonly Reference[];
  readonly layers: readonly {
    readonly name: string;
    readonly expected: Partial<Pick<Descriptor, "digest" | "size">>;
  }[];
}

async function add(
  store: ImageStore,
  files: ArchiveFiles,
  { configBytes, manifestBytes, names, layers }: ArchivedImage,
  signal: AbortSignal | undefined,
): Promise<StoredImage> {
  const { diffIds } = parseImageConfig(configBytes);
  if (diffIds.length !== layers.length) {
    throw new ImageError("CONFIG_INVALID", "it has another number of layers than the manifest");
  }
  for (const [i, { name, expected }] of layers.entries()) {
    const diffId = diffIds[i];
    if (diffId === undefined) continue;
    await store.layers.ensure(diffId, {
      open: () => files.stream(name),
      expected,
      ...(signal === undefined ? {} : { signal }),
    });
  }
  return store.commit({
    configBytes,
    names,
    ...(manifestBytes === undefined ? {} : { manifestBytes }),
  });
}
