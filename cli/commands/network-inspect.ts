import { describeNetwork } from "../../sentry/container/network/describe-network.ts";
import { NetworkStore } from "../../sentry/container/network/network-store.ts";
import { openDirectories } from "../context.ts";
import { each } from "../each.ts";
import type { Values } from "../option.ts";
import type { NETWORK_INSPECT_OPTIONS } from "../options.ts";
import { fillTemplate } from "../output.ts";

export async function main(
  values: Values<typeof NETWORK_INSPECT_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const networks = new NetworkStore(openDirectories());
  const found: unknown[] = [];
  const exitCode = await each(operands, (reference) => {
    const network = networks.find(reference);
    found.push(describeNetwork(network, networks.rendezvous(network).members()));
    return undefined;
  });
  const { format } = values;
  if (format === undefined || format === "table" || format === "json" || values.json) {
    process.stdout.write(`${JSON.stringify(found, undefined, format === "json" ? 0 : 4)}\n`);
  } else {
    for (const network of found) process.stdout.write(`${fillTemplate(format, network)}\n`);
  }
  return exitCode;
}
