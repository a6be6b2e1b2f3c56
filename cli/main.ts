import { fileURLToPath } from "node:url";
import { COMMANDS } from "./commands.ts";
import { loadSentry } from "./compose.ts";
import { main } from "./program.ts";

main({
  commands: COMMANDS,
  loadSentry,
  pageDirectory: fileURLToPath(new URL("../../ui", import.meta.url)),
  buildStepProgram: fileURLToPath(new URL("../../../cli/ddcli-build-step.cjs", import.meta.url)),
  backgroundProgram: fileURLToPath(new URL("../../../cli/ddcli-background.cjs", import.meta.url)),
});
