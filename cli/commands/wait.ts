import { ask, untilFree } from "../../sentry/container/ask.ts";
import { openContainers } from "../context.ts";
import { each } from "../each.ts";
import type { Values } from "../option.ts";
import type { WAIT_OPTIONS } from "../options.ts";

export function main(
  _values: Values<typeof WAIT_OPTIONS>,
  operands: readonly string[],
): Promise<number> {
  const store = openContainers();
  return each(operands, async (name) => {
    const container = store.find(name);
    const { id } = container.record.spec;
    if (container.state.status === "running") {
      const client = ask(store, container, { op: "wait" });
      const reply = await client.next();
      client.close();
      await untilFree(store, id);
      if (reply?.kind === "exited") return String(reply.status.code);
    }
    const state = store.read(id)?.state;
    return String(state?.status === "exited" ? state.exitCode : 0);
  });
}
