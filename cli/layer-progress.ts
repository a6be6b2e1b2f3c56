import { coloured } from "./style.ts";

const SHORT_DIGEST = "sha256:".length + 12;
const REDRAW_MS = 100;

/** A line per layer, redrawn on a terminal; elsewhere a line when a layer is there. */
export class LayerProgress {
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

  /** The layers there are, before anything is known of them. */
  begin(layers: readonly string[], status: string): void {
    for (const layer of layers) this.layers.set(layer, status);
    this.draw(true);
  }

  /** How far a layer is: shown on terminals only. */
  state(layer: string, status: string): void {
    this.layers.set(layer, status);
    this.draw(false);
  }

  /** What became of a layer. */
  done(layer: string, status: string): void {
    this.layers.set(layer, status);
    if (this.live) this.draw(true);
    else this.say(`${layer.slice("sha256:".length, SHORT_DIGEST)}: ${status}`);
  }

  /** Leaves the last state on the screen. */
  finish(): void {
    this.draw(true);
    this.drawnLines = 0;
    this.layers.clear();
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
