import { readEgressLog } from "../../sentry/container/network/egress-log.ts";
import { openContainers } from "../context.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import type { EGRESS_OPTIONS } from "../options.ts";
import { printRows } from "../output.ts";

const COLUMNS = [
  ["TIME", "Time"],
  ["VERDICT", "Verdict"],
  ["PROTOCOL", "Protocol"],
  ["DESTINATION", "Destination"],
  ["NAMES", "Names"],
  ["RULE", "Rule"],
] as const;

export function main(values: Values<typeof EGRESS_OPTIONS>, operands: readonly string[]): number {
  const store = openContainers();
  const { record } = store.find(operands[0] ?? "");
  const attempts = readEgressLog(store.directoryOf(record.spec.id));
  const rows = attempts
    .filter(({ allowed }) => !values.denied || !allowed)
    .map(({ time, protocol, host, port, names, allowed, rule }) => ({
      Time: new Date(time).toISOString(),
      Verdict: allowed ? "allowed" : "denied",
      Protocol: protocol,
      Destination: `${host.includes(":") ? `[${host}]` : host}:${port}`,
      Names: names.join(","),
      Rule: rule,
    }));
  printRows(rows, COLUMNS, values);
  return EXIT.ok;
}
