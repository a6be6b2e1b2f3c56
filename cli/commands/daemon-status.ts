import { daemonPid, socketPathOf } from "../../daemon/daemon.ts";
import { openDirectories } from "../context.ts";
import type { DAEMON_STATUS_OPTIONS } from "../engine-options.ts";
import { EXIT } from "../errors.ts";
import type { Values } from "../option.ts";
import { printValue } from "../output.ts";

export function main(values: Values<typeof DAEMON_STATUS_OPTIONS>): number {
  const directories = openDirectories();
  const pid = daemonPid(directories);
  const report = {
    Running: pid !== undefined,
    Pid: pid ?? 0,
    Socket: socketPathOf(directories),
    Root: directories.root,
  };
  printValue(report, values, () =>
    pid === undefined
      ? 'The daemon does not run: start it with "ddcli daemon start"'
      : `The daemon runs (process ${pid}) and listens on ${report.Socket}`,
  );
  return pid === undefined ? EXIT.failed : EXIT.ok;
}
