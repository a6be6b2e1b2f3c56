import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { daemonPid, socketPathOf } from "../../daemon/daemon.ts";
import { openDirectories } from "../context.ts";
import type { DAEMON_START_OPTIONS } from "../engine-options.ts";
import { CliError, EXIT } from "../errors.ts";
import type { Values } from "../option.ts";

const START_MS_MAX = 15_000;
const POLL_MS = 20;

export async function main(values: Values<typeof DAEMON_START_OPTIONS>): Promise<number> {
  const directories = openDirectories();
  const socket = values.socket ?? socketPathOf(directories);
  if (daemonPid(directories) !== undefined && (await answers(socket))) {
    process.stdout.write(`${socket}\n`);
    return EXIT.ok;
  }
  const logPath = join(directories.root, "daemon.log");
  const log = openSync(logPath, "a", 0o600);
  const words = [
    ...(values.socket === undefined ? [] : ["--socket", values.socket]),
    ...values["insecure-registry"].flatMap((host) => ["--insecure-registry", host]),
    ...values["registry-mirror"].flatMap((url) => ["--registry-mirror", url]),
  ];
  const child = spawn(process.execPath, [process.argv[1] ?? "", "daemon", "run", ...words], {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: "/",
  });
  closeSync(log);
  let failed = false;
  child.once("error", () => {
    failed = true;
  });
  child.once("exit", () => {
    failed = true;
  });
  for (let waited = 0; waited < START_MS_MAX && !failed; waited += POLL_MS) {
    if (await answers(socket)) {
      child.unref();
      process.stdout.write(`${socket}\n`);
      return EXIT.ok;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new CliError("DAEMON_FAILED", "The daemon did not start", { hint: `See ${logPath}` });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
