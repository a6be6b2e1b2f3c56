import { ask } from "../sentry/container/ask.ts";
import type { Container } from "../sentry/container/record.ts";
import type { ContainerStore } from "../sentry/container/store.ts";
import { openContainers } from "./context.ts";
import { each } from "./each.ts";
import { CliError } from "./errors.ts";

/** Freezes running containers, or lets them go on. @returns the exit code. */
export function setPaused(names: readonly string[], paused: boolean): Promise<number> {
  const store = openContainers();
  return each(names, async (name) => {
    if (await askPaused(store, store.find(name), paused)) return name;
    throw new CliError(
      paused ? "ALREADY_PAUSED" : "NOT_PAUSED",
      `container ${name} is ${paused ? "already paused" : "not paused"}`,
    );
  });
}

/**
 * Freezes a running container, or lets it go on. @returns false when it was so already.
 * @throws {ContainerError} `CONTAINER_NOT_RUNNING`.
 */
export async function askPaused(
  store: ContainerStore,
  container: Container,
  paused: boolean,
): Promise<boolean> {
  const client = ask(store, container, { op: paused ? "pause" : "unpause" });
  const reply = await client.next();
  client.close();
  return reply?.kind === "done";
}
