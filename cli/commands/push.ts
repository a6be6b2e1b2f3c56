import { ImageStore } from "../../sentry/image/image-store.ts";
import { type PushEvent, push } from "../../sentry/image/push.ts";
import { parseReference } from "../../sentry/image/reference.ts";
import { openDirectories } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { PUSH_OPTIONS } from "../image-options.ts";
import { interruptible } from "../interruptible.ts";
import { LayerProgress } from "../layer-progress.ts";
import type { Values } from "../option.ts";
import { size } from "../output.ts";

export async function main(
  values: Values<typeof PUSH_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const [name = ""] = operands;
  const store = new ImageStore(openDirectories().root);
  const progress = values.quiet ? undefined : new LayerProgress(process.stdout);
  try {
    const { domain, path } = parseReference(name);
    progress?.say(`The push refers to repository [${domain}/${path}]`);
    await interruptible((signal) =>
      push(store, name, {
        allTags: values["all-tags"],
        insecure: values.insecure,
        signal,
        ...(progress === undefined ? {} : { onProgress: (event) => tell(progress, event) }),
      }),
    );
  } catch (error) {
    progress?.finish();
    throw error;
  }
  if (values.quiet) process.stdout.write(`${name}\n`);
  return EXIT.ok;
}

function tell(progress: LayerProgress, event: PushEvent): void {
  switch (event.type) {
    case "image":
      progress.begin(event.layers, "Preparing");
      break;
    case "pushing":
      progress.state(event.layer, `Pushing ${size(event.current)}/${size(event.total)}`);
      break;
    case "pushed":
      progress.done(event.layer, "Pushed");
      break;
    case "exists":
      progress.done(event.layer, "Layer already exists");
      break;
    case "skipped":
      progress.done(event.layer, "Skipped foreign layer");
      break;
    case "mounted":
      progress.done(event.layer, `Mounted from ${event.from}`);
      break;
    case "done":
      progress.finish();
      progress.say(`${event.tag}: digest: ${event.digest} size: ${event.size}`);
      break;
  }
}
