import type { Directories } from "../../sentry/container/directories.ts";
import { ContainerError } from "../../sentry/container/errors.ts";
import { writeWanted } from "../../sentry/container/network/container-networks.ts";
import { NetworkStore } from "../../sentry/container/network/network-store.ts";
import { newNetworking } from "../../sentry/container/network/new-networking.ts";
import { ContainerStore } from "../../sentry/container/store.ts";
import type { Mode, NetworkSpec } from "../../sentry/spec.ts";
import { BuildError } from "../errors.ts";
import type { StepSpec } from "../solve/request.ts";

/** The modes of a step that is in no network with others. */
const APART: ReadonlySet<string> = new Set(["", "default", "none", "host"]);

/** Whether a step meets containers: its process then joins their networks as a container does. */
export function isInNetwork({ network }: Pick<StepSpec, "network">): boolean {
  return !APART.has(network);
}

/**
 * The network of a step. Untrusted steps call out only where the user has handed them the host's network.
 * @param directory of the step's own: where it is written down which networks are to be joined
 * @throws {BuildError} BUILD_NOT_FOUND, BUILD_INPUT: what is named is not there, or cannot be joined
 */
export function stepNetwork(
  { network, extraHosts }: Pick<StepSpec, "network" | "extraHosts">,
  mode: Mode,
  directories: Directories,
  directory: string,
): NetworkSpec {
  if (network === "none") return { mode: "none", egress: "closed", extraHosts };
  if (network === "host") return { mode: "host", egress: "open", extraHosts };
  if (!isInNetwork({ network })) {
    return { mode: "bridge", egress: mode === "trusted" ? "open" : "closed", extraHosts };
  }
  const networks = new NetworkStore(directories);
  const containers = new ContainerStore(directories);
  try {
    const { spec, wanted } = newNetworking(
      {
        networkMode: network,
        endpoints: {},
        extraHosts,
        egress: undefined,
        ...{ publish: [], publishAny: [], dns: [], dnsSearch: [], dnsOptions: [], labels: {} },
      },
      {
        mode,
        findNetwork: (reference) => networks.find(reference),
        findContainer: (reference) => containers.find(reference),
      },
    );
    writeWanted(directory, wanted);
    return spec;
  } catch (error) {
    throw networkRefusal(error);
  }
}

/** What containers say of networks, as an error of the build. */
export function networkRefusal(error: unknown): unknown {
  if (!(error instanceof ContainerError)) return error;
  const isMissing = error.code === "NO_SUCH_NETWORK" || error.code === "NO_SUCH_CONTAINER";
  return new BuildError(isMissing ? "BUILD_NOT_FOUND" : "BUILD_INPUT", error.message);
}
