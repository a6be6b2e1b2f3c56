import { expandChange } from "../../builder/dockerfile/expand-change.ts";
import { ask } from "../../sentry/container/ask.ts";
import { commitContainer } from "../../sentry/container/commit.ts";
import { ContainerError } from "../../sentry/container/errors.ts";
import { FilesClient } from "../../sentry/container/files-client.ts";
import type { Container } from "../../sentry/container/record.ts";
import type { ContainerStore } from "../../sentry/container/store.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { COMMIT_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";
import type { Services } from "../services.ts";

export async function main(
  values: Values<typeof COMMIT_OPTIONS>,
  operands: readonly string[],
  services: Services,
): Promise<number> {
  const [name = "", reference] = operands;
  const { author = "", message: comment = "", change: changes } = values;
  const store = openContainers();
  const container = store.find(name);
  const names = reference === undefined ? [] : [reference];
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt);
  const isPaused = !values["no-pause"] && (await hasChanged(store, container, "pause"));
  try {
    const image = await commitContainer(
      new ImageStore(store.directories.root),
      container.record,
      new FilesClient(store, container, services.backgroundProgram),
      { names, comment, author, config: {}, changes, expand: expandChange },
      stop.signal,
    );
    process.stdout.write(`${image.id}\n`);
    return EXIT.ok;
  } finally {
    process.off("SIGINT", interrupt);
    if (isPaused) await hasChanged(store, container, "unpause");
  }
}

/** Pauses a container, or lets it go on. @returns false when it does not run, was so already, or has ended. */
async function hasChanged(
  store: ContainerStore,
  container: Container,
  op: "pause" | "unpause",
): Promise<boolean> {
  try {
    const client = ask(store, container, { op });
    const reply = await client.next();
    client.close();
    return reply?.kind === "done";
  } catch (error) {
    if (error instanceof ContainerError && error.code === "CONTAINER_NOT_RUNNING") return false;
    throw error;
  }
}
