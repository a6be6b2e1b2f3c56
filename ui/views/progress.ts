import { element, fill } from "../dom.ts";
import { bytes, plain } from "../format.ts";

/** A message of a pull, a push or a build: docker's jsonmessage. */
export interface ProgressMessage {
  readonly id?: string;
  readonly status?: string;
  readonly stream?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** Shows the messages of something long: a line per layer with its bar, and what is printed. */
export class Progress {
  readonly root = element("div", { class: "log", role: "log", tabindex: 0 });
  readonly #lines = new Map<string, HTMLElement>();
  failed = false;

  show(message: ProgressMessage): void {
    const { id, status, stream, error, progressDetail } = message;
    if (error !== undefined) {
      this.failed = true;
      this.root.append(element("div", { class: "stderr" }, plain(error)));
    } else if (stream !== undefined) {
      const text = plain(stream.replace(/\n$/, ""));
      if (text !== "") this.root.append(element("div", {}, text));
    } else if (id === undefined) {
      this.root.append(element("div", {}, plain(status ?? "")));
    } else {
      let line = this.#lines.get(id);
      if (line === undefined) {
        line = element("div");
        this.#lines.set(id, line);
        this.root.append(line);
      }
      const { current, total } = progressDetail ?? {};
      const bar =
        current === undefined || total === undefined || total === 0
          ? undefined
          : element("progress", { value: current, max: total });
      const size = current === undefined || current === 0 ? "" : ` ${bytes(current)}`;
      fill(line, `${plain(id)}: ${plain(status ?? "")}${size} `, bar);
    }
    this.root.scrollTop = this.root.scrollHeight;
  }
}
