import { readLive } from "../../sentry/container/network/container-networks.ts";
import { openContainers } from "../context.ts";
import { CliError, EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { PORT_OPTIONS } from "../options.ts";

export function main(_values: Values<typeof PORT_OPTIONS>, operands: readonly string[]): number {
  const [name = "", wanted] = operands;
  const store = openContainers();
  const { record } = store.find(name);
  const ports = readLive(store.runDirectoryOf(record.spec.id))?.ports ?? [];
  const lines = ports.map(({ protocol, containerPort, hostIp, hostPort }) => ({
    port: `${containerPort}/${protocol}`,
    at: `${hostIp.includes(":") ? `[${hostIp}]` : hostIp}:${hostPort}`,
  }));
  if (wanted === undefined) {
    for (const { port, at } of lines) process.stdout.write(`${port} -> ${at}\n`);
    return EXIT.ok;
  }
  const port = wanted.includes("/") ? wanted : `${wanted}/tcp`;
  const found = lines.filter((line) => line.port === port);
  if (found.length === 0) {
    throw new CliError("NO_SUCH_PORT", `no public port '${port}' published for ${record.name}`);
  }
  for (const { at } of found) process.stdout.write(`${at}\n`);
  return EXIT.ok;
}
