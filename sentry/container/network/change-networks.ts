/** Takes containers into networks and out of them, whether they run or not. */
import { join } from "node:path";
import { ControlClient } from "../control-client.ts";
import type { Request } from "../control-protocol.ts";
import { ContainerError, type ContainerErrorCode } from "../errors.ts";
import { CONTROL_SOCKET } from "../lifecycle.ts";
import type { Container } from "../record.ts";
import type { ContainerStore } from "../store.ts";
import {
  checkSettings,
  type WantedNetwork,
  wantedNetworks,
  withNetwork,
  withoutNetwork,
  writeWanted,
} from "./container-networks.ts";
import type { EndpointSettings, NetworkRecord } from "./network-record.ts";
import { refuseMode } from "./networking.ts";

/** Takes a container into a network. @throws {ContainerError} in docker's words. */
export async function connectContainer(
  store: ContainerStore,
  container: Container,
  network: NetworkRecord,
  settings: EndpointSettings,
): Promise<void> {
  refuseMode(container);
  if (network.driver !== "bridge") {
    throw new ContainerError(
      "INVALID_ENDPOINT",
      network.driver === "host"
        ? "container cannot be disconnected from host network or connected to host network"
        : "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    );
  }
  checkSettings(network, settings);
  const { name } = container.record;
  const request = { op: "network-connect", network: network.id, settings } as const;
  await change(store, container, request, (wanted) => withNetwork(wanted, network, settings, name));
}

/** Takes a container out of a network. @throws {ContainerError} in docker's words. */
export async function disconnectContainer(
  store: ContainerStore,
  container: Container,
  network: NetworkRecord,
): Promise<void> {
  if (network.driver === "host") {
    throw new ContainerError(
      "INVALID_ENDPOINT",
      "container cannot be disconnected from host network or connected to host network",
    );
  }
  const { id } = container.record.spec;
  const request = { op: "network-disconnect", network: network.id } as const;
  await change(store, container, request, (wanted) => withoutNetwork(wanted, network, id));
}

/** Has the sentry make a change, or makes it where there is no sentry. */
async function change(
  store: ContainerStore,
  { record, state }: Container,
  request: Request,
  make: (wanted: readonly WantedNetwork[]) => readonly WantedNetwork[],
): Promise<void> {
  const { id } = record.spec;
  const held = state.status === "running" ? undefined : store.tryHold(id);
  if (held !== undefined) {
    try {
      writeWanted(held.directory, make(wantedNetworks(held)));
    } finally {
      held.release();
    }
    return;
  }
  const client = ControlClient.ask(join(store.runDirectoryOf(id), CONTROL_SOCKET), request);
  const reply = await client.next();
  client.close();
  if (reply?.kind === "done") return;
  if (reply?.kind === "error") {
    throw new ContainerError((reply.code ?? "CONTROL_FAILED") as ContainerErrorCode, reply.message);
  }
  throw new ContainerError("CONTROL_FAILED", `container ${record.name} went away`);
}
