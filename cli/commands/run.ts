import { openContainers } from "../context.ts";
import { EXIT, usageError } from "../errors.ts";
import { runInForeground } from "../foreground.ts";
import { newContainer } from "../new-container.ts";
import type { Values } from "../option.ts";
import type { RUN_OPTIONS } from "../options.ts";
import type { Services } from "../services.ts";
import { requireTerminal } from "../user-terminal.ts";

export async function main(
  values: Values<typeof RUN_OPTIONS>,
  operands: readonly string[],
  services: Services,
): Promise<number> {
  const store = openContainers();
  if (values.detach && values.explain)
    throw usageError("--explain is for the foreground, not for -d");
  if (!values.detach) {
    // What cannot work is found before a container is made.
    if (values.tty && values.interactive) requireTerminal();
    const Sentry = await services.loadSentry();
    const held = await newContainer(store, values, operands);
    const options = { stdin: values.interactive, explain: values.explain };
    process.exit(await runInForeground(store, held, Sentry, options));
  }
  const held = await newContainer(store, values, operands);
  held.release();
  const { startInBackground } = await import("../../sentry/container/background.ts");
  await startInBackground(services.backgroundProgram, held.id, store.directories);
  process.stdout.write(`${held.id}\n`);
  return EXIT.ok;
}
