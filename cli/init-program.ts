import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fromText } from "../sentry/abi/bytes.ts";
import type { Isa } from "../sentry/abi/numbers.ts";
import type { ProcessConfig } from "../sentry/container/record.ts";
import { HOST_ISA } from "../sentry/host/isa.ts";
import type { BindMountSpec } from "../sentry/spec.ts";
import { CliError, EXIT } from "./errors.ts";

/** Where docker has its init. */
const TARGET = "/sbin/docker-init";

/**
 * What `--init` needs: the program as a mount, and the command behind it.
 * @throws {CliError} `NO_INIT` when it is not built, or not for the image's processor.
 */
export function withInit(
  process_: ProcessConfig,
  isa: Isa,
): { readonly process: ProcessConfig; readonly mount: BindMountSpec } {
  const program = fileURLToPath(new URL("../../Release/dd-init", import.meta.url));
  if (isa !== HOST_ISA || !existsSync(program)) {
    throw new CliError("NO_INIT", `There is no init for ${isa} programs here`, {
      hint: "Leave out --init; the image may have an init of its own",
      exitCode: EXIT.dd,
    });
  }
  return {
    process: { ...process_, argv: [TARGET, "--", ...process_.argv] },
    mount: { kind: "bind", source: fromText(program), target: TARGET, readOnly: true },
  };
}
