import "../../daemon/small-heap.ts";

import { pino } from "pino";
import { Daemon } from "../../daemon/daemon.ts";
import { openDirectories, version } from "../context.ts";
import type { DAEMON_RUN_OPTIONS } from "../engine-options.ts";
import { EXIT, usageError } from "../errors.ts";
import type { Values } from "../option.ts";
import type { Services } from "../services.ts";
import { parseCount } from "../sizes.ts";

const LEVELS = ["debug", "info", "warn", "error"];
const STDERR = 2;
const PORT_MAX = 65_535;

export async function main(
  values: Values<typeof DAEMON_RUN_OPTIONS>,
  _operands: readonly string[],
  services: Services,
): Promise<number> {
  const level = values["log-level"] ?? "info";
  if (!LEVELS.includes(level)) throw usageError(`invalid log level: ${level}`, LEVELS.join(", "));
  const logger = pino({ level, base: null }, pino.destination({ fd: STDERR, sync: true }));
  const daemon = await Daemon.start({
    directories: openDirectories(),
    backgroundProgram: services.backgroundProgram,
    buildStepProgram: services.buildStepProgram,
    pageDirectory: services.pageDirectory,
    defaultMode: process.env["DDJIT_UNTRUSTED"] === "1" ? "untrusted" : "trusted",
    version: version(),
    socketPath: values.socket,
    tcpPort: values.tcp === undefined ? undefined : parseCount(values.tcp, "--tcp", 0, PORT_MAX),
    registries: { insecure: values["insecure-registry"], mirrors: values["registry-mirror"] },
    log: (severity, message, fields) => logger[severity]({ ...fields }, message),
  });
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  await daemon.close();
  process.exit(EXIT.ok);
}
