import { ContainerStore } from "../../sentry/container/store.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { openDirectories } from "../context.ts";
import { each } from "../each.ts";
import { CliError } from "../errors.ts";
import type { Values } from "../option.ts";
import type { RMI_OPTIONS } from "../options.ts";
import { HOST_IMAGE } from "../run-image.ts";

export function main(
  values: Values<typeof RMI_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const directories = openDirectories();
  const images = new ImageStore(directories.root);
  const containers = new ContainerStore(directories);
  return each(operands, async (name) => {
    if (name === HOST_IMAGE) {
      throw new CliError("HOST_IMAGE", "The image host is this machine: it cannot be removed");
    }
    const image = await images.get(name);
    const users = containers.list().filter(({ record }) => record.spec.rootfs.image === image.id);
    const running = users.find(({ state }) => state.status === "running");
    if (running !== undefined && values.force) {
      throw new CliError(
        "IMAGE_IN_USE",
        `conflict: unable to delete ${name}: a running container, ${running.record.name}, uses it`,
        { hint: `Stop it first: "ddcli stop ${running.record.name}"` },
      );
    }
    const { untagged, deleted } = await images.remove(name, {
      force: values.force,
      usersOf: () => users.map(({ record }) => record.name),
    });
    return [
      ...untagged.map((each) => `Untagged: ${each}`),
      ...deleted.map((each) => `Deleted: ${each}`),
    ].join("\n");
  });
}
