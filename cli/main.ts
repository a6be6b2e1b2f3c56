import { fileURLToPath } from "node:url";
import { COMMANDS } from "./commands.ts";
import { loadSentry } from "./compose.ts";
import { main } from "./program.ts";

main({
  commands: COMMANDS,
  loadSentry,
  backgroundProgram: fileURLToPath(new URL("./background-main.js", import.meta.url)),
});
