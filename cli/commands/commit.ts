import { expandChange } from "../../builder/dockerfile/expand-change.ts";
import { commitContainer } from "../../sentry/container/commit.ts";
import { ContainerError } from "../../sentry/container/errors.ts";
import { FilesClient } from "../../sentry/container/files-client.ts";
import type { Container } from "../../sentry/container/record.ts";
import type { ContainerStore } from "../../sentry/container/store.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { COMMIT_OPTIONS } from "../image-options.ts";
import { interruptible } from "../interruptible.ts";
import type { Values } from "../option.ts";
import type { Services } from "../services.ts";
import { askPaused } from "../set-paused.ts";

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
  const isPaused = !values["no-pause"] && (await hasChanged(store, container, true));
  try {
    const image = await interruptible((signal) =>
      commitContainer(
        new ImageStore(store.directories.root),
        container.record,
        new FilesClient(store, container, services.backgroundProgram),
        { names, comment, author, config: {}, changes, expand: expandChange },
        signal,
      ),
    );
    process.stdout.write(`${image.id}\n`);
    return EXIT.ok;
  } finally {
    if (isPaused) await hasChanged(store, container, false);
  }
}

/** @returns false, too, for a container that does not run: it holds still by itself. */
async function hasChanged(
  store: ContainerStore,
  container: Container,
  paused: boolean,
): Promise<boolean> {
  try {
    return await askPaused(store, container, paused);
  } catch (error) {
    if (error instanceof ContainerError && error.code === "CONTAINER_NOT_RUNNING") return false;
    throw error;
  }
}
