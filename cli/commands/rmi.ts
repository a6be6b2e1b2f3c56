import { imageUsers } from "../../sentry/container/image-users.ts";
import { HOST_IMAGE } from "../../sentry/container/run-image.ts";
import { ContainerStore } from "../../sentry/container/store.ts";
import { ImageStore } from "../../sentry/image/image-store.ts";
import { openDirectories } from "../context.ts";
import { each } from "../each.ts";
import { CliError } from "../errors.ts";
import type { RMI_OPTIONS } from "../image-options.ts";
import type { Values } from "../option.ts";

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
    const users = () => imageUsers(containers);
    const { force, "no-prune": noPrune } = values;
    const { records } = await images.remove(name, { force, noPrune, users });
    return records
      .map((each) =>
        "untagged" in each ? `Untagged: ${each.untagged}` : `Deleted: ${each.deleted}`,
      )
      .join("\n");
  });
}
