import { ContainerError } from "../../sentry/container/errors.ts";
import type { NetworkRecord } from "../../sentry/container/network/network-record.ts";
import type { Container } from "../../sentry/container/record.ts";
import type { DaemonContext } from "../context.ts";

/** The network a reference means, or undefined when there is none. */
export function findNetwork(
  { networks }: Pick<DaemonContext, "networks">,
  reference: string,
): NetworkRecord | undefined {
  try {
    return networks.find(reference);
  } catch (error) {
    if (error instanceof ContainerError) return undefined;
    throw error;
  }
}

/** The container a reference means, or undefined when there is none. */
export function findContainer(
  { store }: Pick<DaemonContext, "store">,
  reference: string,
): Container | undefined {
  try {
    return store.find(reference);
  } catch (error) {
    if (error instanceof ContainerError && error.code === "NO_SUCH_CONTAINER") return undefined;
    throw error;
  }
}
