import { wantedNetworks } from "../../sentry/container/network/container-networks.ts";
import type { NetworkRecord } from "../../sentry/container/network/network-record.ts";
import type { ContainerRecord } from "../../sentry/container/record.ts";
import type { DaemonContext } from "../context.ts";
import { findNetwork } from "./find.ts";

/** Tells what happened to a network. @param containerId who joined or left. */
export function networkEvent(
  { events }: Pick<DaemonContext, "events">,
  action: "create" | "destroy" | "connect" | "disconnect",
  { id, name, driver }: NetworkRecord,
  containerId?: string,
): void {
  events.emit("network", action, id, {
    ...(containerId === undefined ? {} : { container: containerId }),
    name,
    type: driver,
  });
}

/** Tells for each network of a container that it has joined or left, as it starts or ends. */
export function containerNetworkEvents(
  context: DaemonContext,
  action: "connect" | "disconnect",
  record: ContainerRecord,
): void {
  const { id } = record.spec;
  const directory = context.store.directoryOf(id);
  for (const { network } of wantedNetworks({ record, directory })) {
    const found = findNetwork(context, network);
    if (found !== undefined) networkEvent(context, action, found, id);
  }
}
