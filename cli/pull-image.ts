import type { ImageStore } from "../sentry/image/image-store.ts";
import type { Platform } from "../sentry/image/platform.ts";
import { type PullEvent, type Pulled, pull } from "../sentry/image/pull.ts";
import { familiarName, parseReference, withDefaultTag } from "../sentry/image/reference.ts";
import { size } from "./output.ts";
import { coloured } from "./style.ts";

const SHORT_DIGEST = "sha256:".length + 12;
const REDRAW_MS = 100;

/** Pulls an image and shows how far it is; Ctrl-C stops it cleanly. */
export async function pullImage(
  store: ImageStore,
  name: string,
  platform: Platform | undefined,
  show: "stdout" | "stderr" | "none",
): Promise<Pulled> {
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt);
  const progress = show === "none" ? undefined : new Progress(process[show]);
  try {
    progress?.say(`Pulling ${familiarName(withDefaultTag(parseReference(name)))}`);
    const pulled = await pull(store, name, {
      signal: stop.signal,
      ...(platform === undefined ? {} : { platform }),
      ...(progress === undefined ? {} : { onProgress: (event) => progress.take(event) }),
    });
    progress?.finish();
    progress?.say(`Digest: ${pulled.digest}`);
    progress?.say(
      pulled.newer
        ? `Status: Downloaded newer image for ${name}`
        : `Status: Image is up to date for ${name}`,
    );
    return pulled;
  } catch (error) {
    progress?.finish();
    throw error;
  } finally {
    process.off("SIGINT", interrupt);
  }
}

/** A line per layer, redrawn on a terminal; elsewhere a line when a layer is there. */
class Progress {
  private readonly stream: NodeJS.WriteStream;
  private readonly live: boolean;
  private readonly layers = new Map<string, string>();
  private drawnLines = 0;
  private drawnAt = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream;
    this.live = coloured(stream);
  }

  say(line: string): void {
    this.stream.write(`${line}\n`);
  }

  take(event: PullEvent): void {
    switch (event.type) {
      case "resolved":
        for (const { digest } of event.layers) this.layers.set(digest, "Waiting");
        break;
      case "downloading":
        this.layers.set(event.layer, `Downloading ${size(event.current)}/${size(event.total)}`);
        this.draw(false);
        return;
      case "exists":
        this.done(event.layer, "Already exists");
        break;
      case "complete":
        this.done(event.layer, "Pull complete");
        break;
    }
    this.draw(true);
  }

  /** Leaves the last state on the screen. */
  finish(): void {
    this.draw(true);
    this.drawnLines = 0;
    this.layers.clear();
  }

  private done(layer: string, status: string): void {
    this.layers.set(layer, status);
    if (!this.live) this.say(`${layer.slice("sha256:".length, SHORT_DIGEST)}: ${status}`);
  }

  private draw(now: boolean): void {
    if (!this.live || (!now && Date.now() - this.drawnAt < REDRAW_MS)) return;
    this.drawnAt = Date.now();
    const up = this.drawnLines > 0 ? `\u001b[${this.drawnLines}A` : "";
    const lines = [...this.layers].map(
      ([digest, status]) => `\u001b[2K${digest.slice("sha256:".length, SHORT_DIGEST)}: ${status}\n`,
    );
    this.drawnLines = lines.length;
    this.stream.write(up + lines.join(""));
  }
}
