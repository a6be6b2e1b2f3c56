import { ContainerError } from "../errors.ts";
import type { ContainerStore } from "../store.ts";
import { isMeant, wantedNetworks } from "./container-networks.ts";
import { type NetworkRecord, PREDEFINED } from "./network-record.ts";
import type { NetworkStore } from "./network-store.ts";

/**
 * Removes the networks that no container is to be in, running or not, and that are not always there.
 * @param matches which of them.
 * @returns those that were removed.
 */
export function pruneNetworks(
  containers: ContainerStore,
  networks: NetworkStore,
  matches: (network: NetworkRecord) => boolean,
): readonly NetworkRecord[] {
  const wanted = containers
    .list()
    .flatMap(({ record }) =>
      wantedNetworks({ record, directory: containers.directoryOf(record.spec.id) }),
    );
  return networks.list().filter((network) => {
    const used = wanted.some((each) => isMeant(each, network));
    if (PREDEFINED.has(network.name) || used || !matches(network)) return false;
    try {
      networks.remove(network);
      return true;
    } catch (error) {
      // Somebody has joined it, or removed it, just now.
      if (error instanceof ContainerError) return false;
      throw error;
    }
  });
}
