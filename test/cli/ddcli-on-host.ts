/** ddcli with a sentry whose processes are the host's own; for the tests of this folder. */
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../cli/commands.ts";
import { main } from "../../cli/program.ts";
import { FakeSentry } from "../sentry/container/fake-sentry.ts";

main({
  commands: COMMANDS,
  loadSentry: async () => FakeSentry,
  pageDirectory: "/nonexistent",
  buildStepProgram: "/nonexistent",
  backgroundProgram: fileURLToPath(new URL("./background-on-host.js", import.meta.url)),
});
