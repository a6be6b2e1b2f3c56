import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Errno } from "../abi/errno.ts";
import { close, O_NONBLOCK, pipe, setStatusFlags } from "../host/io.ts";
import type {
  ConfinementLayer,
  ExitStatus,
  ProcessHandle,
  SentryConstructor,
  SentryContainer,
  Stdio,
  WindowSize,
} from "../spec.ts";
import { ControlServer } from "./control-server.ts";
import { LogPump, LogWriter } from "./log-writer.ts";
import { exitCodeOf, processSpec } from "./process-spec.ts";
import type { ContainerRecord } from "./record.ts";
import type { ContainerStore, HeldContainer } from "./store.ts";
import { TerminalRelay } from "./terminal-relay.ts";
import { VolumeStore } from "./volumes.ts";

export const LOG_FILE = "container.log";
export const CONTROL_SOCKET = "control.sock";
const DD_FAILED = 125;
const SIGHUP = 1;

/** Where the container's first process reads and prints. */
export type Attachment =
  /** The caller's descriptors themselves. */
  | {
      readonly kind: "descriptors";
      readonly stdin: number;
      readonly stdout: number;
      readonly stderr: number;
    }
  /** The caller's terminal, raw and non-blocking; without `input` nothing is typed. */
  | {
      readonly kind: "terminal";
      readonly input: number | undefined;
      readonly output: number;
      readonly size: WindowSize;
    }
  /** The container's log; it reads nothing. With `tty` it has a terminal that nobody sees. */
  | { readonly kind: "log"; readonly tty: boolean; readonly stdin: number };

/** Why a container did not start, as the user is told. */
export interface RunFailure {
  readonly exitCode: number;
  readonly message: string;
}

/** Size of a terminal that nobody looks at. */
const UNSEEN_TERMINAL: WindowSize = { rows: 24, cols: 80 };

/**
 * Starts a held container in this process, which becomes its sentry, and keeps its state true until it has
 * ended; then lets go of it, and removes it if that was wished.
 */
export class RunningContainer {
  private readonly store: ContainerStore;
  private readonly held: HeldContainer;
  private readonly sentry: SentryContainer;
  private readonly process: ProcessHandle;
  private readonly streams: Streams;
  private readonly control: ControlServer;
  private readonly startedAt = Date.now();
  private readonly onEnd: (status: ExitStatus) => void;

  private constructor(
    store: ContainerStore,
    held: HeldContainer,
    sentry: SentryContainer,
    process: ProcessHandle,
    streams: Streams,
    onEnd: (status: ExitStatus) => void,
  ) {
    this.store = store;
    this.held = held;
    this.sentry = sentry;
    this.process = process;
    this.streams = streams;
    this.onEnd = onEnd;
    this.control = new ControlServer(join(held.runDirectory, CONTROL_SOCKET), sentry, process);
    held.setState({
      status: "running",
      pid: globalThis.process.pid,
      startedAt: this.startedAt,
      logged: streams.logged,
    });
    process.onExit((status) => this.end(status));
  }

  /**
   * @param held not running; it is let go of in any case.
   * @param log receives the sentry's own diagnostics.
   * @param onEnd called when everything is over: the state written, the terminal's last output printed.
   */
  static start(
    store: ContainerStore,
    held: HeldContainer,
    Sentry: SentryConstructor,
    attachment: Attachment,
    log: (line: string) => void,
    onEnd: (status: ExitStatus) => void,
  ): RunningContainer | RunFailure {
    let sentry: SentryContainer | undefined;
    let streams: Streams | undefined;
    try {
      mkdirSync(held.runDirectory, { recursive: true, mode: 0o700 });
      sentry = new Sentry(held.record.spec, { log });
      streams = new Streams(sentry, held, attachment);
      const spec = processSpec(sentry, held.record.process);
      const process = sentry.start(spec, streams.stdio);
      if ("errno" in process) {
        const failure = { exitCode: exitCodeOf(process), message: process.message };
        abandon(store, held, sentry, streams, failure);
        return failure;
      }
      streams.attach(process);
      return new RunningContainer(store, held, sentry, process, streams, onEnd);
    } catch (error) {
      const { code, message, stack } = error as Error & { code?: unknown };
      const failure = {
        exitCode: DD_FAILED,
        message: typeof code === "string" ? message : `defect in dd: ${stack ?? message}`,
      };
      abandon(store, held, sentry, streams, failure);
      return failure;
    }
  }

  signal(signo: number): void {
    this.process.signal(signo);
  }

  resize(size: WindowSize): void {
    this.process.resize(size);
  }

  confinement(): readonly ConfinementLayer[] {
    return this.sentry.confinement();
  }

  private end(status: ExitStatus): void {
    this.streams.finish();
    this.sentry.close();
    this.held.setState({
      status: "exited",
      startedAt: this.startedAt,
      finishedAt: Date.now(),
      exitCode: status.code,
      ...(status.signal === undefined ? {} : { signal: status.signal }),
      ...(status.oomKilled === true ? { oomKilled: true } : {}),
    });
    const removed = this.held.record.autoRemove;
    if (removed) removeContainer(this.store, this.held, true);
    else rmSync(this.held.runDirectory, { recursive: true, force: true });
    this.control.finish(status);
    if (!removed) this.held.release();
    this.onEnd(status);
  }
}

/**
 * Removes a held container, which does not run, and lets go of it.
 * @param volumes also the volumes made for it alone.
 */
export function removeContainer(
  store: ContainerStore,
  held: HeldContainer,
  volumes: boolean,
): void {
  const { anonymousVolumes }: ContainerRecord = held.record;
  held.remove();
  if (!volumes || anonymousVolumes.length === 0) return;
  const others = store.list();
  const existing = new VolumeStore(store.directories.root);
  for (const name of anonymousVolumes) {
    try {
      existing.remove(name, others);
    } catch {
      // Another container mounts it by name, or the user has removed it.
    }
  }
}

/** Leaves a container that could not start as docker does: there, with the reason, unless it was to go anyway. */
function abandon(
  store: ContainerStore,
  held: HeldContainer,
  sentry: SentryContainer | undefined,
  streams: Streams | undefined,
  failure: RunFailure,
): void {
  streams?.finish();
  sentry?.close();
  rmSync(held.runDirectory, { recursive: true, force: true });
  if (held.record.autoRemove) {
    removeContainer(store, held, true);
    return;
  }
  held.setState({
    status: "exited",
    startedAt: 0,
    finishedAt: Date.now(),
    exitCode: failure.exitCode,
    error: failure.message,
  });
  held.release();
}

/** What is between the first process and the outside: nothing, a terminal's relay, or the log. */
class Streams {
  readonly stdio: Stdio;
  readonly logged: boolean;
  private readonly sentry: SentryContainer;
  private readonly attachment: Attachment;
  private readonly log: LogWriter | undefined;
  private readonly pumps: LogPump[] = [];
  private relay: TerminalRelay | undefined;
  private owned: number[] = [];
  /** Ends that the process has duplicates of once it is started. */
  private lent: number[] = [];

  constructor(sentry: SentryContainer, held: HeldContainer, attachment: Attachment) {
    this.sentry = sentry;
    this.attachment = attachment;
    this.logged = attachment.kind === "log";
    switch (attachment.kind) {
      case "descriptors":
        this.stdio = attachment;
        break;
      case "terminal":
        this.stdio = { terminal: attachment.size };
        break;
      case "log":
        this.log = new LogWriter(join(held.directory, LOG_FILE));
        this.stdio = attachment.tty
          ? { terminal: UNSEEN_TERMINAL }
          : {
              stdin: attachment.stdin,
              stdout: this.loggedPipe("stdout", this.log),
              stderr: this.loggedPipe("stderr", this.log),
            };
        break;
    }
  }

  /** The process has started. */
  attach(process: ProcessHandle): void {
    this.closeLent();
    const { terminal: master } = process;
    if (master === undefined) return;
    this.owned.push(master);
    const { attachment, sentry, log } = this;
    if (attachment.kind === "terminal") {
      const { input, output } = attachment;
      this.relay = new TerminalRelay(sentry.reactor, master, { input, output }, () =>
        process.signal(SIGHUP),
      );
    } else if (log !== undefined) {
      this.pumps.push(new LogPump(sentry.reactor, master, "stdout", log));
    }
  }

  /** Passes on what was printed last, and frees everything. */
  finish(): void {
    this.closeLent();
    this.relay?.finish();
    for (const pump of this.pumps) pump.finish();
    for (const fd of this.owned) close(fd);
    this.owned = [];
    this.log?.close();
  }

  private loggedPipe(stream: "stdout" | "stderr", log: LogWriter): number {
    const ends = pipe(0);
    if (ends instanceof Errno) throw new Error(`A pipe for the log failed: ${ends.text}`);
    const [readEnd, writeEnd] = ends;
    setStatusFlags(readEnd, O_NONBLOCK);
    this.owned.push(readEnd);
    this.lent.push(writeEnd);
    this.pumps.push(new LogPump(this.sentry.reactor, readEnd, stream, log));
    return writeEnd;
  }

  private closeLent(): void {
    for (const fd of this.lent) close(fd);
    this.lent = [];
  }
}
