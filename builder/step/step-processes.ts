import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fromText } from "../../sentry/abi/bytes.ts";
import type { Directories } from "../../sentry/container/directories.ts";
import { randomId, randomName } from "../../sentry/container/names.ts";
import type { ContainerSpec, Mode } from "../../sentry/spec.ts";
import { BuildError } from "../errors.ts";
import type { StepEnd, StepRunner, StepSpec } from "../solve/request.ts";
import { WorkDirectory } from "../solve/work-directory.ts";
import { isInNetwork, stepNetwork } from "./step-network.ts";
import { REPORT_BYTES_MAX, type StepOrder, type StepReport } from "./step-order.ts";

/** Of a container's id, in paths of the run directory: socket paths have at most 107 bytes. */
const RUN_NAME_LENGTH = 16;
/** How long a step that was stopped may take to end before it is killed. */
const STOP_TIMEOUT_MS = 5000;

/** Runs each step in a process of its own, which is the sentry of the step's container. */
export class StepProcesses implements StepRunner {
  readonly #program: string;
  readonly #directories: Directories;
  readonly #mode: Mode;

  /** @param program path of the program that {@link runStepProgram} is the life of */
  constructor(program: string, directories: Directories, mode: Mode) {
    this.#program = program;
    this.#directories = directories;
    this.#mode = mode;
  }

  async run(
    step: StepSpec,
    keep: (changes: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<StepEnd> {
    const { root, run } = this.#directories;
    const work = await WorkDirectory.make(join(root, "build", "steps"));
    const id = randomId();
    const runDirectory = join(run, id.slice(0, RUN_NAME_LENGTH));
    try {
      const upper = work.fresh("upper");
      await mkdir(upper, { mode: 0o700 });
      await mkdir(runDirectory, { recursive: true, mode: 0o700 });
      const order = this.#order(step, id, upper, runDirectory, work.path);
      step.started(id);
      return await this.#execute(order, step, keep);
    } finally {
      await rm(runDirectory, { recursive: true, force: true });
      await work.remove();
    }
  }

  #order(
    step: StepSpec,
    id: string,
    upper: string,
    runDirectory: string,
    directory: string,
  ): StepOrder {
    const spec: ContainerSpec = {
      id,
      mode: this.#mode,
      hostname: fromText(step.hostname),
      isa: step.isa,
      rootfs: {
        store: fromText(this.#directories.root),
        image: "",
        layers: step.layers.map(fromText),
        upper: fromText(upper),
        readOnly: false,
      },
      mounts: step.mounts,
      network: stepNetwork(step, this.#mode, this.#directories, directory),
      limits: step.limits,
      ...(step.shmBytes === undefined ? {} : { shmBytes: step.shmBytes }),
      runDirectory: fromText(runDirectory),
      trace: process.env["DD_TRACE"] === "1",
    };
    const { argv, env, cwd, user } = step;
    return {
      spec,
      process: { argv: argv.map(fromText), env: env.map(fromText), cwd: fromText(cwd), user },
      ...(isInNetwork(step)
        ? { networking: { directories: this.#directories, directory, name: randomName(false) } }
        : {}),
    };
  }

  async #execute(
    order: StepOrder,
    { output, signal }: StepSpec,
    keep: (changes: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<StepEnd> {
    if (signal.aborted) throw new BuildError("BUILD_CANCELED", "context canceled");
    const child = spawn(process.execPath, [this.#program], {
      // A Ctrl-C of the terminal is for the builder, which then stops the step.
      detached: true,
      stdio: ["pipe", "pipe", "pipe", "pipe"],
      cwd: "/",
    });
    const stop = () => stopChild(child);
    signal.addEventListener("abort", stop);
    const ended = new Promise<void>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", () => resolve());
    });
    ended.catch(() => undefined); // looked at below
    child.stdout?.on("data", (bytes: Buffer) => output(1, bytes));
    child.stderr?.on("data", (bytes: Buffer) => output(2, bytes));
    child.stdin?.on("error", () => undefined); // it has ended: its report, or its absence, tells
    child.stdin?.write(`${JSON.stringify(order)}\n`);
    try {
      const { report, rest } = await readReport(child.stdio[3] as Readable);
      if (report?.kind === "done") await keep(rest);
      else rest.return(undefined);
      await ended;
      if (report?.kind === "refused") throw new BuildError("BUILD_INPUT", report.message);
      if (report !== undefined) return report.kind === "done" ? report : failure(report);
      return { kind: "failed", exitCode: 137, message: "the process of the step was killed" };
    } finally {
      signal.removeEventListener("abort", stop);
      child.stdin?.end();
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    }
  }
}

function failure({ exitCode, message }: StepReport & { kind: "failed" }): StepEnd {
  return { kind: "failed", exitCode, message };
}

/** The end of its standard input tells the step to stop. */
function stopChild(child: ChildProcess): void {
  child.stdin?.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  child.on("close", () => clearTimeout(timer));
}

/** The first line, and the bytes after it. */
async function readReport(
  pipe: Readable,
): Promise<{ report: StepReport | undefined; rest: AsyncGenerator<Uint8Array, void, void> }> {
  const chunks = pipe[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let head = Buffer.alloc(0);
  while (!head.includes("\n") && head.length <= REPORT_BYTES_MAX) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const end = head.indexOf("\n");
  const report = end < 0 ? undefined : (JSON.parse(head.toString("utf8", 0, end)) as StepReport);
  return { report, rest: following(head.subarray(end + 1), chunks) };
}

async function* following(
  head: Uint8Array,
  chunks: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    if (head.length > 0) yield head;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
}
