import type { ImageStore, StoredImage } from "../sentry/image/image-store.ts";
import { matches, type Platform } from "../sentry/image/platform.ts";
import { type PullOptions, pull } from "../sentry/image/pull.ts";
import { canonicalName, parseReference, withDefaultTag } from "../sentry/image/reference.ts";
import type { RegistrySettings } from "../sentry/image/registry-settings.ts";
import { BuildError } from "./errors.ts";
import type { VertexReport } from "./solve/progress.ts";
import type { ImageSource } from "./solve/request.ts";

const SHORT_DIGEST = "sha256:".length + 12;

export interface StoreImagesOptions {
  /** Ask the registry even where the store has the image. */
  readonly pull: boolean;
  /** How registries are reached, as of now. */
  readonly registries: () => RegistrySettings;
  /** What to show the registry of that name; without it, what the user has stored. */
  readonly credentials?: (domain: string) => Promise<PullOptions["credentials"]>;
  /** Say no more than the registry does, as the classic builder. */
  readonly plainErrors: boolean;
}

/** Images of the store; what it has not, or not for the platform, is pulled. */
export class StoreImages implements ImageSource {
  readonly #store: ImageStore;
  readonly #options: StoreImagesOptions;

  constructor(store: ImageStore, options: StoreImagesOptions) {
    this.#store = store;
    this.#options = options;
  }

  async resolve(
    reference: string,
    platform: Platform,
    report: VertexReport,
    signal: AbortSignal,
  ): Promise<StoredImage> {
    if (!this.#options.pull) {
      const image = await this.#store.find(reference);
      if (image !== undefined && matches(platform, image.config.platform)) return image;
    }
    try {
      const sizes = new Map<string, number>();
      const { credentials, registries } = this.#options;
      const { domain } = parseReference(reference);
      const { image } = await pull(this.#store, reference, {
        ...(credentials === undefined ? {} : { credentials: await credentials(domain) }),
        settings: registries(),
        platform,
        signal,
        onProgress: (event) => {
          if (event.type === "resolved") {
            for (const layer of event.layers) sizes.set(layer.digest, layer.size);
          } else {
            const total = sizes.get(event.layer) ?? 0;
            const current = event.type === "downloading" ? event.current : total;
            report.advance(event.layer.slice(0, SHORT_DIGEST), current, total);
          }
        },
      });
      return image;
    } catch (error) {
      const { message } = error as Error;
      if (signal.aborted) throw new BuildError("BUILD_CANCELED", "context canceled");
      if (this.#options.plainErrors) {
        throw new BuildError("BUILD_NOT_FOUND", message, { cause: error });
      }
      const name = canonicalName(withDefaultTag(parseReference(reference)));
      throw new BuildError(
        "BUILD_NOT_FOUND",
        `${reference}: failed to resolve source metadata for ${name}: ${message}`,
        { cause: error },
      );
    }
  }
}
