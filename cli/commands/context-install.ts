import { socketPathOf } from "../../daemon/daemon.ts";
import { openDirectories } from "../context.ts";
import { CONTEXT_NAME, DockerContext } from "../docker-context.ts";
import type { CONTEXT_INSTALL_OPTIONS } from "../engine-options.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";

export function main(values: Values<typeof CONTEXT_INSTALL_OPTIONS>): number {
  const socket = values.socket ?? socketPathOf(openDirectories());
  new DockerContext(process.env).install(socket, !values["no-use"]);
  process.stdout.write(`${CONTEXT_NAME}\n`);
  if (process.env["DOCKER_HOST"] || process.env["DOCKER_CONTEXT"]) {
    process.stderr.write("ddcli: DOCKER_HOST or DOCKER_CONTEXT is set and overrides the context\n");
  }
  return EXIT.ok;
}
