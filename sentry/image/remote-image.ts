import type { Digest } from "./digest.ts";
import { parseImageConfig } from "./image-config.ts";
import { parseManifest } from "./manifest.ts";
import type { Platform } from "./platform.ts";
import { fromSomewhere } from "./pull.ts";
import { DEFAULT_TAG, parseReference, withDefaultTag } from "./reference.ts";
import type { RegistryOptions } from "./registry-client.ts";

/** What a registry has by a name, without fetching it. */
export interface RemoteImage {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly platforms: readonly Platform[];
}

const UNKNOWN = "unknown";

/**
 * Asks a registry, or one of its mirrors, what it has by a name.
 * @throws {ImageError} REFERENCE_INVALID, REGISTRY_*, MANIFEST_INVALID
 */
export async function remoteImage(
  name: string,
  options: RegistryOptions = {},
): Promise<RemoteImage> {
  const reference = withDefaultTag(parseReference(name));
  return fromSomewhere(reference, options, async (repository) => {
    const wanted = reference.digest ?? reference.tag ?? DEFAULT_TAG;
    const { bytes, digest, contentType = "" } = await repository.manifest(wanted);
    const manifest = parseManifest(bytes, contentType);
    const platforms =
      manifest.kind === "index"
        ? manifest.manifests.map(({ platform }) => platform).filter(isPlatform)
        : [parseImageConfig(await repository.blob(manifest.config)).platform];
    const [mediaType = ""] = contentType.split(";");
    return { mediaType: mediaType.trim(), digest, size: bytes.length, platforms };
  });
}

/** What is about an image and no image says so by a platform that is none. */
function isPlatform(platform: Platform | undefined): platform is Platform {
  return platform !== undefined && platform.os !== UNKNOWN;
}
