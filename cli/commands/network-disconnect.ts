import { disconnectContainer } from "../../sentry/container/network/change-networks.ts";
import { NetworkStore } from "../../sentry/container/network/network-store.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { NETWORK_DISCONNECT_OPTIONS } from "../options.ts";

export async function main(
  _values: Values<typeof NETWORK_DISCONNECT_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const [networkName = "", containerName = ""] = operands;
  const store = openContainers();
  const network = new NetworkStore(store.directories).find(networkName);
  await disconnectContainer(store, store.find(containerName), network);
  return EXIT.ok;
}
