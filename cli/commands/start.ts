import { startInBackground } from "../../sentry/container/background.ts";
import { ContainerError } from "../../sentry/container/errors.ts";
import { openContainers } from "../context.ts";
import { each } from "../each.ts";
import { usageError } from "../errors.ts";
import { runInForeground } from "../foreground.ts";
import type { Values } from "../option.ts";
import type { START_OPTIONS } from "../options.ts";
import type { Services } from "../services.ts";

export async function main(
  values: Values<typeof START_OPTIONS>,
  operands: readonly string[],
  services: Services,
): Promise<number> {
  const store = openContainers();
  if (!values.attach && !values.interactive) {
    return each(operands, async (name) => {
      const { record, state } = store.find(name);
      if (state.status !== "running") {
        await startInBackground(services.backgroundProgram, record.spec.id, store.directories);
      }
      return name;
    });
  }
  const [name = "", another] = operands;
  if (another !== undefined) {
    throw usageError("you cannot start and attach multiple containers at once");
  }
  const Sentry = await services.loadSentry();
  const held = store.tryHold(store.find(name).record.spec.id);
  if (held === undefined) {
    throw new ContainerError(
      "CONTAINER_RUNNING",
      `The container ${name} is running already`,
      `See what it prints with "ddcli logs -f ${name}"`,
    );
  }
  const options = { stdin: values.interactive, explain: false };
  process.exit(await runInForeground(store, held, Sentry, options));
}
