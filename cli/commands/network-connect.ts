import { connectContainer } from "../../sentry/container/network/change-networks.ts";
import { PLAIN_ENDPOINT } from "../../sentry/container/network/network-record.ts";
import { NetworkStore } from "../../sentry/container/network/network-store.ts";
import { openContainers } from "../context.ts";
import { EXIT, usageError } from "../errors.ts";
import type { Values } from "../option.ts";
import type { NETWORK_CONNECT_OPTIONS } from "../options.ts";

export async function main(
  values: Values<typeof NETWORK_CONNECT_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const [networkName = "", containerName = ""] = operands;
  const priority = values["gw-priority"] ?? "0";
  if (!/^-?[0-9]{1,9}$/.test(priority)) throw usageError(`invalid --gw-priority: ${priority}`);
  const { alias, link, ip, ip6 } = values;
  const store = openContainers();
  const network = new NetworkStore(store.directories).find(networkName);
  await connectContainer(store, store.find(containerName), network, {
    ...PLAIN_ENDPOINT,
    aliases: alias,
    links: link,
    ...(ip === undefined ? {} : { ipv4: ip }),
    ...(ip6 === undefined ? {} : { ipv6: ip6 }),
    priority: Number(priority),
  });
  return EXIT.ok;
}
