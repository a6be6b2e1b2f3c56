import { spawn } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Directories } from "../sentry/container/directories.ts";
import { RunningContainer } from "../sentry/container/lifecycle.ts";
import type { SentryConstructor } from "../sentry/spec.ts";
import { openContainers } from "./context.ts";
import { CliError, EXIT } from "./errors.ts";
import { forwardSignals } from "./signals.ts";

/** Descriptor of the background process on which it tells how the start went, as one line of JSON. */
const REPORT_FD = 3;
/** More than any report. */
const REPORT_BYTES_MAX = 64 * 1024;
/** Diagnostics of a container's sentry, in the container's directory. */
const SENTRY_LOG = "sentry.log";

type Report = { readonly exitCode: number; readonly message: string };

/**
 * Starts a container, held by nobody, in a process of its own that outlives this one.
 * @throws {CliError} `START_FAILED` with the exit code docker gives for the reason.
 */
export async function startInBackground(
  program: string,
  id: string,
  directories: Directories,
): Promise<void> {
  const child = spawn(process.execPath, [program, id], {
    // A session of its own: a hang-up or Ctrl-C of this terminal is none of its business.
    detached: true,
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    cwd: "/",
    env: { ...process.env, DD_ROOT: directories.root, DD_RUN: directories.run },
  });
  const report = await new Promise<string>((resolve, reject) => {
    let text = "";
    const pipe = child.stdio[REPORT_FD];
    child.on("error", reject);
    pipe?.on("data", (bytes: Buffer) => {
      text += bytes.toString("utf8");
      // Not its end: forks of a trusted container's sentry may keep the pipe open.
      if (text.includes("\n") || text.length > REPORT_BYTES_MAX) resolve(text);
    });
    pipe?.on("close", () => resolve(text));
  });
  child.stdio[REPORT_FD]?.destroy();
  child.unref();
  const { exitCode, message } = parseReport(report);
  if (exitCode !== EXIT.ok) throw new CliError("START_FAILED", message, { exitCode });
}

function parseReport(text: string): Report {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return {
      exitCode: EXIT.dd,
      message: "The container's process ended before it could say whether it started",
    };
  }
}

/** The whole life of a background process: runs the container `id`, logs what it prints, and exits. */
export function runInBackground(id: string, loadSentry: () => Promise<SentryConstructor>): void {
  start(id, loadSentry).then(tell, (error: unknown) => {
    const { exitCode, message } = error as Error & { exitCode?: number };
    tell({ exitCode: exitCode ?? EXIT.dd, message });
  });
}

async function start(id: string, loadSentry: () => Promise<SentryConstructor>): Promise<Report> {
  const store = openContainers();
  const Sentry = await loadSentry();
  const held = store.tryHold(id);
  if (held === undefined)
    throw new CliError("BUSY", `The container ${id} is already being started`);
  const sentryLog = openSync(join(held.directory, SENTRY_LOG), "a", 0o600);
  const stdin = openSync("/dev/null", "r");
  let running: RunningContainer | undefined;
  // A signal for who waits for the start is none for the container: this is a session of its own.
  forwardSignals((signo) => running?.signal(signo));
  const started = RunningContainer.start(
    store,
    held,
    Sentry,
    { kind: "log", tty: held.record.tty, stdin },
    (line) => writeSync(sentryLog, `${line}\n`),
    () => process.exit(EXIT.ok),
  );
  closeSync(stdin);
  if (!(started instanceof RunningContainer)) return started;
  running = started;
  return { exitCode: EXIT.ok, message: "" };
}

function tell(report: Report): void {
  writeSync(REPORT_FD, `${JSON.stringify(report)}\n`);
  closeSync(REPORT_FD);
  if (report.exitCode !== EXIT.ok) process.exit(report.exitCode);
}
