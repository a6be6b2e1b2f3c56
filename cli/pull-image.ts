import type { ImageStore } from "../sentry/image/image-store.ts";
import {
  type PullEvent,
  type Pulled,
  type PullOptions,
  pull,
  pullAll,
} from "../sentry/image/pull.ts";
import { familiarName, parseReference, withDefaultTag } from "../sentry/image/reference.ts";
import { interruptible } from "./interruptible.ts";
import { LayerProgress } from "./layer-progress.ts";
import { size } from "./output.ts";

/**
 * Pulls an image, or all of a repository, and shows how far it is; Ctrl-C stops it cleanly.
 * @returns what was pulled last
 */
export async function pullImage(
  store: ImageStore,
  name: string,
  options: PullOptions,
  show: "stdout" | "stderr" | "none",
  all = false,
): Promise<Pulled> {
  const progress = show === "none" ? undefined : new LayerProgress(process[show]);
  const shown = all ? name : familiarName(withDefaultTag(parseReference(name)));
  const watched: PullOptions = {
    ...options,
    ...(progress === undefined ? {} : { onProgress: (event) => tell(progress, event) }),
  };
  try {
    progress?.say(`Pulling ${shown}`);
    const each = await interruptible(async (signal) =>
      all
        ? [...(await pullAll(store, name, { ...watched, signal })).values()]
        : [await pull(store, name, { ...watched, signal })],
    );
    progress?.finish();
    const last = each.at(-1);
    if (last === undefined) throw new Error("A pull without a result");
    progress?.say(`Digest: ${last.digest}`);
    progress?.say(
      each.some(({ newer }) => newer)
        ? `Status: Downloaded newer image for ${name}`
        : `Status: Image is up to date for ${name}`,
    );
    return last;
  } catch (error) {
    progress?.finish();
    throw error;
  }
}

function tell(progress: LayerProgress, event: PullEvent): void {
  switch (event.type) {
    case "resolved":
      progress.begin(
        event.layers.map(({ digest }) => digest),
        "Waiting",
      );
      break;
    case "downloading":
      progress.state(event.layer, `Downloading ${size(event.current)}/${size(event.total)}`);
      break;
    case "exists":
      progress.done(event.layer, "Already exists");
      break;
    case "complete":
      progress.done(event.layer, "Pull complete");
      break;
  }
}
