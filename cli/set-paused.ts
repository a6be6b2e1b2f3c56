import { ask } from "../sentry/container/ask.ts";
import { openContainers } from "./context.ts";
import { each } from "./each.ts";
import { CliError } from "./errors.ts";

/** Freezes running containers, or lets them go on. @returns the exit code. */
export function setPaused(names: readonly string[], paused: boolean): Promise<number> {
  const store = openContainers();
  return each(names, async (name) => {
    const client = ask(store, store.find(name), { op: paused ? "pause" : "unpause" });
    const reply = await client.next();
    client.close();
    if (reply?.kind === "done") return name;
    throw new CliError(
      paused ? "ALREADY_PAUSED" : "NOT_PAUSED",
      `container ${name} is ${paused ? "already paused" : "not paused"}`,
    );
  });
}
