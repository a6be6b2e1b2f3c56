import type { Digest } from "./digest.ts";
import { ImageError, type ImageErrorCode } from "./errors.ts";
import { parseImageConfig } from "./image-config.ts";
import type { ImageStore, StoredImage } from "./image-store.ts";
import { choose, type Descriptor, type Manifest, parseManifest } from "./manifest.ts";
import { hostPlatform, matches, type Platform, platformName } from "./platform.ts";
import {
  byDigest,
  DEFAULT_TAG,
  parseReference,
  type Reference,
  withDefaultTag,
} from "./reference.ts";
import { type FetchedManifest, Repository } from "./registry.ts";
import type { RegistryOptions } from "./registry-client.ts";
import { readRegistrySettings } from "./registry-settings.ts";

/** Layers that are fetched at the same time. */
const LAYERS_AT_ONCE = 3;

/** What happens during a pull; a layer is named by its digest in the manifest. */
export type PullEvent =
  | {
      readonly type: "resolved";
      /** The tag or digest that was asked for. */
      readonly reference: string;
      readonly digest: Digest;
      readonly layers: readonly Descriptor[];
      /** The image is there already: nothing more will be told. */
      readonly known: boolean;
    }
  | {
      readonly type: "downloading";
      readonly layer: Digest;
      readonly current: number;
      readonly total: number;
    }
  | { readonly type: "exists"; readonly layer: Digest }
  | { readonly type: "complete"; readonly layer: Digest };

export interface PullOptions extends RegistryOptions {
  /** Which of a multi-platform image's images: default the host's. */
  readonly platform?: Platform;
  readonly onProgress?: (event: PullEvent) => void;
}

export interface Pulled {
  readonly image: StoredImage;
  /** Of what the reference named: the manifest, or the index that it was chosen from. */
  readonly digest: Digest;
  /** Whether the image was not in the store before, or the name meant another. */
  readonly newer: boolean;
}

const HUB = "docker.io";
/** Why a mirror does not have an image; anything else would go wrong with the registry itself, too. */
const MIRROR_LACKS: ReadonlySet<ImageErrorCode> = new Set([
  "REGISTRY_UNREACHABLE",
  "REGISTRY_STALLED",
  "REGISTRY_UNTRUSTED",
  "REGISTRY_NOT_FOUND",
  "REGISTRY_DENIED",
  "REGISTRY_UNAUTHORIZED",
  "REGISTRY_PROTOCOL",
]);

/**
 * Fetches an image from its registry, or from one of its mirrors, unless the store has it already. Everything is
 * verified before it is used, and the image is visible only when it is complete.
 * @throws {ImageError} REFERENCE_INVALID, REGISTRY_*, *_MISMATCH, MANIFEST_INVALID, CONFIG_INVALID,
 *   PLATFORM_UNAVAILABLE, LAYER_*, STORE_*, ABORTED
 */
export async function pull(
  store: ImageStore,
  name: string,
  options: PullOptions = {},
): Promise<Pulled> {
  const reference = withDefaultTag(parseReference(name));
  return fromSomewhere(reference, options, (repository, stoppable) =>
    store.adding(options.signal, () => fetch(store, repository, reference, stoppable)),
  );
}

/**
 * Fetches all tags of a repository.
 * @returns what was fetched, by tag
 * @throws as {@link pull}; what was fetched before stays
 */
export async function pullAll(
  store: ImageStore,
  name: string,
  options: PullOptions = {},
): Promise<ReadonlyMap<string, Pulled>> {
  const { domain, path, tag, digest } = parseReference(name);
  if (tag !== undefined || digest !== undefined) {
    throw new ImageError("REFERENCE_INVALID", "tag can't be used with --all-tags/-a");
  }
  const tags = await fromSomewhere({ domain, path }, options, (repository) => repository.tags());
  if (tags.length === 0) throw new ImageError("REGISTRY_NOT_FOUND", `${domain}/${path} has no tag`);
  const pulled = new Map<string, Pulled>();
  for (const each of tags)
    pulled.set(each, await pull(store, `${domain}/${path}:${each}`, options));
  return pulled;
}

/** Does `work` with the first of a registry's mirrors that can, else with the registry itself. */
export async function fromSomewhere<T>(
  reference: Reference,
  options: PullOptions,
  work: (repository: Repository, options: StoppableOptions) => Promise<T>,
): Promise<T> {
  const settings = options.settings ?? readRegistrySettings();
  const mirrors = reference.domain === HUB ? settings.mirrors.map((url) => new URL(url)) : [];
  for (const place of [...mirrors, undefined]) {
    // One layer that fails stops the others.
    const stop = new AbortController();
    const signals = options.signal === undefined ? [stop.signal] : [options.signal, stop.signal];
    const stoppable = { ...options, settings, signal: AbortSignal.any(signals), stop };
    const repository = new Repository(reference, stoppable, place);
    try {
      return await work(repository, stoppable);
    } catch (error) {
      const lacks = error instanceof ImageError && MIRROR_LACKS.has(error.code);
      if (place === undefined || !lacks) throw error;
    } finally {
      repository.close();
    }
  }
  throw new Error("The registry itself comes last");
}

export interface StoppableOptions extends PullOptions {
  readonly stop: AbortController;
}

async function fetch(
  store: ImageStore,
  repository: Repository,
  reference: Reference,
  options: StoppableOptions,
): Promise<Pulled> {
  const wanted = reference.digest ?? reference.tag ?? DEFAULT_TAG;
  const top = await repository.manifest(wanted);
  const { fetched, manifest } = await chosen(repository, top, options.platform ?? hostPlatform());
  const configBytes = await repository.blob(manifest.config);
  const { platform, diffIds } = parseImageConfig(configBytes);
  if (diffIds.length !== manifest.layers.length) {
    throw new ImageError("CONFIG_INVALID", "it has another number of layers than the manifest");
  }
  const asked = options.platform;
  if (platform.os !== "linux" || (asked !== undefined && !matches(asked, platform))) {
    throw new ImageError(
      "PLATFORM_UNAVAILABLE",
      `image was found but its platform (${platformName(platform)}) does not match the ` +
        `specified platform (${platformName(asked ?? hostPlatform())})`,
    );
  }
  const known = (await store.find(manifest.config.digest)) !== undefined;
  const { layers } = manifest;
  options.onProgress?.({ type: "resolved", reference: wanted, digest: top.digest, layers, known });
  await fetchLayers(store, repository, manifest, diffIds, options);

  const before = await store.find(name(reference));
  const digestName = byDigest(reference, top.digest);
  const image = await store.commit({
    configBytes,
    manifestBytes: fetched.bytes,
    names: reference.digest === undefined ? [reference, digestName] : [digestName],
  });
  return { image, digest: top.digest, newer: before?.id !== image.id };
}

function name({ domain, path, tag, digest }: Reference): string {
  return digest === undefined ? `${domain}/${path}:${tag}` : `${domain}/${path}@${digest}`;
}

async function chosen(
  repository: Repository,
  top: FetchedManifest,
  platform: Platform,
): Promise<{ fetched: FetchedManifest; manifest: Manifest }> {
  const parsed = parseManifest(top.bytes, top.contentType);
  if (parsed.kind === "manifest") return { fetched: top, manifest: parsed };
  const fetched = await repository.manifest(choose(parsed, platform));
  const manifest = parseManifest(fetched.bytes, fetched.contentType);
  if (manifest.kind === "manifest") return { fetched, manifest };
  throw new ImageError("MANIFEST_INVALID", "a list of images in a list of images");
}

/** Fetches what is missing, several at a time; the first failure stops all. */
async function fetchLayers(
  store: ImageStore,
  repository: Repository,
  manifest: Manifest,
  diffIds: readonly Digest[],
  { onProgress, signal, stop }: StoppableOptions,
): Promise<void> {
  const queue = manifest.layers.map((layer, i) => ({ layer, diffId: diffIds[i] }));
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { layer, diffId } = next;
      if (diffId !== undefined) await fetchLayer(layer, diffId);
    }
  };
  const fetchLayer = async (layer: Descriptor, diffId: Digest): Promise<void> => {
    let current = 0;
    const fresh = await store.layers.ensure(diffId, {
      open: () => repository.stream(layer),
      expected: { digest: layer.digest, size: layer.size },
      onBytes: (bytes) => {
        current += bytes;
        onProgress?.({ type: "downloading", layer: layer.digest, current, total: layer.size });
      },
      ...(signal === undefined ? {} : { signal }),
    });
    // Only what was seen to unpack to the layer is remembered as one of its forms.
    const known = fresh || (await store.layers.knownBlobs(diffId)).some(isThis(layer));
    if (known) await store.layers.rememberBlob(diffId, layer, repository.name);
    onProgress?.({ type: fresh ? "complete" : "exists", layer: layer.digest });
  };
  const workers = Array.from({ length: LAYERS_AT_ONCE }, () =>
    worker().catch((error: unknown) => {
      failures.push(error);
      queue.length = 0;
      stop.abort();
    }),
  );
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];
}

function isThis(layer: Descriptor): (other: Descriptor) => boolean {
  return ({ digest }) => digest === layer.digest;
}
