/** Which addresses a network has, and which one a container gets. */
import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { formatIp, type Ip, ipOfBytes, isV4, parseIp, Subnet } from "../../abi/ip.ts";
import { ContainerError } from "../errors.ts";
import type { AddressPool, NetworkRecord } from "./network-record.ts";

/** What a user says about one pool; empty strings are as good as nothing. */
export interface PoolRequest {
  readonly subnet?: string | undefined;
  readonly gateway?: string | undefined;
  readonly range?: string | undefined;
  readonly reserved?: Readonly<Record<string, string>> | undefined;
}

/** Addresses looked at for a free one. */
const SCAN_MAX = 1 << 20;

/** Docker's default pools: what a network gets that does not ask for a subnet. */
function* defaultPools(): Generator<Subnet> {
  const parts = [
    ...Array.from({ length: 15 }, (_, i) => `172.${17 + i}.0.0/16`),
    ...Array.from({ length: 16 }, (_, i) => `192.168.${i * 16}.0/20`),
  ];
  for (const text of parts) {
    const subnet = Subnet.parse(text);
    if (subnet !== undefined) yield subnet;
  }
}

function invalid(message: string): ContainerError {
  return new ContainerError("INVALID_NETWORK", message);
}

function hostSubnets(): readonly Subnet[] {
  return Object.values(networkInterfaces()).flatMap((entries = []) =>
    entries.flatMap(({ cidr, internal }) => (internal ? [] : (Subnet.parse(cidr ?? "") ?? []))),
  );
}

/**
 * The pools of a new network.
 * @param taken subnets of the networks there are.
 * @throws {ContainerError} `INVALID_NETWORK`, `NO_ADDRESS`, `POOL_OVERLAPS`.
 */
export function makePools(
  requests: readonly PoolRequest[],
  enableIPv6: boolean,
  taken: readonly Subnet[],
): { readonly pools: readonly AddressPool[]; readonly chosen: boolean } {
  const wanted = requests.filter((each) => each.subnet !== undefined && each.subnet !== "");
  const incomplete = requests.find(
    (each) => !wanted.includes(each) && Object.values(each).some(Boolean),
  );
  if (incomplete !== undefined) throw invalid("every IPAM config needs a subnet");
  // As docker: without IPv6, what is said of its addresses means nothing.
  const pools = wanted
    .filter(({ subnet = "" }) => enableIPv6 || !subnet.includes(":"))
    .map((request) => checkedPool(request, taken));
  const families = pools.map(({ subnet }) => subnet.includes(":"));
  if (new Set(families).size !== families.length) {
    throw invalid("bridge driver doesn't support multiple subnets");
  }
  if (!families.includes(false)) pools.unshift(freePool(taken));
  if (enableIPv6 && !families.includes(true)) pools.push(poolOf(uniqueLocalSubnet()));
  return { pools, chosen: families.length > 0 };
}

function checkedPool(request: PoolRequest, taken: readonly Subnet[]): AddressPool {
  const { subnet: text = "", range, gateway, reserved = {} } = request;
  const subnet = Subnet.parse(text);
  if (subnet === undefined) {
    throw invalid(`invalid subnet ${text}: invalid CIDR block notation`);
  }
  if (subnet.toString() !== text) {
    throw invalid(`invalid subnet ${text}: it should be ${subnet.toString()}`);
  }
  const within = (address: string, what: string) => {
    const ip = parseIp(address);
    if (ip === undefined) throw invalid(`invalid ${what} ${address}: invalid address`);
    if (!subnet.contains(ip)) throw invalid(`${what} ${address} is not in subnet ${text}`);
    return formatIp(ip);
  };
  if (range !== undefined && range !== "") {
    const part = Subnet.parse(range);
    if (part === undefined) throw invalid(`invalid ip-range ${range}: invalid CIDR block notation`);
    if (!subnet.contains(part.network) || part.prefix < subnet.prefix) {
      throw invalid(`invalid ip-range ${range}: it is not in subnet ${text}`);
    }
  }
  for (const address of Object.values(reserved)) within(address, "auxiliary address");
  if (taken.some((other) => other.overlaps(subnet))) throw poolOverlaps();
  return {
    ...poolOf(subnet),
    ...(gateway ? { gateway: within(gateway.split("/")[0] ?? "", "gateway") } : {}),
    ...(range ? { range } : {}),
    reserved,
  };
}

function poolOverlaps(): ContainerError {
  return new ContainerError(
    "POOL_OVERLAPS",
    "invalid pool request: Pool overlaps with other one on this address space",
  );
}

function poolOf(subnet: Subnet): AddressPool {
  return { subnet: subnet.toString(), gateway: formatIp(subnet.at(1n)), reserved: {} };
}

/** The first of docker's pools that neither a network nor the host uses. */
function freePool(taken: readonly Subnet[]): AddressPool {
  const used = [...taken, ...hostSubnets()];
  for (const subnet of defaultPools()) {
    if (!used.some((other) => other.overlaps(subnet))) return poolOf(subnet);
  }
  throw new ContainerError(
    "NO_ADDRESS",
    "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
    "Choose one with --subnet",
  );
}

/** A subnet nobody else has. See RFC 4193. */
function uniqueLocalSubnet(): Subnet {
  const bytes = Buffer.concat([Uint8Array.of(0xfd), randomBytes(5), Buffer.alloc(10)]);
  return new Subnet(ipOfBytes(bytes), 64);
}

/**
 * The address a container gets in a pool.
 * @param wanted its own choice, checked by {@link checkChoice}.
 * @param isTaken whether another container has an address.
 * @throws {ContainerError} `NO_ADDRESS`, `ADDRESS_IN_USE`.
 */
export function pickAddress(
  network: NetworkRecord,
  pool: AddressPool,
  wanted: string | undefined,
  isTaken: (address: string) => boolean,
): { readonly address: string; readonly prefix: number } {
  const subnet = Subnet.parse(pool.subnet);
  if (subnet === undefined) throw new Error(`The network ${network.name} has no subnet`);
  const { prefix } = subnet;
  const spokenFor = new Set([pool.gateway, ...Object.values(pool.reserved)]);
  if (wanted !== undefined) {
    const address = formatIp(parseIp(wanted) ?? "");
    if (spokenFor.has(address) || isTaken(address)) {
      throw new ContainerError("ADDRESS_IN_USE", "Address already in use");
    }
    return { address, prefix };
  }
  const range = Subnet.parse(pool.range ?? pool.subnet) ?? subnet;
  // The network's own address, and the broadcast address, are nobody's.
  const isEdge = (ip: Ip) =>
    subnet.size > 2n && (ip === subnet.network || (isV4(ip) && ip === subnet.last));
  const count = range.size < BigInt(SCAN_MAX) ? Number(range.size) : SCAN_MAX;
  for (let i = 0; i < count; i++) {
    const ip = range.at(BigInt(i));
    const address = formatIp(ip);
    if (!isEdge(ip) && !spokenFor.has(address) && !isTaken(address)) return { address, prefix };
  }
  const pools = `${subnet.isV4 ? "IPv4" : "IPv6"} addresses on this network's address pools`;
  throw new ContainerError("NO_ADDRESS", `no available ${pools}: ${network.name} (${network.id})`);
}

/**
 * Checks addresses that a container has chosen in a network.
 * @throws {ContainerError} `INVALID_ENDPOINT` in docker's words.
 */
export function checkChoice(
  network: NetworkRecord,
  choice: { readonly ipv4?: string | undefined; readonly ipv6?: string | undefined },
): void {
  const wanted = [choice.ipv4, choice.ipv6].filter((text) => text !== undefined && text !== "");
  if (wanted.length === 0) return;
  const refuse = (why: string): never => {
    throw new ContainerError(
      "INVALID_ENDPOINT",
      `invalid config for network ${network.name}: invalid endpoint settings:\n${why}`,
    );
  };
  if (network.name === "bridge" || network.driver !== "bridge") {
    refuse("user specified IP address is supported on user defined networks only");
  }
  if (!network.ipam.chosen) {
    refuse(
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    );
  }
  for (const text of wanted) {
    const ip = parseIp(text ?? "");
    if (ip === undefined || isV4(ip) !== (text === choice.ipv4)) {
      refuse(`invalid ${text === choice.ipv4 ? "IPv4" : "IPv6"} address: ${text}`);
      continue;
    }
    const pool = network.ipam.pools.find(({ subnet }) => Subnet.parse(subnet)?.contains(ip));
    const range = Subnet.parse(pool?.subnet ?? "");
    if (range === undefined) {
      refuse(`no configured subnet or ip-range contain the IP address ${text}`);
    }
  }
}
