import { daemonPid } from "../../daemon/daemon.ts";
import { openDirectories } from "../context.ts";
import { CliError, EXIT } from "../errors.ts";

const STOP_MS_MAX = 15_000;
const POLL_MS = 10;

export async function main(): Promise<number> {
  const directories = openDirectories();
  const pid = daemonPid(directories);
  if (pid === undefined) throw new CliError("NO_DAEMON", "No daemon runs");
  process.kill(pid, "SIGTERM");
  for (let waited = 0; waited < STOP_MS_MAX; waited += POLL_MS) {
    if (daemonPid(directories) === undefined) return EXIT.ok;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new CliError("DAEMON_STUCK", `The daemon (process ${pid}) does not end`, {
    hint: `kill -9 ${pid} does no harm to containers`,
  });
}
