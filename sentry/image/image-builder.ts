import type { Digest } from "./digest.ts";
import { ImageError } from "./errors.ts";
import {
  type ContainerConfig,
  encodeDocument,
  type HistoryEntry,
  readDocument,
} from "./image-document.ts";
import type { ImageStore, StoredImage } from "./image-store.ts";
import type { LayerFacts } from "./layer-writer.ts";
import { LAYERS_MAX } from "./limits.ts";
import { hostPlatform, type Platform } from "./platform.ts";
import { parseReference, withDefaultTag } from "./reference.ts";
import { type TarMember, writeTar } from "./tar-writer.ts";

/** What a new image is made of. */
export interface ImageParts {
  /** The image it stands on: its layers, its history and its platform come first. */
  readonly parent?: StoredImage | undefined;
  /** Layers on top of the parent's, bottom to top, by what {@link ImageBuilder.createLayer} said. */
  readonly layers?: readonly Digest[];
  /** All of it: nothing is taken over from the parent. */
  readonly config: ContainerConfig;
  /** What has been done since the parent. An entry that made no layer says `empty_layer`. */
  readonly history?: readonly HistoryEntry[];
  readonly author?: string | undefined;
  /** RFC 3339; default now. */
  readonly created?: string | undefined;
  /** Default the parent's, else the host's. */
  readonly platform?: Platform | undefined;
  /** Names as people write them; each is taken from the image that had it. */
  readonly names?: readonly string[];
}

/**
 * Makes layers and images: for `docker commit`, `docker build` and everything else that does not get them from
 * elsewhere. To be had from {@link ImageBuilder.run}.
 */
export class ImageBuilder {
  readonly #store: ImageStore;

  private constructor(store: ImageStore) {
    this.#store = store;
  }

  /**
   * Runs `work`. Layers it makes stay until it ends, and then as long as an image has them.
   * @throws {ImageError} STORE_*, ABORTED, and what `work` throws
   */
  static run<T>(
    store: ImageStore,
    signal: AbortSignal | undefined,
    work: (builder: ImageBuilder) => Promise<T>,
  ): Promise<T> {
    return store.adding(signal, () => work(new ImageBuilder(store)));
  }

  /**
   * A layer of an archive, tar and perhaps compressed; removed files are whiteouts (`.wh.NAME`).
   * @param onBytes told how many bytes were taken, again and again
   * @throws {ImageError} LAYER_*, STORE_*
   */
  createLayer(
    archive: AsyncIterable<Uint8Array>,
    onBytes?: (bytes: number) => void,
  ): Promise<LayerFacts> {
    return this.#store.layers.add(archive, onBytes === undefined ? {} : { onBytes });
  }

  /**
   * A layer of files that somebody names one by one, such as a container's changes: no archive is ever
   * written. The same members give the same layer. Removed files are members called `.wh.NAME`.
   */
  createLayerOf(members: AsyncIterable<TarMember> | Iterable<TarMember>): Promise<LayerFacts> {
    return this.#store.layers.add(writeTar(members), {});
  }

  /**
   * Makes an image and its names visible.
   * @throws {ImageError} CONFIG_INVALID, LAYER_LINK when the layers do not fit on each other,
   *   REFERENCE_INVALID
   */
  async createImage(parts: ImageParts): Promise<StoredImage> {
    const { parent, layers = [], history = [], names = [] } = parts;
    const diffIds = [...(parent?.config.diffIds ?? []), ...layers];
    if (diffIds.length > LAYERS_MAX) throw new ImageError("CONFIG_INVALID", "max depth exceeded");
    const before = parent === undefined ? [] : readDocument(parent.configBytes).history;
    const configBytes = encodeDocument({
      platform: parts.platform ?? parent?.config.platform ?? hostPlatform(),
      created: parts.created ?? new Date().toISOString(),
      ...(parts.author === undefined ? {} : { author: parts.author }),
      config: parts.config,
      diffIds,
      history: [...before, ...history],
    });
    return this.#store.commit({
      configBytes,
      names: names.map((name) => withDefaultTag(parseReference(name))),
      ...(parent === undefined ? {} : { parent: parent.id }),
    });
  }
}
