import { ImageError } from "./errors.ts";
import { type ImageFilters, prunable } from "./image-filter.ts";
import type { ImageStore } from "./image-store.ts";
import type { ImageUser, RemovalRecord } from "./removal.ts";

export interface Pruned {
  readonly records: readonly RemovalRecord[];
  /** Bytes of the layers that are gone. */
  readonly reclaimed: number;
}

/**
 * Removes images that nobody needs: those without a tag, or with the filter `dangling=false` all that no
 * container has.
 * @throws {ImageError} FILTER_INVALID, STORE_*
 */
export async function pruneImages(
  store: ImageStore,
  filters: ImageFilters,
  users: () => readonly ImageUser[],
): Promise<Pruned> {
  const { images, danglingOnly } = await prunable(store, filters);
  const records: RemovalRecord[] = [];
  let reclaimed = 0;
  for (const image of images) {
    if (danglingOnly && image.tags.length > 0) continue;
    const names = [...image.tags, ...image.digests];
    for (const name of names.length > 0 ? names : [image.id]) {
      try {
        const removed = await store.remove(name, { users });
        records.push(...removed.records);
        reclaimed += removed.reclaimed;
      } catch (error) {
        if (!isExpected(error)) throw error;
      }
    }
  }
  return { records, reclaimed };
}

/** Somebody needs the image after all, or it is gone already with another name. */
function isExpected(error: unknown): boolean {
  return (
    error instanceof ImageError &&
    (error.code === "IMAGE_CONFLICT" || error.code === "IMAGE_NOT_FOUND")
  );
}
