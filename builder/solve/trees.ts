import type { Digest } from "../../sentry/image/digest.ts";
import type { ImageStore } from "../../sentry/image/image-store.ts";
import { openImage } from "../../sentry/image/merged-tree.ts";
import type { ImageNode, ImageTree } from "../../sentry/image/tree.ts";

/** The trees that a build looks into, each opened once. */
export class Trees {
  readonly #store: ImageStore;
  readonly #open = new Map<string, ImageTree>();

  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** Host directories of layers of the store. */
  directories(layers: readonly Digest[]): readonly string[] {
    return layers.map((layer) => this.#store.layers.directory(layer));
  }

  /** The root of what the layers make; undefined where there are none. */
  root(directories: readonly string[]): ImageNode | undefined {
    if (directories.length === 0) return undefined;
    const key = directories.join("\0");
    const tree = this.#open.get(key) ?? openImage(directories);
    this.#open.set(key, tree);
    return tree.root;
  }

  close(): void {
    for (const tree of this.#open.values()) tree.close();
    this.#open.clear();
  }
}
