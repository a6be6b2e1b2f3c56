import { SIGKILL } from "../../sentry/abi/signal.ts";
import { askOnce, stopContainer } from "../../sentry/container/ask.ts";
import { parseSignal } from "../../sentry/container/signal-name.ts";
import { openContainers } from "../context.ts";
import { each } from "../each.ts";
import { usageError } from "../errors.ts";
import type { Values } from "../option.ts";
import type { KILL_OPTIONS } from "../options.ts";

export function main(
  values: Values<typeof KILL_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = openContainers();
  const signo = values.signal === undefined ? SIGKILL : parseSignal(values.signal);
  if (signo === undefined) throw usageError(`invalid signal: ${values.signal}`);
  return each(operands, async (name) => {
    const container = store.find(name);
    await askOnce(store, container, { op: "kill", signo }, "done");
    // Afterwards "ps" is to show it as ended.
    if (signo === SIGKILL) await stopContainer(store, container, signo, 0);
    return name;
  });
}
