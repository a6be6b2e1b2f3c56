import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fromText } from "../abi/bytes.ts";
import type { Isa } from "../abi/numbers.ts";
import { HOST_ISA } from "../host/isa.ts";
import type { BindMountSpec } from "../spec.ts";
import { ContainerError } from "./errors.ts";
import type { ProcessConfig } from "./record.ts";

/** Where docker has its init. */
export const INIT_TARGET = "/sbin/docker-init";

/**
 * What `--init` needs: the program as a mount, and the command behind it.
 * @throws {ContainerError} `NO_INIT` when it is not built for the image's processor.
 */
export function withInit(
  process_: ProcessConfig,
  isa: Isa,
): { readonly process: ProcessConfig; readonly mount: BindMountSpec } {
  const name = isa === HOST_ISA ? "dd-init" : `dd-init-${isa}`;
  const program = fileURLToPath(new URL(`../../../Release/${name}`, import.meta.url));
  if (!existsSync(program)) {
    throw new ContainerError(
      "NO_INIT",
      `There is no init for ${isa} programs here`,
      "Leave out --init, or build dd where a cross compiler for that processor is installed",
    );
  }
  return {
    process: { ...process_, argv: [INIT_TARGET, "--", ...process_.argv] },
    mount: { kind: "bind", source: fromText(program), target: INIT_TARGET, readOnly: true },
  };
}
