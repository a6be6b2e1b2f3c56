import type { StoredImage } from "../../sentry/image/image-store.ts";
import type { Solved } from "../solve/solver.ts";

/** Makes an image of what was built, and gives it its names. */
export async function exportImage(
  { state, images }: Solved,
  names: readonly string[],
): Promise<StoredImage> {
  const { image, config, history, author, platform } = state;
  let layers = state.layers.slice(image?.config.diffIds.length ?? 0);
  if (state.layers.length === 0) {
    // An image has at least one layer, also one that only says something.
    layers = [(await images.createLayerOf([])).diffId];
  }
  return images.createImage({
    parent: image,
    layers,
    config,
    history,
    author,
    created: state.created,
    platform,
    names,
  });
}
