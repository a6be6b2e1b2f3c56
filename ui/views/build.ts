import { complain, element, fill } from "../dom.ts";
import type { End } from "../live.ts";
import { jsonLines } from "../stream.ts";
import { archive } from "../tar.ts";
import { Progress, type ProgressMessage } from "./progress.ts";

const EXAMPLE = "FROM busybox\nRUN echo hello > /hello\nCMD cat /hello\n";

/** Builds an image from a Dockerfile that is typed here, and files that are chosen. */
export function showBuild(place: HTMLElement): End {
  const gone = new AbortController();
  const tag = element("input", { placeholder: "name:tag", "aria-label": "Name of the image" });
  const dockerfile = element(
    "textarea",
    { "aria-label": "Dockerfile", spellcheck: "false" },
    EXAMPLE,
  );
  const files = element("input", { type: "file", multiple: true, "aria-label": "Files for COPY" });
  const output = element("div");
  const start = element("button", { type: "submit" }, "Build");
  const build = async () => {
    const context = new Map([["Dockerfile", new TextEncoder().encode(dockerfile.value)]]);
    for (const file of files.files ?? []) {
      context.set(file.name, new Uint8Array(await file.arrayBuffer()));
    }
    const progress = new Progress();
    fill(output, progress.root);
    const query = tag.value === "" ? { version: "1" } : { version: "1", t: tag.value };
    const choice = { method: "POST", query, body: archive(context), signal: gone.signal } as const;
    for await (const message of jsonLines<ProgressMessage>("/build", choice))
      progress.show(message);
  };
  const form = element(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        start.disabled = true;
        build()
          .catch(complain)
          .finally(() => {
            start.disabled = false;
          });
      },
    },
    element("div", { class: "bar" }, element("h2", {}, "Build"), tag, files, start),
    dockerfile,
  );
  place.append(form, output);
  return () => gone.abort();
}
