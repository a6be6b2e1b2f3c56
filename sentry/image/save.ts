import { chainIds } from "./chain-id.ts";
import { type Digest, digestOf, hexOf } from "./digest.ts";
import { ImageError } from "./errors.ts";
import type { ImageStore, StoredImage } from "./image-store.ts";
import { matches, type Platform, platformName } from "./platform.ts";
import {
  canonicalName,
  familiarName,
  parseReference,
  type Reference,
  withDefaultTag,
} from "./reference.ts";
import type { TarEntry } from "./tar-reader.ts";
import { type TarMember, writeTar } from "./tar-writer.ts";

export interface SaveOptions {
  /** The images must be for it. */
  readonly platform?: Platform;
  /** Told of each layer's bytes as they are read. */
  readonly onBytes?: (bytes: number) => void;
}

/** An image in an archive, with the names that were asked for. */
interface Saved {
  readonly image: StoredImage;
  readonly names: readonly Reference[];
}

const OCI = "application/vnd.oci.image";
const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;

/**
 * The images called `names` as one archive that `docker load` and OCI tools read: an OCI layout with docker's
 * `manifest.json` and `repositories`, layers unpacked. A name without a tag stands for all tags of its
 * repository. Everything is looked up before the first byte comes.
 * @throws {ImageError} IMAGE_NOT_FOUND, PLATFORM_UNAVAILABLE, STORE_*
 */
export async function save(
  store: ImageStore,
  names: readonly string[],
  options: SaveOptions = {},
): Promise<AsyncIterable<Uint8Array>> {
  const saved = await lookUp(store, names);
  const { platform } = options;
  for (const { image } of saved) requirePlatform(image, platform);
  return store.keeping(writeTar(members(store, saved, options)));
}

/**
 * Checks that an image is for the platform asked for, if one is.
 * @throws {ImageError} PLATFORM_UNAVAILABLE
 */
export function requirePlatform(image: StoredImage, wanted: Platform | undefined): void {
  if (wanted === undefined || matches(wanted, image.config.platform)) return;
  throw new ImageError(
    "PLATFORM_UNAVAILABLE",
    `image with reference ${image.tags[0] ?? image.id} was found but its platform ` +
      `(${platformName(image.config.platform)}) does not match the specified platform ` +
      `(${platformName(wanted)})`,
  );
}

async function lookUp(store: ImageStore, names: readonly string[]): Promise<Saved[]> {
  const found = new Map<Digest, { image: StoredImage; names: Reference[] }>();
  const add = (image: StoredImage, name?: Reference): void => {
    const known = found.get(image.id) ?? { image, names: [] };
    found.set(image.id, known);
    const fresh = (each: Reference): boolean =>
      name !== undefined && canonicalName(each) !== canonicalName(name);
    if (name !== undefined && known.names.every(fresh)) known.names.push(name);
  };
  for (const name of names) {
    const repository = repositoryOf(name);
    const tagged = repository === undefined ? [] : await tagsOf(store, repository);
    if (tagged.length > 0) for (const { image, reference } of tagged) add(image, reference);
    else {
      const image = await store.get(name);
      const reference = image.tags.map(parseReference).find((tag) => isNamed(tag, name));
      add(image, reference);
    }
  }
  return [...found.values()];
}

/** The repository that a name without a tag and a digest means. */
function repositoryOf(name: string): Reference | undefined {
  try {
    const reference = parseReference(name);
    return reference.tag === undefined && reference.digest === undefined ? reference : undefined;
  } catch {
    return undefined; // an id
  }
}

async function tagsOf(
  store: ImageStore,
  { domain, path }: Reference,
): Promise<{ image: StoredImage; reference: Reference }[]> {
  const all = (await store.list()).flatMap((image) =>
    image.tags.map((tag) => ({ image, reference: parseReference(tag) })),
  );
  return all.filter(({ reference }) => reference.domain === domain && reference.path === path);
}

function isNamed(tag: Reference, name: string): boolean {
  try {
    return canonicalName(tag) === canonicalName(parseReference(name));
  } catch {
    return false; // an id
  }
}

async function* members(
  store: ImageStore,
  saved: readonly Saved[],
  { onBytes }: SaveOptions,
): AsyncGenerator<TarMember, void, void> {
  yield directory("blobs");
  yield directory("blobs/sha256");
  const written = new Set<Digest>();
  const descriptors: object[] = [];
  for (const { image, names } of saved) {
    const manifest = yield* imageBlobs(store, image, written, onBytes);
    descriptors.push(...describeManifest(image, manifest, names));
  }
  const index = {
    schemaVersion: 2,
    mediaType: `${OCI}.index.v1+json`,
    manifests: descriptors,
  };
  yield small("index.json", json(index), 0n);
  yield small("manifest.json", json(saved.map(dockerManifest)), 0n);
  yield small("oci-layout", json({ imageLayoutVersion: "1.0.0" }), 0n);
  const repositories = repositoriesOf(saved);
  if (Object.keys(repositories).length > 0) {
    yield small("repositories", json(repositories), 0n);
  }
}

/** The blobs of an image that are not there yet. @returns its manifest */
async function* imageBlobs(
  store: ImageStore,
  image: StoredImage,
  written: Set<Digest>,
  onBytes: SaveOptions["onBytes"],
): AsyncGenerator<TarMember, Uint8Array, void> {
  const mtime = timeOf(image);
  const layers: object[] = [];
  for (const diffId of image.config.diffIds) {
    const { unpackedSize: size } = await store.layers.facts(diffId);
    layers.push({ mediaType: `${OCI}.layer.v1.tar`, digest: diffId, size });
    if (written.has(diffId)) continue;
    written.add(diffId);
    const content = counted(store.layers.archive(diffId), onBytes);
    yield { entry: file(blobName(diffId), size, mtime), content };
  }
  const config = { mediaType: `${OCI}.config.v1+json`, ...described(image.configBytes) };
  const manifest = json({
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config,
    layers,
  });
  for (const bytes of [image.configBytes, manifest]) {
    const digest = digestOf(bytes);
    if (written.has(digest)) continue;
    written.add(digest);
    yield small(blobName(digest), bytes, mtime);
  }
  return manifest;
}

/**
 * One image for several platforms as an OCI layout: an index that names the images, which nothing else has names for.
 * @param names for all of it
 */
export function saveIndex(
  store: ImageStore,
  images: readonly StoredImage[],
  names: readonly string[],
): AsyncIterable<Uint8Array> {
  const references = names.map((name) => withDefaultTag(parseReference(name)));
  return store.keeping(writeTar(indexMembers(store, images, references)));
}

async function* indexMembers(
  store: ImageStore,
  images: readonly StoredImage[],
  names: readonly Reference[],
): AsyncGenerator<TarMember, void, void> {
  yield directory("blobs");
  yield directory("blobs/sha256");
  const written = new Set<Digest>();
  const manifests: object[] = [];
  for (const image of images) {
    const manifest = yield* imageBlobs(store, image, written, undefined);
    manifests.push(...describeManifest(image, manifest, []));
  }
  const mediaType = `${OCI}.index.v1+json`;
  const index = json({ schemaVersion: 2, mediaType, manifests });
  yield small(blobName(digestOf(index)), index, 0n);
  const all = named({ mediaType, ...described(index) }, names);
  yield small("index.json", json({ schemaVersion: 2, mediaType, manifests: all }), 0n);
  yield small("oci-layout", json({ imageLayoutVersion: "1.0.0" }), 0n);
}

/** An image is in the index once for each name, as docker has it. */
function describeManifest(
  { config }: StoredImage,
  manifest: Uint8Array,
  names: readonly Reference[],
): object[] {
  const { architecture, os, variant } = config.platform;
  const descriptor = {
    mediaType: `${OCI}.manifest.v1+json`,
    ...described(manifest),
    platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
  };
  return named(descriptor, names);
}

function named(descriptor: object, names: readonly Reference[]): object[] {
  if (names.length === 0) return [descriptor];
  return names.map((name) => ({
    ...descriptor,
    annotations: {
      "io.containerd.image.name": canonicalName(name),
      "org.opencontainers.image.ref.name": name.tag,
    },
  }));
}

function dockerManifest({ image, names }: Saved): object {
  return {
    Config: blobName(image.id),
    RepoTags: names.length === 0 ? null : names.map(familiarName),
    Layers: image.config.diffIds.map(blobName),
  };
}

/** What docker wrote before it had anything else: tags by repository, and the stack of layers they mean. */
function repositoriesOf(saved: readonly Saved[]): Record<string, Record<string, string>> {
  const repositories: Record<string, Record<string, string>> = {};
  for (const { image, names } of saved) {
    const top = chainIds(image.config.diffIds).at(-1);
    for (const name of names) {
      if (top === undefined || name.tag === undefined) continue;
      const repository = familiarName(name).slice(0, -name.tag.length - 1);
      repositories[repository] = { ...repositories[repository], [name.tag]: hexOf(top) };
    }
  }
  return repositories;
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

function described(bytes: Uint8Array): { readonly digest: Digest; readonly size: number } {
  return { digest: digestOf(bytes), size: bytes.length };
}

function json(document: object): Uint8Array {
  return Buffer.from(JSON.stringify(document));
}

/** When an image was made, in nanoseconds, cut to seconds. */
function timeOf({ config }: StoredImage): bigint {
  const time = config.created === undefined ? 0 : Date.parse(config.created);
  return time > 0 ? BigInt(Math.trunc(time / 1000)) * 1_000_000_000n : 0n;
}

function small(path: string, bytes: Uint8Array, mtime: bigint): TarMember {
  return { entry: file(path, bytes.length, mtime), content: [bytes] };
}

function file(path: string, size: number, mtime: bigint): TarEntry {
  return { ...PLAIN, path, type: "file", mode: FILE_MODE, size, mtime };
}

function directory(path: string): TarMember {
  return { entry: { ...PLAIN, path, type: "directory", mode: DIRECTORY_MODE, mtime: 0n } };
}

const PLAIN = { uid: 0, gid: 0, size: 0, link: "", major: 0, minor: 0, xattrs: new Map() } as const;

async function* counted(
  source: AsyncIterable<Uint8Array>,
  onBytes: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const bytes of source) {
    onBytes?.(bytes.length);
    yield bytes;
  }
}
