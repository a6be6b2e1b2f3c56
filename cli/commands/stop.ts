import { stopContainer } from "../../sentry/container/ask.ts";
import { parseSignal } from "../../sentry/container/signal-name.ts";
import { openContainers } from "../context.ts";
import { each } from "../each.ts";
import { usageError } from "../errors.ts";
import type { Values } from "../option.ts";
import type { STOP_OPTIONS } from "../options.ts";
import { parseCount } from "../sizes.ts";

const SECONDS_MAX = 1_000_000;
/** "-1" waits for ever: as long as a timer can. */
const FOREVER_MS = 2 ** 31 - 1;

export function main(
  values: Values<typeof STOP_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = openContainers();
  const signo = values.signal === undefined ? undefined : parseSignal(values.signal);
  if (values.signal !== undefined && signo === undefined) {
    throw usageError(`invalid signal: ${values.signal}`);
  }
  const wanted =
    values.time === undefined ? undefined : parseCount(values.time, "--time", -1, SECONDS_MAX);
  return each(operands, async (name) => {
    const container = store.find(name);
    const seconds = wanted ?? container.record.stopTimeoutSeconds;
    await stopContainer(
      store,
      container,
      signo ?? container.record.stopSignal,
      seconds < 0 ? FOREVER_MS : seconds * 1000,
    );
    return name;
  });
}
