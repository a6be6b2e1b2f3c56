import { type Digest, parseDigest } from "./digest.ts";
import { ImageError } from "./errors.ts";
import { type JsonObject, JsonReader } from "./json.ts";
import { INDEX_MANIFESTS_MAX, JSON_BYTES_MAX, LAYER_BYTES_MAX, LAYERS_MAX } from "./limits.ts";
import { matches, normalise, type Platform, platformName } from "./platform.ts";

/** Some content that a manifest promises. Its `urls`, if any, are not looked at. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

export interface Manifest {
  readonly kind: "manifest";
  readonly config: Descriptor;
  /** Bottom to top. */
  readonly layers: readonly Descriptor[];
}

export interface ManifestIndex {
  readonly kind: "index";
  readonly manifests: readonly (Descriptor & { readonly platform?: Platform })[];
}

const OCI = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker";

export const OCI_INDEX = `${OCI}.index.v1+json`;
export const OCI_MANIFEST = `${OCI}.manifest.v1+json`;
export const DOCKER_MANIFEST = `${DOCKER}.distribution.manifest.v2+json`;

const MANIFEST_TYPES: ReadonlyMap<string, "manifest" | "index"> = new Map([
  [OCI_MANIFEST, "manifest"],
  [DOCKER_MANIFEST, "manifest"],
  [`${OCI}.index.v1+json`, "index"],
  [`${DOCKER}.distribution.manifest.list.v2+json`, "index"],
]);

/** What the parts of a manifest are called in its own family of types. */
const PART_TYPES = {
  [OCI_MANIFEST]: { config: `${OCI}.config.v1+json`, layer: `${OCI}.layer.v1.tar+gzip` },
  [DOCKER_MANIFEST]: {
    config: `${DOCKER}.container.image.v1+json`,
    layer: `${DOCKER}.image.rootfs.diff.tar.gzip`,
  },
};

/** The type of a gzipped layer in docker's manifests. */
export const GZIP_LAYER: string = PART_TYPES[DOCKER_MANIFEST].layer;

/** Whether a layer's type says that it is to be had from elsewhere only. */
export function isForeign({ mediaType }: Descriptor): boolean {
  return /\.(foreign\.diff|nondistributable)\./.test(mediaType);
}

/** The bytes of a manifest for an image of `config` and `layers`, and what it is to be called. */
export function encodeManifest(
  config: Omit<Descriptor, "mediaType">,
  layers: readonly Descriptor[],
  family: typeof OCI_MANIFEST | typeof DOCKER_MANIFEST,
): { readonly bytes: Uint8Array; readonly mediaType: string } {
  // Docker's own family has no name for what is not gzipped.
  const oci = family === OCI_MANIFEST || !layers.every(({ mediaType }) => isGzip(mediaType));
  const mediaType = oci ? OCI_MANIFEST : DOCKER_MANIFEST;
  const types = PART_TYPES[mediaType];
  const document = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: types.config, size: config.size, digest: config.digest },
    layers: layers.map(({ mediaType: type, size, digest }) => {
      return { mediaType: isGzip(type) ? types.layer : type, size, digest };
    }),
  };
  return { bytes: Buffer.from(JSON.stringify(document, undefined, 3)), mediaType };
}

function isGzip(mediaType: string): boolean {
  return mediaType === PART_TYPES[OCI_MANIFEST].layer || mediaType === GZIP_LAYER;
}

/** For the header `Accept`. */
export const ACCEPTED_MANIFESTS: string = [...MANIFEST_TYPES.keys()].join(", ");

const CONFIG_TYPES = new Set([`${OCI}.config.v1+json`, `${DOCKER}.container.image.v1+json`]);

const LAYER_TYPE = new RegExp(
  "^application/vnd\\.(?:" +
    "oci\\.image\\.layer\\.(?:nondistributable\\.)?v1\\.tar(?:\\+gzip|\\+zstd)?|" +
    "docker\\.image\\.rootfs\\.(?:foreign\\.)?diff\\.tar(?:\\.gzip|\\.zstd)?)$",
);

const json = new JsonReader("MANIFEST_INVALID");

/**
 * Reads a manifest or an index.
 * @param contentType what its sender called it; undefined where nobody did
 * @throws {ImageError} MANIFEST_INVALID, also where it can be read as two kinds of thing
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
): Manifest | ManifestIndex {
  const document = json.parse(bytes);
  if (document["schemaVersion"] !== 2) {
    throw json.error(`schema version ${JSON.stringify(document["schemaVersion"])}`);
  }
  const isIndex = document["manifests"] !== undefined;
  const isManifest = document["layers"] !== undefined || document["config"] !== undefined;
  // One document that is both means one thing to us and another to who scanned it.
  if (isIndex && isManifest) throw json.error("it is both an image and a list of images");
  const shape = isIndex ? "index" : "manifest";
  const sent = contentType?.split(";", 1)[0]?.trim().toLowerCase();
  const own = json.optionalString(document["mediaType"], "mediaType");
  for (const type of [sent, own]) {
    const kind = type === undefined ? undefined : MANIFEST_TYPES.get(type);
    if (kind !== undefined && kind !== shape) throw json.error(`it calls itself ${type}`);
  }
  if (own !== undefined && !MANIFEST_TYPES.has(own)) throw json.error(`it is a ${own}`);
  if (own !== undefined && sent !== undefined && MANIFEST_TYPES.has(sent) && own !== sent) {
    throw json.error(`it calls itself ${own} but was sent as ${sent}`);
  }
  return isIndex ? parseIndex(document) : parseImageManifest(document);
}

function parseImageManifest(document: JsonObject): Manifest {
  const config = descriptor(document["config"], "config", JSON_BYTES_MAX);
  if (!CONFIG_TYPES.has(config.mediaType)) {
    throw json.error(`it is no container image but ${config.mediaType}`);
  }
  const layers = json
    .array(document["layers"], "layers", LAYERS_MAX)
    .map((layer) => descriptor(layer, "a layer", LAYER_BYTES_MAX));
  const odd = layers.find((layer) => !LAYER_TYPE.test(layer.mediaType));
  if (odd !== undefined) throw json.error(`a layer is ${odd.mediaType}`);
  return { kind: "manifest", config, layers };
}

function parseIndex(document: JsonObject): ManifestIndex {
  const manifests = json.array(document["manifests"], "manifests", INDEX_MANIFESTS_MAX);
  return {
    kind: "index",
    manifests: manifests.map((value) => {
      const platform = json.object(value, "a manifest")["platform"];
      const named = descriptor(value, "a manifest", JSON_BYTES_MAX);
      return platform === undefined || platform === null
        ? named
        : { ...named, platform: parsePlatformObject(json.object(platform, "platform")) };
    }),
  };
}

function parsePlatformObject(platform: JsonObject): Platform {
  return normalise(
    json.string(platform["os"], "platform.os"),
    json.string(platform["architecture"], "platform.architecture"),
    json.optionalString(platform["variant"], "platform.variant"),
  );
}

function descriptor(value: unknown, what: string, sizeMax: number): Descriptor {
  const object = json.object(value, what);
  const size = json.size(object["size"], `the size of ${what}`);
  if (size > sizeMax) throw json.error(`${what} has ${size} bytes`);
  return {
    mediaType: json.string(object["mediaType"], `the media type of ${what}`),
    digest: parseDigest(object["digest"]),
    size,
  };
}

/**
 * The image in an index for `platform`.
 * @throws {ImageError} PLATFORM_UNAVAILABLE, in docker's words
 */
export function choose(index: ManifestIndex, platform: Platform): Descriptor {
  const found = index.manifests.find(
    (manifest) =>
      MANIFEST_TYPES.get(manifest.mediaType) === "manifest" &&
      manifest.platform !== undefined &&
      matches(platform, manifest.platform),
  );
  if (found !== undefined) return found;
  throw new ImageError(
    "PLATFORM_UNAVAILABLE",
    `no matching manifest for ${platformName(platform)} in the manifest list entries`,
  );
}
