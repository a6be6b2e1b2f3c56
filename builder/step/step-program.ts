import { openSync, writeSync } from "node:fs";
import { toText } from "../../sentry/abi/bytes.ts";
import { SIGKILL } from "../../sentry/abi/signal.ts";
import { ContainerError } from "../../sentry/container/errors.ts";
import { Networking } from "../../sentry/container/network/networking.ts";
import { exitCodeOf, processSpec } from "../../sentry/container/process-spec.ts";
import { ContainerStore } from "../../sentry/container/store.ts";
import type { SentryConstructor } from "../../sentry/spec.ts";
import { ORDER_BYTES_MAX, REPORT_FD, type StepOrder, type StepReport } from "./step-order.ts";

const DD_FAILED = 125;
const FULL_WAIT_MS = 2;

/**
 * The whole life of a step's process: takes its order, runs the container on its own descriptors 1 and 2, tells how it
 * ended and what it has changed, and exits.
 */
export async function runStepProgram(loadSentry: () => Promise<SentryConstructor>): Promise<void> {
  const [order, Sentry] = await Promise.all([readOrder(), loadSentry()]);
  try {
    start(order, Sentry);
  } catch (error) {
    finish(defect(error));
  }
}

/**
 * Runs the command. From here on nothing waits for a promise: the sentry's loop has the thread until the end of the
 * container, whose files are read before it is let go of.
 */
function start(order: StepOrder, Sentry: SentryConstructor): void {
  const { spec, process: config } = order;
  const networking = open(order);
  const log = (line: string) => process.stderr.write(`${line}\n`);
  const sentry = new Sentry(networking?.spec() ?? spec, { log, ...networking?.options() });
  networking?.started(sentry);
  const stdin = openSync("/dev/null", "r");
  const started = sentry.start(processSpec(sentry, config), { stdin, stdout: 1, stderr: 2 });
  if ("errno" in started) {
    const { message } = started;
    sentry.close();
    networking?.close();
    finish({ kind: "failed", exitCode: exitCodeOf(started), message });
  }
  // Whoever has ordered the step wants it no more, or is gone.
  process.stdin.on("end", () => started.signal(SIGKILL));
  process.stdin.resume();
  started.onExit(({ code }) => {
    try {
      if (code === 0) {
        tell({ kind: "done" });
        const without = new Set(spec.mounts.map(({ target }) => target));
        for (const piece of sentry.files.layer(without)) write(piece);
      } else tell({ kind: "failed", exitCode: code });
      const prepareNext = sentry.close();
      networking?.close();
      prepareNext?.();
      process.exit(0);
    } catch (error) {
      // The archive has no end now, and so is no layer.
      const { message } = error as Error;
      process.stderr.write(`${message}\n`);
      process.exit(DD_FAILED);
    }
  });
}

/** Takes the step's places in its networks. */
function open({ spec, networking }: StepOrder): Networking | undefined {
  if (networking === undefined) return undefined;
  const { directories, directory, name } = networking;
  try {
    return Networking.open(new ContainerStore(directories), {
      id: spec.id,
      directory,
      runDirectory: toText(spec.runDirectory),
      record: { name, spec },
    });
  } catch (error) {
    if (error instanceof ContainerError) finish({ kind: "refused", message: error.message });
    throw error;
  }
}

function defect(error: unknown): StepReport {
  const { code, message, stack } = error as Error & { code?: unknown };
  const text = typeof code === "string" ? message : `defect in dd: ${stack ?? message}`;
  return { kind: "failed", exitCode: DD_FAILED, message: text };
}

function readOrder(): Promise<StepOrder> {
  return new Promise((resolve, reject) => {
    let text = "";
    const take = (bytes: Buffer) => {
      text += bytes.toString("utf8");
      if (text.length > ORDER_BYTES_MAX) reject(new Error("The order of a step is too long"));
      if (!text.includes("\n")) return;
      process.stdin.off("data", take);
      resolve(JSON.parse(text) as StepOrder);
    };
    process.stdin.on("data", take);
    process.stdin.on("error", reject);
  });
}

function finish(report: StepReport): never {
  tell(report);
  process.exit(0);
}

function tell(report: StepReport): void {
  write(Buffer.from(`${JSON.stringify(report)}\n`));
}

/** Writes all of it, waiting while the builder has not read what is before. */
function write(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(REPORT_FD, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_WAIT_MS);
    }
  }
}
