import { ContainerError } from "../../sentry/container/errors.ts";
import { ContainerStore } from "../../sentry/container/store.ts";
import { VolumeStore } from "../../sentry/container/volumes.ts";
import { openDirectories } from "../context.ts";
import { each } from "../each.ts";
import type { Values } from "../option.ts";
import type { VOLUME_RM_OPTIONS } from "../options.ts";

export function main(
  values: Values<typeof VOLUME_RM_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const directories = openDirectories();
  const volumes = new VolumeStore(directories.root);
  const containers = new ContainerStore(directories).list();
  return each(operands, (name) => {
    try {
      volumes.remove(name, containers);
    } catch (error) {
      const missing = error instanceof ContainerError && error.code === "NO_SUCH_VOLUME";
      if (!values.force || !missing) throw error;
    }
    return name;
  });
}
