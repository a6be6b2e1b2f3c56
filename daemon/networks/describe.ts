import type { JsonObject } from "../../api/engine/json.ts";
import {
  type LiveNetwork,
  readLive,
  type WantedNetwork,
  wantedNetworks,
} from "../../sentry/container/network/container-networks.ts";
import type { NetworkRecord } from "../../sentry/container/network/network-record.ts";
import type { Container } from "../../sentry/container/record.ts";
import type { PublishedPort } from "../../sentry/spec.ts";
import type { DaemonContext } from "../context.ts";
import { findNetwork } from "./find.ts";

/** What the API tells of a container's network: `NetworkSettings` of inspect. */
export function describeNetworks(
  context: Pick<DaemonContext, "store" | "networks">,
  { record, state }: Container,
): JsonObject {
  const { id } = record.spec;
  const { store } = context;
  const running = state.status === "running";
  const live = running ? readLive(store.runDirectoryOf(id)) : undefined;
  const wanted = wantedNetworks({ record, directory: store.directoryOf(id) });
  const places = wanted.map((each) => {
    const network = findNetwork(context, each.network);
    const place = live?.networks.find(({ networkId }) => networkId === network?.id);
    return { name: network?.name ?? each.network, network, ...describePlace(each, network, place) };
  });
  const exposed = Object.keys((record.engine?.config["ExposedPorts"] as object | null) ?? {});
  const main = places.find(({ name }) => name === "bridge")?.settings ?? {};
  const of = (key: string, none: unknown) => main[key] ?? none;
  return {
    Bridge: "",
    SandboxID: running ? id : "",
    SandboxKey: running ? store.runDirectoryOf(id) : "",
    Ports: running ? describePorts(exposed, live?.ports ?? []) : {},
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: of("EndpointID", ""),
    Gateway: of("Gateway", ""),
    GlobalIPv6Address: of("GlobalIPv6Address", ""),
    GlobalIPv6PrefixLen: of("GlobalIPv6PrefixLen", 0),
    IPAddress: of("IPAddress", ""),
    IPPrefixLen: of("IPPrefixLen", 0),
    IPv6Gateway: of("IPv6Gateway", ""),
    MacAddress: of("MacAddress", ""),
    Networks: Object.fromEntries(places.map(({ name, settings }) => [name, settings])),
  };
}

function describePlace(
  { settings }: WantedNetwork,
  network: NetworkRecord | undefined,
  place: LiveNetwork | undefined,
): { readonly settings: JsonObject } {
  const { ipv4, ipv6, linkLocal, mac, aliases, links, driverOptions, priority } = settings;
  const member = place?.member;
  const [address = "", prefix = "0"] = (member?.ipv4 ?? "").split("/");
  const [address6 = "", prefix6 = "0"] = (member?.ipv6 ?? "").split("/");
  const gateway = (isV6: boolean) =>
    place?.gateways.find((each) => each.includes(":") === isV6) ?? "";
  const hasNames =
    network !== undefined && network.driver === "bridge" && network.name !== "bridge";
  const chosen = {
    ...(ipv4 === undefined ? {} : { IPv4Address: ipv4 }),
    ...(ipv6 === undefined ? {} : { IPv6Address: ipv6 }),
    ...(linkLocal === undefined ? {} : { LinkLocalIPs: linkLocal }),
  };
  return {
    settings: {
      IPAMConfig: Object.keys(chosen).length === 0 ? null : chosen,
      Links: links.length === 0 ? null : links,
      Aliases: aliases.length === 0 ? null : aliases,
      MacAddress: member?.mac ?? mac ?? "",
      DriverOpts: Object.keys(driverOptions).length === 0 ? null : driverOptions,
      GwPriority: priority,
      NetworkID: network?.id ?? "",
      EndpointID: member?.endpointId ?? "",
      Gateway: gateway(false),
      IPAddress: address,
      IPPrefixLen: Number(prefix),
      IPv6Gateway: address6 === "" ? "" : gateway(true),
      GlobalIPv6Address: address6,
      GlobalIPv6PrefixLen: Number(prefix6),
      DNSNames: hasNames && member !== undefined ? member.names : null,
    },
  };
}

/** Ports that are exposed or published, with where they are on the host. */
function describePorts(exposed: readonly string[], ports: readonly PublishedPort[]): JsonObject {
  const described: Record<string, JsonObject[] | null> = Object.fromEntries(
    exposed.map((port) => [port.includes("/") ? port : `${port}/tcp`, null]),
  );
  for (const { protocol, containerPort, hostIp, hostPort } of ports) {
    const key = `${containerPort}/${protocol}`;
    described[key] = [...(described[key] ?? []), { HostIp: hostIp, HostPort: String(hostPort) }];
  }
  return described;
}
