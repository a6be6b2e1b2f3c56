/**
 * A container in a process of its own, which outlives who started it. They are joined by one socket: the
 * starter sends an order (with clients' descriptors beside it), and is told in a line whether the container
 * started, and in another how it ended, if he is still there.
 */
import { spawn } from "node:child_process";
import { openSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { EINTR, Errno } from "../abi/errno.ts";
import { close, setStatusFlags, statusFlags } from "../host/io.ts";
import { SOCK_STREAM, socketPair } from "../host/socket.ts";
import { receiveWithDescriptors, sendWithDescriptors } from "../host/unix-stream.ts";
import type { ExitStatus, SentryConstructor, WindowSize } from "../spec.ts";
import { clientEnds } from "./control-protocol.ts";
import {
  type Directories,
  directoriesOf,
  ensureDirectories,
  processEnvironment,
} from "./directories.ts";
import { ContainerError } from "./errors.ts";
import { type RunFailure, RunningContainer } from "./lifecycle.ts";
import type { FailureReason } from "./process-spec.ts";
import { ContainerStore } from "./store.ts";

/** Descriptor of the background process that is its end of the socket. */
const CHANNEL_FD = 3;
const ORDER_BYTES_MAX = 4096;
/** More than any report. */
const REPORT_BYTES_MAX = 64 * 1024;
/** Clients that are there before the container starts; three descriptors each. */
export const EARLY_CLIENTS_MAX = 16;
/** Diagnostics of a container's sentry, in the container's directory. */
const SENTRY_LOG = "sentry.log";
const DD_FAILED = 125;

/** Which streams of the container a client is joined with. */
export interface ClientChoice {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

interface Order {
  readonly id: string;
  readonly size?: WindowSize;
  readonly clients: readonly ClientChoice[];
  readonly restartCount: number;
}

export interface StartOptions {
  readonly size?: WindowSize | undefined;
  readonly clients?: readonly ClientChoice[];
  /** What goes with `clients`, in order; they stay the caller's. */
  readonly descriptors?: readonly number[];
  readonly restartCount?: number;
}

/** A process that is ready to become some container's. It costs nothing but memory until then. */
export class BackgroundProcess {
  private readonly socket: Socket;
  private readonly fd: number;
  private text = "";
  private settleReport = () => {};
  private readonly reported = new Promise<void>((resolve) => {
    this.settleReport = resolve;
  });
  private settleExit: (status: ExitStatus | undefined) => void = () => {};
  /**
   * How the container it has started ended; undefined when it was killed, or nobody can say. Never before
   * {@link start} has returned.
   */
  readonly exited = new Promise<ExitStatus | undefined>((resolve) => {
    this.settleExit = resolve;
  });

  private constructor(fd: number) {
    this.fd = fd;
    this.socket = new Socket({ fd, readable: true, writable: true });
    this.socket.on("error", () => this.socket.destroy());
    this.socket.on("close", () => {
      this.settleReport();
      this.settleExit(exitIn(this.text));
    });
    this.socket.on("data", (bytes: Buffer) => {
      this.text += bytes.toString("utf8");
      // Not its end: forks of a trusted container's sentry may keep the socket open.
      if (this.text.includes("\n") || this.text.length > REPORT_BYTES_MAX) this.settleReport();
      if (exitIn(this.text) !== undefined) this.socket.destroy();
    });
  }

  /** @param program the path of what ends up in {@link runInBackground}. */
  static spawn(program: string, directories: Directories): BackgroundProcess {
    const ends = socketPair(SOCK_STREAM);
    if (ends instanceof Errno) throw new Error(`No socket for a container: ${ends.text}`);
    const [ours, its] = ends;
    const child = spawn(process.execPath, [program], {
      // A session of its own: a hang-up or Ctrl-C of this terminal is none of its business.
      detached: true,
      stdio: ["ignore", "ignore", "ignore", its],
      cwd: "/",
      env: processEnvironment(directories),
    });
    close(its);
    const background = new BackgroundProcess(ours);
    // Told as a report that never comes.
    child.on("error", () => background.dismiss());
    child.unref();
    return background;
  }

  /** Whether it is still there to become a container's. */
  get isReady(): boolean {
    return !this.socket.destroyed;
  }

  /**
   * Makes it start the container `id`, which nobody holds.
   * @throws {StartError} with docker's exit code for the reason.
   */
  async start(id: string, options: StartOptions = {}): Promise<void> {
    const { size, clients = [], descriptors = [], restartCount = 0 } = options;
    const order: Order = { id, clients, restartCount, ...(size === undefined ? {} : { size }) };
    const sent = sendWithDescriptors(
      this.fd,
      Buffer.from(`${JSON.stringify(order)}\n`),
      descriptors,
    );
    if (!(sent instanceof Errno)) await this.reported;
    const failure = parseReport(this.text);
    if (failure === undefined) return;
    this.dismiss();
    throw new StartError(failure);
  }

  /** Keeps nobody from exiting. */
  unref(): void {
    this.socket.unref();
  }

  /** Lets a process go that is not needed; one that has started a container goes on with it. */
  dismiss(): void {
    this.socket.destroy();
  }
}

/** Why a container in the background did not start. */
export class StartError extends ContainerError {
  /** 125, 126 or 127, as docker's CLI would exit. */
  readonly exitCode: number;
  readonly reason: FailureReason | undefined;

  constructor({ exitCode, message, reason }: RunFailure) {
    super("START_FAILED", message);
    this.exitCode = exitCode;
    this.reason = reason;
  }
}

/**
 * Starts a container, held by nobody, in a process of its own that outlives this one.
 * @throws {StartError}.
 */
export async function startInBackground(
  program: string,
  id: string,
  directories: Directories,
): Promise<void> {
  const background = BackgroundProcess.spawn(program, directories);
  await background.start(id);
  background.dismiss();
}

/** The second line of what the process says: how its container ended. */
function exitIn(text: string): ExitStatus | undefined {
  const line = text.split("\n")[1];
  return line === undefined || line === "" || !text.endsWith("\n")
    ? undefined
    : (JSON.parse(line) as ExitStatus);
}

function parseReport(text: string): RunFailure | undefined {
  try {
    return (JSON.parse(text.split("\n", 1)[0] ?? "") as RunFailure | null) ?? undefined;
  } catch {
    return {
      exitCode: DD_FAILED,
      message: "The container's process ended before it could say whether it started",
    };
  }
}

/**
 * The whole life of a background process: waits for its order, runs that container, logs what it prints, and
 * exits.
 */
export function runInBackground(loadSentry: () => Promise<SentryConstructor>): void {
  const failed = (failure: RunFailure | undefined): void => {
    if (failure === undefined) return;
    say(failure);
    process.exit(failure.exitCode);
  };
  begin(loadSentry).then(failed, (error: unknown) => {
    const { message, exitCode } = error as Error & { exitCode?: number };
    failed({ exitCode: exitCode ?? DD_FAILED, message });
  });
}

async function begin(
  loadSentry: () => Promise<SentryConstructor>,
): Promise<RunFailure | undefined> {
  const directories = directoriesOf(process.env);
  ensureDirectories(directories);
  // Before the order comes, so that a process in reserve has everything in memory.
  const Sentry = await loadSentry();
  const store = new ContainerStore(directories);
  const received = receiveOrder();
  // Whoever kept this process in reserve does not need it.
  if (received === undefined) process.exit(0);
  const { order, descriptors } = received;
  const { id, size, restartCount } = order;
  const held = store.tryHold(id);
  if (held === undefined) {
    return { exitCode: DD_FAILED, message: `The container ${id} is already being started` };
  }
  const sentryLog = openSync(join(held.directory, SENTRY_LOG), "a", 0o600);
  let running: RunningContainer | undefined;
  // A signal for who waits for the start is none for the container: this is a session of its own.
  for (const name of FORWARDED) process.on(name, () => running?.signal(constants.signals[name]));
  const rest = [...descriptors];
  const clients = order.clients.flatMap((choice) => {
    const wanted = [choice.stdin, choice.stdout, choice.stderr].filter((each) => each).length;
    return clientEnds(choice, rest.splice(0, wanted)) ?? [];
  });
  // As with docker it has started when its program has: who asks for its log next finds what that prints at once.
  let told = false;
  const tellStarted = (): void => {
    if (told) return;
    told = true;
    say(null);
  };
  const started = RunningContainer.start(
    store,
    held,
    Sentry,
    { kind: "log", clients, ...(size === undefined ? {} : { size }) },
    (line) => writeSync(sentryLog, `${line}\n`),
    (status) => {
      tellStarted();
      say(status);
      process.exit(0);
    },
    restartCount,
    tellStarted,
  );
  if (!(started instanceof RunningContainer)) return started;
  running = started;
  return undefined;
}

/** Signals that are the container's when somebody sends them to its process. */
const FORWARDED = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"] as const;

/** Waits, with everything else of this process, for the one line that says what to run. */
function receiveOrder():
  | { readonly order: Order; readonly descriptors: readonly number[] }
  | undefined {
  const flags = statusFlags(CHANNEL_FD);
  if (flags instanceof Errno) return undefined;
  setStatusFlags(CHANNEL_FD, 0);
  const room = Buffer.alloc(ORDER_BYTES_MAX);
  const descriptors: number[] = [];
  let length = 0;
  while (length === 0 || room[length - 1] !== 10) {
    const received = receiveWithDescriptors(
      CHANNEL_FD,
      room.subarray(length),
      EARLY_CLIENTS_MAX * 3,
    );
    if (received === EINTR) continue;
    if (received instanceof Errno || received.length === 0) return undefined;
    length += received.length;
    descriptors.push(...received.descriptors);
  }
  return { order: JSON.parse(room.toString("utf8", 0, length)) as Order, descriptors };
}

function say(value: RunFailure | ExitStatus | null): void {
  try {
    writeSync(CHANNEL_FD, `${JSON.stringify(value)}\n`);
  } catch {
    // Whoever started it has gone meanwhile; the container runs all the same.
  }
}
