import type { RestartPolicy } from "../../sentry/container/record.ts";
import { updateContainer } from "../../sentry/container/record-changes.ts";
import { openContainers } from "../context.ts";
import { each } from "../each.ts";
import { usageError } from "../errors.ts";
import { parseLimits } from "../limits.ts";
import type { Values } from "../option.ts";
import type { UPDATE_OPTIONS } from "../options.ts";

export function main(
  values: Values<typeof UPDATE_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = openContainers();
  const { ulimits: _, ...limits } = parseLimits(values);
  const restart = values.restart === undefined ? undefined : parsePolicy(values.restart);
  return each(operands, async (name) => {
    const update = restart === undefined ? { limits } : { limits, restart };
    for (const late of await updateContainer(store, store.find(name), update)) {
      process.stderr.write(`ddcli: ${late}\n`);
    }
    return name;
  });
}

/** @returns null for "no". */
function parsePolicy(text: string): RestartPolicy | null {
  if (text === "no") return null;
  const [, name, count] = /^(always|unless-stopped|on-failure)(?::(\d{1,6}))?$/.exec(text) ?? [];
  if (name === undefined || (count !== undefined && name !== "on-failure")) {
    throw usageError(`invalid restart policy: ${text}`, "Example: on-failure:3");
  }
  return { name: name as RestartPolicy["name"], maximumRetryCount: Number(count ?? 0) };
}
