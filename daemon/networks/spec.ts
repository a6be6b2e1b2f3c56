import { ApiError } from "../../api/errors.ts";
import type { CreateBody, HostConfigBody } from "../../api/routes/container-bodies.ts";
import { parseIp } from "../../sentry/abi/ip.ts";
import type { WantedNetwork } from "../../sentry/container/network/container-networks.ts";
import { parseLink } from "../../sentry/container/network/links.ts";
import { newNetworking } from "../../sentry/container/network/new-networking.ts";
import type { Mode, NetworkSpec, PublishSpec, TransportProtocol } from "../../sentry/spec.ts";
import { textsOf } from "../container/words.ts";
import type { DaemonContext } from "../context.ts";
import { endpointSettings } from "./endpoint.ts";
import { findContainer, findNetwork } from "./find.ts";

const PORT_MAX = 65_535;

/**
 * The network a client asks for.
 * @param exposed ports the image exposes, such as `80/tcp`.
 * @param warnings gets what is not done as asked.
 * @throws {ApiError} or an error of the stores.
 */
export function networkingOf(
  context: DaemonContext,
  body: CreateBody,
  exposed: readonly string[],
  mode: Mode,
  warnings: string[],
): { readonly spec: NetworkSpec; readonly wanted: readonly WantedNetwork[] } {
  const hostConfig: HostConfigBody = body.HostConfig ?? {};
  refuseConflicts(body, hostConfig);
  refuseUnknownLinks(context, hostConfig);
  const ports = [...exposed, ...Object.keys(body.ExposedPorts ?? {})];
  const networkMode = body.NetworkDisabled === true ? "none" : (hostConfig.NetworkMode ?? "");
  const publish = Object.entries(hostConfig.PortBindings ?? {}).flatMap(([port, bindings]) =>
    (bindings ?? []).map((binding) => publishSpec(port, binding.HostIp, binding.HostPort)),
  );
  if (networkMode === "host" && (publish.length > 0 || hostConfig.PublishAllPorts === true)) {
    warnings.push("Published ports are discarded when using host network mode");
  }
  return newNetworking(
    {
      networkMode,
      endpoints: endpointsOf(body, hostConfig, networkMode),
      publish,
      publishAny:
        hostConfig.PublishAllPorts === true ? ports.flatMap((text) => portOf(text) ?? []) : [],
      extraHosts: hostConfig.ExtraHosts ?? [],
      dns: hostConfig.Dns ?? [],
      dnsSearch: hostConfig.DnsSearch ?? [],
      dnsOptions: hostConfig.DnsOptions ?? [],
      egress: egressOption(hostConfig.SecurityOpt ?? []),
      labels: textsOf(body.Labels),
    },
    {
      mode,
      findNetwork: (reference) => findNetwork(context, reference),
      findContainer: (reference) => findContainer(context, reference),
    },
  );
}

/** Options that mean nothing beside another, as rows: who is refused, when, and docker's words. */
function refuseConflicts(body: CreateBody, hostConfig: HostConfigBody): void {
  const { NetworkMode: network, Links, Dns, ExtraHosts, PortBindings, UTSMode } = hostConfig;
  const inHost = network === "host";
  const inContainer = network?.startsWith("container:") === true;
  const some = (value: object | null | undefined) => Object.keys(value ?? {}).length > 0;
  const publishes = some(PortBindings) || hostConfig.PublishAllPorts === true;
  const undefinedBehavior = "can't be used with links. This would result in undefined behavior";
  const rows: readonly (readonly [refused: boolean, why: string])[] = [
    [UTSMode === "host" && !!body.Hostname, "hostname and the UTS mode"],
    [inHost && some(Links), `host type networking ${undefinedBehavior}`],
    [inContainer && !!body.Hostname, "hostname and the network mode"],
    [inContainer && some(Links), `container type network ${undefinedBehavior}`],
    [inContainer && some(Dns), "dns and the network mode"],
    [inContainer && some(ExtraHosts), "custom host-to-IP mapping and the network mode"],
    [inContainer && !!body.MacAddress, "mac-address and the network mode"],
    [inContainer && publishes, "port publishing and the container type network mode"],
    [inContainer && some(body.ExposedPorts), "port exposing and the container type network mode"],
  ];
  for (const [refused, why] of rows) {
    if (refused) throw new ApiError("INVALID", `conflicting options: ${why}`);
  }
}

/** In a network of the user's own, links are names that may come to be. */
function refuseUnknownLinks(context: DaemonContext, { NetworkMode, Links }: HostConfigBody): void {
  if (!/^(?:default|bridge)?$/.test(NetworkMode ?? "")) return;
  for (const { name } of (Links ?? []).map(parseLink)) {
    if (findContainer(context, name) !== undefined) continue;
    // No 404, by which clients would take the image for missing.
    const why = `could not get container for ${name}: No such container: ${name}`;
    throw new ApiError("INVALID", why);
  }
}

/** With what older clients say of the main network outside of its endpoint. */
function endpointsOf(body: CreateBody, { Links }: HostConfigBody, networkMode: string) {
  const asked = Object.entries(body.NetworkingConfig?.EndpointsConfig ?? {});
  const endpoints = new Map(asked.map(([name, each]) => [name, endpointSettings(each)]));
  const main = networkMode === "" ? "default" : networkMode;
  const links = Links ?? [];
  const mac = body.MacAddress;
  if (links.length > 0 || mac) {
    const [only] = endpoints.keys();
    const key = endpoints.has(main) || only === undefined ? main : only;
    const present = endpoints.get(key) ?? endpointSettings(undefined);
    const chosen = mac && present.mac === undefined ? { mac } : {};
    endpoints.set(key, { ...present, links: [...present.links, ...links], ...chosen });
  }
  return Object.fromEntries(endpoints);
}

/** `--security-opt dd.egress=RULES`. */
function egressOption(options: readonly string[]): string | undefined {
  const [, rules] = options.map((text) => /^dd\.egress[=:](.*)$/.exec(text)).find(Boolean) ?? [];
  return rules;
}

/** `80/tcp`, `53/udp`, `80`. */
function portOf(
  text: string,
): { readonly port: number; readonly protocol: TransportProtocol } | undefined {
  const [, digits = "", name = "tcp"] = /^([0-9]{1,5})(?:\/([a-z]+))?$/i.exec(text) ?? [];
  const port = Number(digits);
  const protocol = name.toLowerCase();
  if (digits === "" || port < 1 || port > PORT_MAX) return undefined;
  return protocol === "tcp" || protocol === "udp" ? { port, protocol } : undefined;
}

function publishSpec(
  key: string,
  hostIp: string | null | undefined,
  hostPort: string | null | undefined,
): PublishSpec {
  const port = portOf(key);
  if (port === undefined) throw new ApiError("INVALID", `invalid port specification: "${key}"`);
  if (hostIp && parseIp(hostIp) === undefined) {
    throw new ApiError("INVALID", `invalid IP address: ${hostIp}`);
  }
  const [, first = "0", last = first] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(
    hostPort || "0",
  ) ?? ["", ""];
  const range = [Number(first), Number(last)] as const;
  if (first === "" || range[0] > range[1] || range[1] > PORT_MAX) {
    throw new ApiError("INVALID", `invalid port specification: "${hostPort}"`);
  }
  const { protocol } = port;
  return {
    ...{ protocol, containerPort: port.port, hostIp: hostIp ?? "" },
    ...{ hostPort: range[0], hostPortEnd: range[1] },
  };
}
