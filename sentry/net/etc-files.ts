/** The files of /etc that docker generates: hostname, hosts, resolv.conf. See hosts(5), resolv.conf(5). */
import { type ByteString, toText } from "../abi/bytes.ts";
import { formatIp, isLoopback, parseIp } from "../abi/ip.ts";
import type { NetworkAttachment, NetworkSpec } from "../spec.ts";
import { HOST_NAME } from "./inet.ts";
import { BRIDGE_INTERFACE } from "./interfaces.ts";

const NAME_SERVER = "127.0.0.11";
/** Name servers that resolv.conf(5) takes. */
const SERVERS_MAX = 3;
const DEFAULT_GATEWAY = formatIp(BRIDGE_INTERFACE.gateway ?? "");

/** What the files depend on. */
export interface EtcContext {
  readonly hostname: ByteString;
  readonly domainname?: ByteString | undefined;
  readonly network: NetworkSpec;
  readonly networks: readonly NetworkAttachment[];
  /** The host's own resolv.conf. */
  readonly hostResolvConf: string;
  /** The host's own hosts file, for containers that share its network. */
  readonly hostHosts: string;
}

/** The generated files by name. */
export function etcFiles(context: EtcContext): ReadonlyMap<ByteString, ByteString> {
  return new Map([
    ["hostname", `${context.hostname}\n`],
    ["hosts", hosts(context)],
    ["resolv.conf", resolvConf(context)],
  ]);
}

/** The addresses of the servers that `resolv.conf` names. */
export function nameServers(resolvConf: string): readonly string[] {
  return [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+([0-9a-fA-F.:]+)/gm)]
    .flatMap(([, address]) => (address === undefined ? [] : [address]))
    .slice(0, SERVERS_MAX);
}

/**
 * Whether the container asks the sentry's own name server: where names of containers are known, and where
 * the host's servers cannot be asked by the container itself.
 */
export function usesNameServer({
  network,
  networks,
  hostResolvConf,
}: Pick<EtcContext, "network" | "networks" | "hostResolvConf">): boolean {
  if (network.mode !== "bridge") return false;
  if (network.egress !== "open" || networks.some(({ hasNames }) => hasNames)) return true;
  const own = network.dns ?? [];
  const servers = own.length > 0 ? own : nameServers(hostResolvConf);
  return servers.every((server) => isLoopback(parseIp(server) ?? ""));
}

function gatewayOf(networks: readonly NetworkAttachment[]): string {
  const [first] = [...networks]
    .filter(({ internal }) => !internal)
    .sort((a, b) => b.priority - a.priority);
  return first?.gateways[0] ?? DEFAULT_GATEWAY;
}

function hosts({
  hostname,
  domainname = "",
  network,
  networks,
  hostHosts,
}: EtcContext): ByteString {
  const gateway = gatewayOf(networks);
  const own = network.mode === "host" ? "127.0.0.1" : gateway;
  const extra = (network.extraHosts ?? []).map((entry) => {
    const { name, address } = splitHost(entry);
    return `${address === "host-gateway" ? own : address}\t${name}`;
  });
  if (network.mode === "host") return [hostHosts.trimEnd(), ...extra, ""].join("\n");
  const named = new Set((network.extraHosts ?? []).map((entry) => splitHost(entry).name));
  // Resolvable whoever is asked: the default bridge has the host's servers, which do not know it.
  if (network.mode === "bridge" && !named.has(HOST_NAME)) extra.push(`${gateway}\t${HOST_NAME}`);
  const addresses = networks.flatMap(({ member }) =>
    [member.ipv4, member.ipv6].flatMap((text) => (text === "" ? [] : [text.split("/")[0] ?? ""])),
  );
  const text = toText(domainname === "" ? hostname : `${hostname}.${domainname}`);
  const names = text.includes(".") ? `${text} ${text.split(".")[0] ?? ""}` : text;
  const linked = networks
    .filter(({ hasNames }) => !hasNames)
    .flatMap(({ links, peers }) =>
      links.flatMap(([alias, name]) =>
        peers.named(name).map((member) => {
          const other = member.containerName === alias ? "" : ` ${member.containerName}`;
          // Its host name is the last of its names, and its short id where it has chosen none.
          const called = member.names.at(-1) ?? member.containerId.slice(0, 12);
          return `${member.ipv4.split("/")[0] ?? ""}\t${alias} ${called}${other}`;
        }),
      ),
    );
  return [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
    ...extra,
    ...linked,
    ...(addresses.length > 0 ? addresses : network.mode === "bridge" ? ["127.0.0.1"] : []).map(
      (address) => `${address}\t${names}`,
    ),
    ...(network.mode === "none" ? [`127.0.0.1\t${names}`] : []),
    "",
  ].join("\n");
}

/** `name:address`, or `name=address`; IPv6 addresses may be in brackets. */
function splitHost(entry: string): { readonly name: string; readonly address: string } {
  const at = entry.search(/[:=]/);
  return { name: entry.slice(0, at), address: entry.slice(at + 1).replace(/^\[(.*)\]$/, "$1") };
}

function resolvConf(context: EtcContext): ByteString {
  const { network, hostResolvConf } = context;
  const own = usesNameServer(context);
  const chosen = network.dns ?? [];
  const hostOnly = network.mode === "host" || network.mode === "bridge";
  const servers = own
    ? [NAME_SERVER]
    : chosen.length > 0
      ? chosen
      : hostOnly
        ? nameServers(hostResolvConf)
        : [];
  const inherited = (keyword: string) =>
    hostOnly
      ? [...hostResolvConf.matchAll(new RegExp(`^[ \\t]*${keyword}[ \\t]+(.+)$`, "gm"))].flatMap(
          ([, words = ""]) => words.trim().split(/\s+/),
        )
      : [];
  const search = network.dnsSearch ?? [];
  const options = network.dnsOptions ?? [];
  const allSearch = search.length > 0 ? search.filter((name) => name !== ".") : inherited("search");
  const allOptions = options.length > 0 ? [...options] : inherited("options");
  if (own && !allOptions.some((option) => option.startsWith("ndots:"))) allOptions.push("ndots:0");
  return [
    "# Generated by dd, for this container alone; it may be edited.",
    ...servers.map((server) => `nameserver ${server}`),
    ...(allSearch.length > 0 ? [`search ${allSearch.join(" ")}`] : []),
    ...(allOptions.length > 0 ? [`options ${allOptions.join(" ")}`] : []),
    "",
  ].join("\n");
}
