import { readArchive } from "./archive-source.ts";
import { applyChanges } from "./config-change.ts";
import { encodeDocument } from "./image-document.ts";
import type { ImageStore, StoredImage } from "./image-store.ts";
import { hostPlatform, type Platform } from "./platform.ts";
import { parseReference, withDefaultTag } from "./reference.ts";

export interface ImportOptions {
  /** The name of the new image; without it only its id names it. */
  readonly reference?: string;
  /** Dockerfile instructions, such as `CMD ["/bin/sh"]`. */
  readonly changes?: readonly string[];
  /** What the programs in the archive run on: default the host's. */
  readonly platform?: Platform;
  /** For the image's history. */
  readonly message?: string;
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Makes an image of one layer from the tar archive of a root directory, perhaps compressed.
 * @throws {ImageError} whatever is wrong with the archive, the name or a change
 */
export async function importRoot(
  store: ImageStore,
  archive: AsyncIterable<Uint8Array>,
  options: ImportOptions = {},
): Promise<StoredImage> {
  const {
    reference,
    changes = [],
    platform = hostPlatform(),
    message = "Imported from -",
  } = options;
  const names = reference === undefined ? [] : [withDefaultTag(parseReference(reference))];
  const config = applyChanges({}, changes);
  const source = readArchive(archive, options.signal);
  return store.adding(options.signal, async () => {
    const layer = await store.layers.add(source, {
      ...(options.onBytes === undefined ? {} : { onBytes: options.onBytes }),
    });
    const created = new Date().toISOString();
    const configBytes = encodeDocument({
      platform,
      created,
      config,
      diffIds: [layer.diffId],
      history: [{ created, comment: message }],
    });
    return store.commit({ configBytes, names });
  });
}
