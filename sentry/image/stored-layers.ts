import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hexOf, isDigest } from "./digest.ts";
import { ImageError } from "./errors.ts";
import { StoreFiles } from "./store-files.ts";

/**
 * The host directories of the layers of an image that is in the store, bottom to top: what `openImage`
 * wants. Synchronous, for a container that starts.
 * @param root `DD_ROOT`
 * @param id the image's id
 * @throws {ImageError} IMAGE_NOT_FOUND
 */
export function storedLayers(root: string, id: string): string[] {
  const files = new StoreFiles(root);
  const missing = new ImageError("IMAGE_NOT_FOUND", id);
  if (!isDigest(id)) throw missing;
  let config: { readonly rootfs?: { readonly diff_ids?: unknown } } | undefined;
  for (const directory of [files.configs, files.kept]) {
    try {
      config ??= JSON.parse(readFileSync(join(directory, hexOf(id), "config.json"), "utf8"));
    } catch {
      // It may be in the other one.
    }
  }
  const diffIds = config?.rootfs?.diff_ids;
  if (!Array.isArray(diffIds)) throw missing;
  return diffIds.map((diffId) => {
    if (!isDigest(diffId)) throw missing;
    return join(files.layers, hexOf(diffId));
  });
}
