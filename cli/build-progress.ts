import type { ProgressEvent, ProgressListener } from "../builder/solve/progress.ts";
import { coloured, paint } from "./style.ts";

/** Shows a build's progress. */
export interface ProgressPrinter {
  readonly take: ProgressListener;
  /** Leaves the last state on the screen. */
  finish(): void;
}

type VertexEvent = ProgressEvent & { kind: "vertex" };

/** @param kind `auto`: `tty` on a terminal, else `plain` */
export function progressPrinter(kind: string): ProgressPrinter {
  if (kind === "quiet") return { take: () => {}, finish: () => {} };
  const live = kind === "tty" || (kind === "auto" && coloured(process.stderr));
  return live ? new LiveProgress(process.stderr) : new PlainProgress(process.stderr);
}

/** A line for each thing that happens, as BuildKit's plain progress: `#3 [2/3] RUN make`. */
class PlainProgress implements ProgressPrinter {
  readonly #stream: NodeJS.WritableStream;
  readonly #numbers = new Map<string, number>();
  readonly #startedAt = new Map<string, number>();

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
  }

  readonly take = (event: ProgressEvent): void => {
    const { digest, name } = event.vertex;
    let number = this.#numbers.get(digest);
    if (number === undefined) {
      number = this.#numbers.size + 1;
      this.#numbers.set(digest, number);
      this.#startedAt.set(digest, Date.now());
      this.#stream.write(`#${number} ${name}\n`);
    }
    const since = (at: number) => ((at - (this.#startedAt.get(digest) ?? at)) / 1000).toFixed(3);
    switch (event.kind) {
      case "vertex":
        if (event.completedAt !== undefined) this.#stream.write(`#${number} ${ending(event)}\n\n`);
        break;
      case "status":
        if (event.completedAt !== undefined) this.#stream.write(`#${number} ${event.id} done\n`);
        break;
      case "log":
        for (const line of textLines(event.bytes)) {
          this.#stream.write(`#${number} ${since(event.at)} ${line}\n`);
        }
        break;
      case "warning":
        this.#stream.write(`#${number} WARN: ${event.warning.message}\n`);
    }
  };

  finish(): void {}
}

function ending({ cached, error, startedAt, completedAt }: VertexEvent): string {
  if (error !== undefined) return `ERROR: ${error}`;
  return cached ? "CACHED" : `DONE ${(((completedAt ?? 0) - startedAt) / 1000).toFixed(1)}s`;
}

/** Lines of a program's output, without what would move the cursor. */
function textLines(bytes: Uint8Array): readonly string[] {
  const text = Buffer.from(bytes).toString("utf8").replace(/\n$/, "");
  return text.split(/[\r\n]+/).map((line) => line.replace(/[\p{Cc}]/gu, ""));
}

const LOG_LINES = 4;
const REDRAW_MS = 80;

/** What is done stays; below it what goes on, with the last lines of its output, is drawn again and again. */
class LiveProgress implements ProgressPrinter {
  readonly #stream: NodeJS.WriteStream;
  readonly #running = new Map<string, { event: VertexEvent; log: string[] }>();
  readonly #timer: NodeJS.Timeout;
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS).unref();
  }

  readonly take = (event: ProgressEvent): void => {
    const { digest } = event.vertex;
    if (event.kind === "vertex") {
      if (event.completedAt === undefined) this.#running.set(digest, { event, log: [] });
      else {
        this.#erase();
        this.#stream.write(`${this.#line(event, event.completedAt)}\n`);
        const log = this.#running.get(digest)?.log ?? [];
        if (event.error !== undefined) for (const line of log) this.#stream.write(`   ${line}\n`);
        this.#running.delete(digest);
      }
    } else if (event.kind === "log") {
      const log = this.#running.get(digest)?.log;
      log?.push(...textLines(event.bytes));
      log?.splice(0, log.length - LOG_LINES);
    }
  };

  finish(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #line(event: VertexEvent, now: number): string {
    const { cached, error, vertex, startedAt } = event;
    const mark = error !== undefined ? "ERROR " : cached ? "CACHED " : "";
    const time = `${((now - startedAt) / 1000).toFixed(1)}s`;
    const width = (this.#stream.columns ?? 80) - time.length - 5;
    const text = ` => ${mark}${vertex.name.split("\n")[0]}`.slice(0, width).padEnd(width);
    const style = error !== undefined ? "red" : event.completedAt !== undefined ? "cyan" : "bold";
    return `${paint(style, text, true)} ${time}`;
  }

  #draw(): void {
    this.#erase();
    const lines = [...this.#running.values()].flatMap(({ event, log }) => [
      this.#line(event, Date.now()),
      ...log.map(
        (line) => `   ${paint("dim", line.slice(0, (this.#stream.columns ?? 80) - 4), true)}`,
      ),
    ]);
    this.#drawn = lines.length;
    this.#stream.write(lines.map((line) => `${line}\n`).join(""));
  }

  #erase(): void {
    if (this.#drawn > 0) this.#stream.write(`\u001b[${this.#drawn}A\u001b[0J`);
    this.#drawn = 0;
  }
}
