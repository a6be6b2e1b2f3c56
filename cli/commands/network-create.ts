import { parseIp, Subnet } from "../../sentry/abi/ip.ts";
import type { PoolRequest } from "../../sentry/container/network/address-pools.ts";
import { NetworkStore } from "../../sentry/container/network/network-store.ts";
import { openDirectories } from "../context.ts";
import { EXIT, usageError } from "../errors.ts";
import { parseLabels } from "../labels.ts";
import type { Values } from "../option.ts";
import type { NETWORK_CREATE_OPTIONS } from "../options.ts";

export function main(
  values: Values<typeof NETWORK_CREATE_OPTIONS>,
  operands: readonly string[],
): number {
  const { driver, internal, attachable, ipv6 } = values;
  const network = new NetworkStore(openDirectories()).create(operands[0] ?? "", {
    driver,
    internal,
    attachable,
    enableIPv6: ipv6,
    pools: poolsOf(values),
    options: parseLabels(values.opt),
    labels: parseLabels(values.label),
  });
  process.stdout.write(`${network.id}\n`);
  return EXIT.ok;
}

/** Each subnet with the gateway, range and addresses that lie in it. */
function poolsOf(values: Values<typeof NETWORK_CREATE_OPTIONS>): readonly PoolRequest[] {
  const subnets = values.subnet.map((text) => {
    const subnet = Subnet.parse(text);
    if (subnet === undefined) throw usageError(`invalid subnet: ${text}`, "Example: 10.5.0.0/16");
    return { text, subnet };
  });
  const reserved = Object.entries(parseLabels(values["aux-address"]));
  const all = [...values.gateway, ...values["ip-range"], ...reserved.map(([, address]) => address)];
  const isIn = (subnet: Subnet, address: string) =>
    subnet.contains(parseIp(address.split("/")[0] ?? "") ?? "");
  const lost = all.find((address) => !subnets.some(({ subnet }) => isIn(subnet, address)));
  if (lost !== undefined) throw usageError(`no matching subnet for ${lost}`);
  return subnets.map(({ text, subnet }) => ({
    subnet: text,
    gateway: values.gateway.find((address) => isIn(subnet, address)),
    range: values["ip-range"].find((address) => isIn(subnet, address)),
    reserved: Object.fromEntries(reserved.filter(([, address]) => isIn(subnet, address))),
  }));
}
