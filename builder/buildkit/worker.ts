import { runnablePlatforms } from "../../sentry/image/platform.ts";

/** What clients print of us; its number says which of their requests we know. */
export const VERSION = { package: "github.com/moby/buildkit", version: "v0.17.0+dd", revision: "" };

/** The one worker that there is. */
export function workerRecord(): object {
  return {
    ID: "dd",
    Labels: {
      "org.mobyproject.buildkit.worker.executor": "dd",
      // By this label clients know a store that takes images of any platform, and what exports there are.
      "org.mobyproject.buildkit.worker.snapshotter": "dd",
    },
    platforms: runnablePlatforms().map(({ os, architecture, variant = "" }) => ({
      OS: os,
      Architecture: architecture,
      Variant: variant,
    })),
    GCPolicy: [],
    BuildkitVersion: VERSION,
  };
}
