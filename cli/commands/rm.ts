import { SIGKILL } from "../../sentry/abi/signal.ts";
import { hold, stopContainer } from "../../sentry/container/ask.ts";
import { ContainerError } from "../../sentry/container/errors.ts";
import { removeContainer } from "../../sentry/container/lifecycle.ts";
import type { ContainerStore } from "../../sentry/container/store.ts";
import { openContainers } from "../context.ts";
import { each } from "../each.ts";
import type { Values } from "../option.ts";
import type { RM_OPTIONS } from "../options.ts";

export function main(
  values: Values<typeof RM_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = openContainers();
  return each(operands, async (name) => {
    try {
      await remove(store, name, values);
    } catch (error) {
      // With --rm it removes itself as it ends; with -f that is as good.
      const gone = error instanceof ContainerError && error.code === "NO_SUCH_CONTAINER";
      if (!gone || !values.force) throw error;
    }
    return name;
  });
}

async function remove(
  store: ContainerStore,
  name: string,
  { force, volumes }: Values<typeof RM_OPTIONS>,
): Promise<void> {
  const container = store.find(name);
  if (container.state.status === "running") {
    if (!force) {
      throw new ContainerError(
        "CONTAINER_RUNNING",
        `cannot remove container "${name}": container is running`,
        `Stop it first ("ddcli stop ${name}") or use "ddcli rm -f ${name}"`,
      );
    }
    await stopContainer(store, container, SIGKILL, 0);
  }
  removeContainer(store, await hold(store, container), volumes);
}
