/** From what is asked of a new container's network to what is kept of it. */
import { parseEgress } from "../../abi/egress-rule.ts";
import { parseIp } from "../../abi/ip.ts";
import type { Mode, NetworkSpec, PublishSpec, TransportProtocol } from "../../spec.ts";
import { ContainerError } from "../errors.ts";
import type { Container } from "../record.ts";
import { checkSettings, type WantedNetwork } from "./container-networks.ts";
import {
  DEFAULT_NETWORK,
  type EndpointSettings,
  type NetworkRecord,
  PLAIN_ENDPOINT,
} from "./network-record.ts";

/** The label that says what a container may reach. */
export const EGRESS_LABEL = "dd.egress";

/** What a user asks for. */
export interface NetworkingRequest {
  /** Docker's NetworkMode: `default`, `bridge`, `host`, `none`, `container:ID`, or a network; empty: default. */
  readonly networkMode: string;
  /** Networks by name or id, with what is asked for in each; `default` is docker's word for the mode's. */
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  readonly publish: readonly PublishSpec[];
  /** Ports to be published at any port of the host: the image's, with `-P`. */
  readonly publishAny: readonly { readonly port: number; readonly protocol: TransportProtocol }[];
  readonly extraHosts: readonly string[];
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** A policy as users write it; absent: the label's, else by mode. */
  readonly egress: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** Who is there to ask. */
export interface NetworkingContext {
  readonly mode: Mode;
  /** @returns undefined for a network that is not there, or not yet. */
  findNetwork(reference: string): NetworkRecord | undefined;
  /** @returns undefined for a container that is not there, or not yet. */
  findContainer(reference: string): Container | undefined;
}

/**
 * What is kept of a new container's network, and the networks it is to be in.
 * @throws {ContainerError} `INVALID_ENDPOINT`, `NO_SUCH_CONTAINER`, `INVALID_EGRESS`.
 */
export function newNetworking(
  request: NetworkingRequest,
  context: NetworkingContext,
): { readonly spec: NetworkSpec; readonly wanted: readonly WantedNetwork[] } {
  const name = request.networkMode === "" ? "default" : request.networkMode;
  const mode = modeOf(name);
  const network = networkOf(name, mode, context);
  const publish = [
    ...request.publish,
    ...request.publishAny
      .filter(({ port, protocol }) => !isPublished(request.publish, port, protocol))
      .map(({ port, protocol }) => ({
        ...{ protocol, containerPort: port, hostIp: "", hostPort: 0, hostPortEnd: 0 },
      })),
  ];
  const spec: NetworkSpec = {
    mode,
    name: network,
    egress: egressOf(request, context.mode, mode),
    // Docker drops them silently where there is no network of the container's own.
    publish: mode === "bridge" ? publish : [],
    extraHosts: request.extraHosts.map(checkedHost),
    dns: request.dns.map(checkedAddress),
    dnsSearch: request.dnsSearch,
    dnsOptions: request.dnsOptions,
  };
  return { spec, wanted: mode === "container" ? [] : wantedOf(network, request, context) };
}

function isPublished(
  publish: readonly PublishSpec[],
  port: number,
  protocol: TransportProtocol,
): boolean {
  return publish.some((each) => each.containerPort === port && each.protocol === protocol);
}

function modeOf(name: string): NetworkSpec["mode"] {
  if (name === "host" || name === "none") return name;
  return name.startsWith("container:") ? "container" : "bridge";
}

/** The mode's name, with a container in it said by its id if it is there already. */
function networkOf(name: string, mode: NetworkSpec["mode"], context: NetworkingContext): string {
  if (mode !== "container") return name;
  const other = name.slice("container:".length);
  if (other === "") {
    throw new ContainerError("INVALID_ENDPOINT", "invalid container format container:<name|id>");
  }
  // Docker lets it be made later, before this one is started.
  const id = context.findContainer(other)?.record.spec.id;
  return `container:${id ?? other}`;
}

function egressOf(
  { egress, labels }: NetworkingRequest,
  mode: Mode,
  network: NetworkSpec["mode"],
): NetworkSpec["egress"] {
  const text = egress ?? labels[EGRESS_LABEL];
  if (text === undefined) {
    // Untrusted code may call out only where the user has handed it the host's network, or said so.
    if (network === "host") return "open";
    return mode === "trusted" && network !== "none" ? "open" : "closed";
  }
  const parsed = parseEgress(text);
  if ("bad" in parsed) {
    throw new ContainerError(
      "INVALID_EGRESS",
      `invalid egress rule "${parsed.bad}"`,
      "Rules are allow, deny, or a list such as example.org:443,*.debian.org,10.0.0.0/8",
    );
  }
  if (network === "host" && parsed.egress !== "open") {
    throw new ContainerError(
      "INVALID_EGRESS",
      "an egress policy needs a network of the container's own, and not the host's",
    );
  }
  return parsed.egress;
}

function wantedOf(
  name: string,
  { endpoints }: NetworkingRequest,
  context: NetworkingContext,
): readonly WantedNetwork[] {
  const main = name === "default" ? DEFAULT_NETWORK : name;
  // As docker: who names networks is in these, and in the mode's only if that is a network of his own.
  const isImplied =
    Object.keys(endpoints).length === 0 || !/^(default|bridge|host|none)$/.test(name);
  const asked = new Map<string, EndpointSettings>(isImplied ? [[main, PLAIN_ENDPOINT]] : []);
  for (const [network, settings] of Object.entries(endpoints)) {
    const meant = network === "default" ? main : network;
    const id = context.findNetwork(meant)?.id;
    // The same network may be called by its name in one place and by its id in the other.
    const known = [...asked.keys()].find(
      (other) => other === meant || (id !== undefined && context.findNetwork(other)?.id === id),
    );
    asked.set(known ?? meant, settings);
  }
  if (asked.size > 1 && (main === "host" || main === "none")) {
    throw new ContainerError(
      "INVALID_ENDPOINT",
      `conflicting options: cannot attach ${main === "host" ? "host" : "none"} networking to other networks`,
    );
  }
  return [...asked].map(([reference, settings]) => {
    const network = context.findNetwork(reference);
    if (network !== undefined) checkSettings(network, settings);
    return { network: network?.id ?? reference, settings };
  });
}

function checkedHost(entry: string): string {
  const [, , address = ""] = /^([^:=]+)[:=](.+)$/.exec(entry) ?? [];
  const plain = address.replace(/^\[(.*)\]$/, "$1");
  if (plain === "host-gateway" || parseIp(plain) !== undefined) return entry;
  throw new ContainerError(
    "INVALID_ENDPOINT",
    address === ""
      ? `bad format for add-host: "${entry}"`
      : `invalid IP address in add-host: "${address}"`,
  );
}

function checkedAddress(address: string): string {
  if (parseIp(address) !== undefined) return address;
  throw new ContainerError(
    "INVALID_ENDPOINT",
    `ip address is not correctly formatted: "${address}"`,
  );
}
