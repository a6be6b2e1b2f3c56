import type { Digest } from "./digest.ts";
import { readDocument } from "./image-document.ts";
import type { ImageStore, StoredImage } from "./image-store.ts";

/** A step in the making of an image, as `docker history` shows it. */
export interface HistoryRow {
  /** The image that the step made, where it is here. */
  readonly id: Digest | undefined;
  /** RFC 3339. */
  readonly created: string | undefined;
  readonly createdBy: string;
  readonly comment: string;
  /** The names of the image that the step made. */
  readonly tags: readonly string[];
  /** Bytes of the files in the step's layer. */
  readonly size: number;
}

/** The steps that made an image, newest first. */
export async function historyOf(store: ImageStore, image: StoredImage): Promise<HistoryRow[]> {
  const layers = [...image.config.diffIds];
  const rows: HistoryRow[] = [];
  for (const step of readDocument(image.configBytes).history) {
    const layer = step.empty_layer === true ? undefined : layers.shift();
    rows.unshift({
      id: undefined,
      created: step.created,
      createdBy: step.created_by ?? "",
      comment: step.comment ?? "",
      tags: [],
      size: layer === undefined ? 0 : (await store.layers.facts(layer)).contentBytes,
    });
  }
  // What was made here has left an image for each step.
  let here: StoredImage | undefined = image;
  for (const [i, row] of rows.entries()) {
    if (here === undefined) break;
    rows[i] = { ...row, id: here.id, tags: here.tags };
    here = here.parent === undefined ? undefined : await store.find(here.parent);
  }
  return rows;
}
