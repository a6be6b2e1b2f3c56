/** The options about a container's network: `-p`, `--network`, `--link` and their kin. */
import { parseIp } from "../sentry/abi/ip.ts";
import {
  type EndpointSettings,
  PLAIN_ENDPOINT,
} from "../sentry/container/network/network-record.ts";
import type { NetworkingRequest } from "../sentry/container/network/new-networking.ts";
import type { PublishSpec, TransportProtocol } from "../sentry/spec.ts";
import { usageError } from "./errors.ts";
import type { Values } from "./option.ts";
import type { NETWORKING_OPTIONS } from "./options.ts";

const PORT_MAX = 65_535;
/** Ports one `-p` may name. */
const RANGE_MAX = 4096;

function parseRange(text: string, what: string): readonly [first: number, last: number] {
  const [, first = "", last = first] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text) ?? [];
  const range = [Number(first), Number(last)] as const;
  if (first === "" || range[0] > range[1] || range[1] > PORT_MAX) {
    throw usageError(`invalid ${what}: ${text}`, "Example: -p 8080:80, -p 127.0.0.1:5353:53/udp");
  }
  return range;
}

function parseProtocol(text: string): TransportProtocol {
  const name = text.toLowerCase();
  if (name === "tcp" || name === "udp") return name;
  throw usageError(`invalid proto: ${text}`, "It is tcp or udp");
}

/**
 * `-p`: `PORT`, `HOSTPORT:PORT` or `IP:HOSTPORT:PORT`, with ranges, and `/udp` behind.
 * @throws {CliError} `USAGE`.
 */
export function parsePublish(text: string): readonly PublishSpec[] {
  const [, address = "", protocolText = "tcp"] = /^(.*?)(?:\/([a-zA-Z]+))?$/.exec(text) ?? [];
  const protocol = parseProtocol(protocolText);
  const parts = /^(?:(\[[^\]]*\]|[^:]*):)?(?:([0-9-]*):)?([0-9-]+)$/.exec(address);
  if (parts === null) throw usageError(`invalid publish specification: ${text}`);
  const [, one, two, containerText = ""] = parts;
  // With two parts, the first is the host's port and not its address.
  const ipText = two === undefined ? "" : (one ?? "");
  const hostText = two === undefined ? (one ?? "") : two;
  const hostIp = ipText.replace(/^\[(.*)\]$/, "$1");
  if (hostIp !== "" && parseIp(hostIp) === undefined) {
    throw usageError(`invalid IP address: ${hostIp}`);
  }
  const [first, last] = parseRange(containerText, "containerPort");
  if (first === 0) throw usageError("invalid containerPort: 0");
  const [hostFirst, hostLast] = hostText === "" ? [0, 0] : parseRange(hostText, "hostPort");
  const count = last - first + 1;
  if (count > RANGE_MAX) throw usageError(`invalid ranges in ${text}: too many ports`);
  if (count === 1) {
    const containerPort = first;
    return [{ protocol, containerPort, hostIp, hostPort: hostFirst, hostPortEnd: hostLast }];
  }
  if (hostFirst !== 0 && hostLast - hostFirst !== count - 1) {
    throw usageError(`invalid ranges specified for container and host Ports: ${text}`);
  }
  return Array.from({ length: count }, (_, i) => {
    const hostPort = hostFirst === 0 ? 0 : hostFirst + i;
    return { protocol, containerPort: first + i, hostIp, hostPort, hostPortEnd: hostPort };
  });
}

/** `--expose`, and what images expose: `80`, `80/udp`, `8000-8010/tcp`. */
export function parseExposed(
  text: string,
): readonly { readonly port: number; readonly protocol: TransportProtocol }[] {
  const [range = "", protocolText = "tcp"] = text.split("/");
  const protocol = parseProtocol(protocolText);
  const [first, last] = parseRange(range, "range format for --expose");
  const count = Math.min(last - first + 1, RANGE_MAX);
  return Array.from({ length: count }, (_, i) => ({ port: first + i, protocol }));
}

/** `--network`: a mode or a network, or `name=NET,alias=A,ip=...` in one word. */
function parseNetwork(text: string): {
  readonly name: string;
  readonly settings: EndpointSettings;
} {
  if (!/^[a-z0-9-]+=/.test(text)) return { name: text, settings: PLAIN_ENDPOINT };
  let name = "";
  const aliases: string[] = [];
  const driverOptions: Record<string, string> = {};
  const chosen: { ipv4?: string; ipv6?: string; mac?: string; priority?: number } = {};
  for (const field of text.split(",")) {
    const [key = "", ...rest] = field.split("=");
    const value = rest.join("=");
    if (key === "name") name = value;
    else if (key === "alias") aliases.push(value);
    else if (key === "ip") chosen.ipv4 = value;
    else if (key === "ip6") chosen.ipv6 = value;
    else if (key === "mac-address") chosen.mac = value;
    else if (key === "gw-priority" && /^-?[0-9]{1,9}$/.test(value)) chosen.priority = Number(value);
    else if (key === "driver-opt")
      driverOptions[value.split("=")[0] ?? ""] = value.split("=")[1] ?? "";
    else throw usageError(`invalid field ${key} in --network ${text}`);
  }
  if (name === "") throw usageError(`network name is not specified in --network ${text}`);
  return { name, settings: { ...PLAIN_ENDPOINT, ...chosen, aliases, driverOptions } };
}

/**
 * What the options ask for.
 * @param exposed what the image exposes.
 * @throws {CliError} `USAGE`.
 */
export function networkingRequest(
  values: Values<typeof NETWORKING_OPTIONS>,
  exposed: readonly string[],
  labels: Readonly<Record<string, string>>,
): NetworkingRequest {
  const networks = values.network.map(parseNetwork);
  const [main, ...others] = networks;
  if (networks.length > 1 && networks.some(({ name }) => /^(host|none|container:.*)$/.test(name))) {
    throw usageError(
      "conflicting options: cannot attach to several networks with one of this kind",
    );
  }
  const { settings } = main ?? { settings: PLAIN_ENDPOINT };
  const { ip, ip6 } = values;
  const mac = values["mac-address"];
  const first: EndpointSettings = {
    ...settings,
    aliases: [...settings.aliases, ...values["network-alias"]],
    links: values.link,
    ...(ip === undefined ? {} : { ipv4: ip }),
    ...(ip6 === undefined ? {} : { ipv6: ip6 }),
    ...(mac === undefined ? {} : { mac }),
  };
  return {
    networkMode: main?.name ?? "default",
    endpoints: Object.fromEntries([
      ["default", first],
      ...others.map((other) => [other.name, other.settings] as const),
    ]),
    publish: values.publish.flatMap(parsePublish),
    publishAny: values["publish-all"] ? [...exposed, ...values.expose].flatMap(parseExposed) : [],
    extraHosts: values["add-host"],
    dns: values.dns,
    dnsSearch: values["dns-search"],
    dnsOptions: values["dns-option"],
    egress: values.egress,
    labels,
  };
}
