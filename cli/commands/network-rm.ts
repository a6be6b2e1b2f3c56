import { ContainerError } from "../../sentry/container/errors.ts";
import { NetworkStore } from "../../sentry/container/network/network-store.ts";
import { openDirectories } from "../context.ts";
import { each } from "../each.ts";
import type { Values } from "../option.ts";
import type { NETWORK_RM_OPTIONS } from "../options.ts";

export function main(
  values: Values<typeof NETWORK_RM_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const networks = new NetworkStore(openDirectories());
  return each(operands, (name) => {
    try {
      networks.remove(networks.find(name));
    } catch (error) {
      const missing = error instanceof ContainerError && error.code === "NO_SUCH_NETWORK";
      if (!values.force || !missing) throw error;
    }
    return name;
  });
}
