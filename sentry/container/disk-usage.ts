import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ContainerStore } from "./store.ts";

/** Where the bytes of changed files are; see sentry/fs/overlay.ts. */
const BLOBS = "upper/blobs";

/**
 * Bytes that a container has written to its own file system: of files that it made or changed, each as long as
 * it is now. 0 when it is gone.
 */
export function writtenBytes(store: ContainerStore, id: string): number {
  const directory = join(store.directoryOf(id), BLOBS);
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    // It has written nothing yet, or was removed.
    return 0;
  }
  let sum = 0;
  for (const name of names) {
    // Our own names: numbers of inodes. One may have been removed since.
    sum += statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
}
