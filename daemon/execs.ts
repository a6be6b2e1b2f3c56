import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { PassThrough, Readable } from "node:stream";
import type {
  ConsoleSize,
  ExecConfig,
  ExecStart,
  ExecsEngine,
  PreparedExec,
} from "../api/engine/execs.ts";
import type { JsonObject } from "../api/engine/json.ts";
import { ApiError } from "../api/errors.ts";
import type { ProcessStreams } from "../api/row.ts";
import { toText } from "../sentry/abi/bytes.ts";
import { ask } from "../sentry/container/ask.ts";
import type { ControlClient } from "../sentry/container/control-client.ts";
import type { Request } from "../sentry/container/control-protocol.ts";
import { execConfig } from "../sentry/container/process-config.ts";
import type { Container, ProcessConfig } from "../sentry/container/record.ts";
import { attributesOf } from "./container/attributes.ts";
import { execFailure } from "./container/start-failure.ts";
import type { Containers } from "./containers.ts";
import type { DaemonContext } from "./context.ts";
import { closeAll, inputPipe, type OutputPipe, outputPipe } from "./pipes.ts";
import { refusing } from "./refusals.ts";

/** Execs that have ended and can still be asked about. */
const ENDED_MAX = 1024;
/** What a background process of an exec may still print is waited for so long. */
const LINGER_MS = 20;
const UNSEEN_TERMINAL: ConsoleSize = { rows: 24, cols: 80 };
const KILLED = 137;

interface Exec {
  readonly id: string;
  readonly containerId: string;
  /** Of the container: an exec that was not started in it is gone with it. */
  readonly run: number;
  readonly config: ExecConfig;
  readonly process: ProcessConfig;
  state: "created" | "running" | "ended";
  pid: number;
  exitCode: number | undefined;
  client: ControlClient | undefined;
}

/** Further processes of running containers. They are this daemon's: its end forgets them. */
export class Execs implements ExecsEngine {
  private readonly context: DaemonContext;
  private readonly containers: Pick<Containers, "find">;
  private readonly execs = new Map<string, Exec>();

  constructor(context: DaemonContext, containers: Pick<Containers, "find">) {
    this.context = context;
    this.containers = containers;
  }

  /** Of those that run, or are about to. */
  idsOf(containerId: string): readonly string[] {
    return [...this.execs.values()]
      .filter((exec) => exec.containerId === containerId && exec.state !== "ended")
      .map(({ id }) => id);
  }

  async create(reference: string, config: ExecConfig): Promise<string> {
    const container = this.runningContainer(reference);
    const { record } = container;
    const process = refusing(reference, () =>
      execConfig(
        record.process,
        {
          args: config.argv,
          entrypoint: undefined,
          env: config.env,
          workdir: config.workdir,
          user: config.user,
          tty: config.tty,
          hostname: "",
          privileged: config.privileged,
        },
        record.tty,
      ),
    );
    if (config.user !== undefined) await this.requireUser(container, config.user);
    const id = randomBytes(32).toString("hex");
    this.execs.set(id, {
      id,
      containerId: record.spec.id,
      run: runOf(container),
      config,
      process,
      state: "created",
      pid: 0,
      exitCode: undefined,
      client: undefined,
    });
    this.emit("exec_create", container, id, config.argv);
    this.forget();
    return id;
  }

  /** @throws {ApiError} `INVALID` in docker's words. */
  private async requireUser(container: Container, user: string): Promise<void> {
    const { id } = container.record.spec;
    const request: Request = { op: "find-user", user };
    const client = refusing(id, () => ask(this.context.store, container, request));
    const reply = await client.next();
    client.close();
    // Whatever else is wrong is told when it is started.
    const isUnknown = reply?.kind === "error" && reply.code === "NO_SUCH_USER";
    if (isUnknown) throw new ApiError("INVALID", reply.message);
  }

  prepare(id: string, choice: ExecStart): PreparedExec {
    const exec = this.find(id);
    if (exec.state === "running") throw new ApiError("EXEC_STARTED", id);
    if (exec.state === "ended") throw new ApiError("EXEC_ENDED", id);
    const container = this.runningContainer(exec.containerId);
    exec.state = "running";
    // Not the terminal decides whether bytes are framed, but what the client expects.
    const tty = choice.tty ?? false;
    const { detachKeys } = exec.config;
    return { tty, detachKeys, start: () => this.start(exec, container, choice) };
  }

  private async start(
    exec: Exec,
    container: Container,
    choice: ExecStart,
  ): Promise<ProcessStreams | undefined> {
    const { id } = exec;
    const { config } = exec;
    const attached = (wanted: boolean) => wanted && !choice.detach;
    const tty = config.tty;
    const stdin = attached(config.attachStdin) ? inputPipe() : undefined;
    const stdout = attached(tty || config.attachStdout) ? outputPipe() : undefined;
    const stderr = attached(!tty && config.attachStderr) ? outputPipe() : undefined;
    const nothing = openSync("/dev/null", "r+");
    const ends = tty
      ? [stdout?.fd ?? nothing, ...(stdin === undefined ? [] : [stdin.fd])]
      : [stdin?.fd ?? nothing, stdout?.fd ?? nothing, stderr?.fd ?? nothing];
    const terminal = choice.consoleSize ?? config.consoleSize ?? UNSEEN_TERMINAL;
    const request: Request = {
      op: "exec",
      process: exec.process,
      ...(tty ? { terminal } : {}),
    };
    this.emit("exec_start", container, id, config.argv);
    try {
      exec.client = refusing(exec.containerId, () =>
        ask(this.context.store, container, request, ends),
      );
      const reply = await exec.client.next();
      if (reply?.kind !== "started") throw this.failed(exec, reply);
      exec.pid = reply.pid;
    } catch (error) {
      this.end(exec, exec.exitCode ?? KILLED, container);
      for (const pipe of [stdin, stdout, stderr]) pipe?.stream.destroy();
      const told = error instanceof ApiError && error.code === "START_FAILED" && !choice.detach;
      if (!told) throw error;
      return lastWords(error.message, tty);
    } finally {
      closeSync(nothing);
      closeAll([stdin, stdout, stderr].flatMap((pipe) => pipe?.fd ?? []));
    }
    const ended = this.follow(exec, container);
    if (choice.detach) return undefined;
    const outputs = [stdout, stderr].map((pipe) => pipe && endingAfter(pipe, ended));
    return {
      stdin: stdin?.stream,
      stdout: outputs[0],
      stderr: outputs[1],
      tty,
      ended,
      close: () => {
        // The process goes on without its client; what it prints is lost, not refused.
        for (const output of outputs) output?.resume();
        ended.then(() => {
          for (const pipe of [stdin, stdout, stderr]) pipe?.stream.destroy();
        });
        if (!tty) stdin?.stream.end();
      },
    };
  }

  async resize(id: string, size: ConsoleSize): Promise<void> {
    const exec = this.find(id);
    if (exec.client === undefined || exec.state !== "running") {
      throw new ApiError("EXEC_NOT_RUNNING", id);
    }
    exec.client.send({ op: "resize", ...size });
  }

  async inspect(id: string): Promise<JsonObject> {
    const exec = this.find(id);
    const { config } = exec;
    const [entrypoint = "", ...args] = config.argv;
    return {
      ID: id,
      Running: exec.state === "running",
      ExitCode: exec.exitCode ?? null,
      ProcessConfig: {
        tty: config.tty,
        entrypoint,
        arguments: args,
        privileged: config.privileged,
        ...(config.user === undefined ? {} : { user: config.user }),
      },
      OpenStdin: config.attachStdin,
      OpenStderr: config.attachStderr,
      OpenStdout: config.attachStdout,
      CanRemove: exec.state === "ended",
      ContainerID: exec.containerId,
      DetachKeys: config.detachKeys ?? "",
      Pid: exec.pid,
    };
  }

  private find(id: string): Exec {
    const exec = this.execs.get(id);
    const container = exec && this.context.store.read(exec.containerId);
    const isGone =
      container === undefined || (exec?.state === "created" && exec.run !== runOf(container));
    if (exec === undefined || isGone) throw new ApiError("NO_SUCH_EXEC", id);
    return exec;
  }

  private runningContainer(reference: string): Container {
    const container = this.containers.find(reference);
    const { state } = container;
    if (state.status === "running" && state.paused === true) {
      throw new ApiError("IS_PAUSED", reference);
    }
    if (state.status === "running") return container;
    throw new ApiError("NOT_RUNNING", container.record.spec.id);
  }

  private failed(exec: Exec, reply: Awaited<ReturnType<ControlClient["next"]>>): ApiError {
    if (reply?.kind !== "error") return new ApiError("NOT_RUNNING", exec.containerId);
    exec.exitCode = reply.exitCode === 125 ? 126 : reply.exitCode;
    const { argv } = exec.config;
    return new ApiError(
      "START_FAILED",
      execFailure(reply.reason, reply.message, argv, toText(exec.process.cwd)),
    );
  }

  /** Settles once the exit code can be asked for. */
  private async follow(exec: Exec, container: Container): Promise<void> {
    const reply = await exec.client?.next();
    // Without an answer the container has ended, and with it every process in it.
    this.end(exec, reply?.kind === "exited" ? reply.status.code : KILLED, container);
  }

  private end(exec: Exec, exitCode: number, container: Container): void {
    exec.client?.close();
    exec.client = undefined;
    exec.state = "ended";
    exec.exitCode = exitCode;
    this.context.events.emit("container", "exec_die", exec.containerId, {
      ...attributesOf(container.record),
      execID: exec.id,
      exitCode: String(exitCode),
    });
  }

  private emit(verb: string, { record }: Container, execID: string, argv: readonly string[]): void {
    const action = `${verb}: ${argv.join(" ")}`;
    const attributes = { ...attributesOf(record), execID };
    this.context.events.emit("container", action, record.spec.id, attributes);
  }

  private forget(): void {
    const ended = [...this.execs.values()].filter(({ state }) => state === "ended");
    for (const { id } of ended.slice(0, -ENDED_MAX)) this.execs.delete(id);
    for (const exec of this.execs.values()) {
      const gone = exec.state === "created" && !this.context.store.isHeld(exec.containerId);
      if (gone) this.execs.delete(exec.id);
    }
  }
}

/** Which of its runs a container is in; 0: none. */
function runOf({ state }: Container): number {
  return state.status === "running" ? state.startedAt : 0;
}

/** Docker has answered by then: a command that is not there is told in the stream, and by the exit code. */
function lastWords(message: string, tty: boolean): ProcessStreams {
  const stdout = Readable.from([Buffer.from(`${message}\r\n`)]);
  return { stdin: undefined, stdout, stderr: undefined, tty, close: () => {} };
}

/**
 * The stream of a pipe, which ends when the process has: its last bytes are all passed on before. What it left
 * running in the background may hold the pipe open for ever.
 */
function endingAfter({ stream }: OutputPipe, ended: Promise<void>): Readable {
  const output = new PassThrough();
  let isOver = false;
  let closed = false;
  const finish = () => {
    if (isOver && closed) output.end();
  };
  stream.pipe(output, { end: false });
  stream.once("close", () => {
    closed = true;
    finish();
  });
  ended.then(() => {
    isOver = true;
    finish();
    const drain = (seen: number) => {
      if (closed) return;
      const { bytesRead } = stream as Readable & { readonly bytesRead: number };
      // A client that is slow holds the pipe back: that is no silence.
      if (bytesRead === seen && output.readableLength === 0) stream.destroy();
      else setTimeout(drain, LINGER_MS, bytesRead);
    };
    setTimeout(drain, LINGER_MS, -1);
  });
  return output;
}
