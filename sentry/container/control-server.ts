import { rmSync, unlinkSync } from "node:fs";
import { fromText } from "../abi/bytes.ts";
import { EAGAIN, EINTR, Errno } from "../abi/errno.ts";
import { close, writeBytes } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import { acceptUnix, listenUnix, peerUid, receiveWithDescriptors } from "../host/unix-stream.ts";
import type { ExitStatus, ProcessHandle, SentryContainer } from "../spec.ts";
import {
  clientEnds,
  encodeFrame,
  FrameReader,
  fitsExec,
  parseRequest,
  type Reply,
  type Request,
} from "./control-protocol.ts";
import type { ContainerError } from "./errors.ts";
import { descriptorsOf, type FilesRequest } from "./files-protocol.ts";
import { serveFiles, type Transfer } from "./files-service.ts";
import type { HealthStatus } from "./health.ts";
import type { Networking } from "./network/networking.ts";
import { withDefaults } from "./process-config.ts";
import { accountOf, exitCodeOf, processSpec, reasonOf } from "./process-spec.ts";
import type { RecordUpdate } from "./record-update.ts";
import type { Streams } from "./streams.ts";
import { TerminalRelay } from "./terminal-relay.ts";

const POLLIN = 0x1;
const POLLOUT = 0x4;
const SIGHUP = 1;
const SIGKILL = 9;
const BACKLOG = 16;
/** Execs, and who waits or watches, at once. */
export const CONNECTIONS_MAX = 256;
const DESCRIPTORS_MAX = 3;
const READ_BYTES = 16 * 1024;
/** Answers a client has not read yet; one that lets more pile up is cut off. */
const UNSENT_BYTES_MAX = 4 << 20;
const DD_FAILED = 125;
const NS_PER_MS = 1_000_000n;

/** A running container, as far as clients can act on it. */
export interface Controlled {
  readonly sentry: SentryContainer;
  /** Its first process. */
  readonly main: ProcessHandle;
  readonly streams: Pick<Streams, "join">;
  /** Its places in networks, if they can be changed. */
  readonly networking?: Networking;
  /** Told that its end has been asked for. */
  willStop(keep: boolean): void;
  /** Told that its processes have been frozen, or go on. */
  paused?(isPaused: boolean): void;
  /** Gives it another name. @throws {ContainerError} `NAME_IN_USE`. */
  rename?(name: string): void;
  /** Changes its record and limits. @returns what holds only from the next start on. */
  update?(update: RecordUpdate): readonly string[];
  /** Told that the last client has gone. */
  idle?(): void;
}

/** Lets other processes of the user act on a running container through a socket in its run directory. */
export class ControlServer {
  private readonly reactor: Reactor;
  private readonly container: Controlled;
  private readonly path: string;
  private readonly fd: number;
  private readonly watch: Watch;
  private readonly connections = new Set<Connection>();

  /**
   * Listens from now on.
   * @throws an Error when the socket cannot be made.
   */
  constructor(path: string, container: Controlled) {
    this.path = path;
    this.container = container;
    this.reactor = container.sentry.reactor;
    const fd = listenUnix(path, BACKLOG);
    if (fd instanceof Errno) {
      throw new Error(`The control socket ${path} cannot be made: ${fd.text}`);
    }
    this.fd = fd;
    this.watch = this.reactor.watch(fd, POLLIN, () => this.accept());
  }

  /** Whether nobody is connected. */
  get isIdle(): boolean {
    return this.connections.size === 0;
  }

  /** Lets in who has connected already, and nobody else. @returns whether anybody is connected. */
  admitLast(): boolean {
    rmSync(this.path, { force: true });
    this.accept();
    return !this.isIdle;
  }

  /** Tells those who watch. */
  tellHealth(status: HealthStatus): void {
    for (const connection of this.connections) connection.tellHealth(status);
  }

  /** The container has ended: tells those who wait for it, and stops. */
  finish(status: ExitStatus): void {
    for (const connection of this.connections) connection.finish(status);
    this.watch.close();
    close(this.fd);
    try {
      unlinkSync(this.path);
    } catch {
      // The run directory was removed with everything in it.
    }
  }

  private accept(): void {
    for (;;) {
      const fd = acceptUnix(this.fd);
      if (fd instanceof Errno) return;
      // The directory keeps others out already; a uid that differs means that it was opened up.
      if (peerUid(fd) !== process.getuid?.() || this.connections.size >= CONNECTIONS_MAX) {
        close(fd);
        continue;
      }
      const connection = new Connection(fd, this.container, () => {
        this.connections.delete(connection);
        if (this.connections.size === 0) this.container.idle?.();
      });
      this.connections.add(connection);
    }
  }
}

/** One client. Whatever it sends, the worst that happens is that it is cut off. */
class Connection {
  private readonly fd: number;
  private readonly container: Controlled;
  private readonly sentry: SentryContainer;
  private readonly main: ProcessHandle;
  private readonly onClose: () => void;
  private readonly watch: Watch;
  private readonly reader = new FrameReader();
  private readonly room = Buffer.alloc(READ_BYTES);
  private descriptors: number[] = [];
  private unsent: Buffer = Buffer.alloc(0);
  private exec: ProcessHandle | undefined;
  private relay: TerminalRelay | undefined;
  private transfer: Transfer | undefined;
  private watchesOut = false;
  private waiting = false;
  /** The answer to what is being done, should the container end by it. */
  private owed: Reply | undefined;
  private watching = false;
  private closed = false;

  constructor(fd: number, container: Controlled, onClose: () => void) {
    this.fd = fd;
    this.container = container;
    this.sentry = container.sentry;
    this.main = container.main;
    this.onClose = onClose;
    this.watch = this.sentry.reactor.watch(fd, POLLIN, (events) => this.ready(events));
  }

  tellHealth(status: HealthStatus): void {
    if (this.watching) this.send({ kind: "health", status });
  }

  finish(status: ExitStatus): void {
    if (this.owed !== undefined) this.send(this.owed);
    if (this.waiting) this.send({ kind: "exited", status });
    this.close();
  }

  private ready(events: number): void {
    if ((events & POLLOUT) !== 0) this.flush();
    if (this.closed || (events & ~POLLOUT) === 0) return;
    const received = receiveWithDescriptors(this.fd, this.room, DESCRIPTORS_MAX);
    if (received === EAGAIN || received === EINTR) return;
    if (received instanceof Errno || received.length === 0) {
      this.close();
      return;
    }
    this.descriptors.push(...received.descriptors);
    if (this.descriptors.length > DESCRIPTORS_MAX) {
      this.refuse("too many descriptors were sent");
      return;
    }
    const messages = this.reader.push(this.room.subarray(0, received.length));
    if (typeof messages === "string") {
      this.refuse(messages);
      return;
    }
    for (const message of messages) {
      const request = parseRequest(message);
      if (typeof request === "string") this.refuse(request);
      else this.act(request);
      if (this.closed) return;
    }
  }

  private act(request: Request): void {
    switch (request.op) {
      case "exec":
        this.startExec(request);
        break;
      case "attach":
        this.attach(request);
        break;
      case "resize":
        (this.exec ?? this.main).resize({ rows: request.rows, cols: request.cols });
        break;
      case "signal":
        this.exec?.signal(request.signo);
        break;
      case "kill":
        if (request.final === true) this.container.willStop(false);
        this.owed = { kind: "done" };
        this.main.signal(request.signo);
        // As docker: what is to end it must reach it.
        if (request.final === true) this.setPaused(false);
        this.owed = undefined;
        this.send({ kind: "done" });
        break;
      case "stop":
        this.waiting = true;
        this.container.willStop(request.keep === true);
        this.main.signal(request.signo);
        this.setPaused(false);
        this.sentry.reactor.at(
          this.sentry.reactor.now() + BigInt(request.timeoutMs) * NS_PER_MS,
          () => this.main.signal(SIGKILL),
        );
        break;
      case "wait":
        this.waiting = true;
        break;
      case "watch":
        this.waiting = true;
        this.watching = true;
        break;
      case "network-connect":
        this.change((networking) => networking.connect(request.network, request.settings));
        break;
      case "network-disconnect":
        this.change((networking) => networking.disconnect(request.network));
        break;
      case "find-user":
        this.findUser(request.user);
        break;
      case "top":
        this.send({ kind: "top", processes: this.sentry.processes() });
        break;
      case "stats":
        this.send({ kind: "stats", stats: this.sentry.stats() });
        break;
      case "confinement":
        this.send({ kind: "confinement", layers: this.sentry.confinement() });
        break;
      case "pause":
      case "unpause":
        if (this.setPaused(request.op === "pause")) this.send({ kind: "done" });
        else this.fail("ALREADY", `it is ${request.op === "pause" ? "" : "not "}paused`);
        break;
      case "rename":
        this.attempt(() => {
          this.container.rename?.(request.name);
          return [];
        });
        break;
      case "update":
        this.attempt(() => this.container.update?.(request.update) ?? []);
        break;
      default:
        this.startTransfer(request);
    }
  }

  private attach(request: Request & { op: "attach" }): void {
    const ends = clientEnds(request, this.descriptors);
    if (ends === undefined) {
      this.refuse("an attach came with the wrong number of descriptors");
      return;
    }
    if (!this.container.streams.join(ends)) {
      this.refuse("the container runs in the foreground of another terminal");
      return;
    }
    this.descriptors = [];
    this.send({ kind: "done" });
  }

  /** Changes the container's networks. */
  private change(act: (networking: Networking) => void): void {
    try {
      const { networking } = this.container;
      if (networking === undefined) throw new Error("The container's networks are fixed");
      act(networking);
      this.send({ kind: "done" });
    } catch (error) {
      const { message, code } = error as Error & { code?: unknown };
      const known = typeof code === "string" ? { code } : {};
      this.send({ kind: "error", message, exitCode: DD_FAILED, ...known });
    }
  }

  /** @returns whether that changed anything. */
  private setPaused(paused: boolean): boolean {
    // A signal may have ended the container at once, and its state is written.
    if (this.closed || this.sentry.isPaused === paused) return false;
    this.sentry.setPaused(paused);
    this.container.paused?.(paused);
    return true;
  }

  private attempt(change: () => readonly string[]): void {
    try {
      this.send({ kind: "changed", late: change() });
    } catch (error) {
      const { message, code } = error as Error & { code?: unknown };
      this.fail(typeof code === "string" ? code : "FAILED", message);
    }
  }

  private findUser(user: string): void {
    try {
      accountOf(this.sentry, user);
      this.send({ kind: "done" });
    } catch (error) {
      const { message, code } = error as ContainerError;
      this.fail(code, message);
    }
  }

  private fail(code: string, message: string): void {
    this.send({ kind: "error", message, exitCode: DD_FAILED, code });
  }

  private startTransfer(request: FilesRequest): void {
    const [pipe = -1] = this.descriptors;
    if (this.descriptors.length !== descriptorsOf(request) || this.exec !== undefined) {
      this.refuse("a request for files came with the wrong number of descriptors");
      return;
    }
    this.transfer?.cancel();
    this.descriptors = [];
    this.transfer = serveFiles(this.sentry, request, pipe, (reply) => this.send(reply));
  }

  private startExec(request: Request & { op: "exec" }): void {
    if (this.exec !== undefined) {
      this.refuse("there is an exec on this connection already");
      return;
    }
    if (this.sentry.isPaused) {
      this.fail("PAUSED", "the container is paused, unpause the container before exec");
      this.closeDescriptors();
      return;
    }
    const given = this.descriptors;
    if (!fitsExec(request, given.length)) {
      this.refuse("an exec came with the wrong number of descriptors");
      return;
    }
    const [first = -1, second = -1, third = -1] = given;
    const { terminal } = request;
    const stdio =
      terminal === undefined ? { stdin: first, stdout: second, stderr: third } : { terminal };
    let handle: ReturnType<SentryContainer["exec"]>;
    try {
      const links = this.container.networking?.linkEnvironment() ?? [];
      const env = withDefaults(request.process.env, links.map(fromText));
      handle = this.sentry.exec(processSpec(this.sentry, { ...request.process, env }), stdio);
    } catch (error) {
      this.send({ kind: "error", message: (error as Error).message, exitCode: DD_FAILED });
      return;
    }
    if ("errno" in handle) {
      const { message } = handle;
      this.send({
        kind: "error",
        message,
        exitCode: exitCodeOf(handle),
        reason: reasonOf(handle),
      });
      return;
    }
    const exec = handle;
    this.exec = exec;
    if (exec.terminal === undefined) {
      this.closeDescriptors();
      exec.onExit((status) => this.send({ kind: "exited", status }));
    } else if (!this.startRelay(exec, exec.terminal)) {
      return;
    }
    // Last: the client may have gone away, which sending notices and cleans up after.
    this.send({ kind: "started", pid: exec.pid });
  }

  /** Joins the client's terminal with the exec's. @returns whether the client's can be waited for. */
  private startRelay(exec: ProcessHandle, master: number): boolean {
    const [output = -1, input] = this.descriptors;
    const { reactor } = this.sentry;
    try {
      this.relay = new TerminalRelay(reactor, master, { output, input }, () => this.hangUp());
    } catch {
      exec.signal(SIGHUP);
      close(master);
      this.refuse("a terminal's descriptor cannot be waited for");
      return false;
    }
    exec.onExit((status) => {
      this.relay?.finish();
      this.relay = undefined;
      close(master);
      this.closeDescriptors();
      this.send({ kind: "exited", status });
    });
    return true;
  }

  /** The user's terminal is gone: the process learns it as on any terminal. */
  private hangUp(): void {
    this.exec?.signal(SIGHUP);
  }

  private refuse(message: string): void {
    this.send({ kind: "error", message: `control socket: ${message}`, exitCode: DD_FAILED });
    this.close();
  }

  private send(reply: Reply): void {
    if (this.closed) return;
    this.unsent = Buffer.concat([this.unsent, encodeFrame(reply)]);
    this.flush();
  }

  private flush(): void {
    while (this.unsent.length > 0) {
      const length = writeBytes(this.fd, this.unsent);
      if (length === EINTR) continue;
      if (length === EAGAIN && this.unsent.length <= UNSENT_BYTES_MAX) break;
      if (length instanceof Errno) {
        this.close();
        return;
      }
      this.unsent = this.unsent.subarray(length);
    }
    const isFull = this.unsent.length > 0;
    // Unchanged when the container has just ended, and the loop with it.
    if (isFull !== this.watchesOut) this.watch.setEvents(isFull ? POLLIN | POLLOUT : POLLIN);
    this.watchesOut = isFull;
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    this.watch.close();
    close(this.fd);
    this.transfer?.cancel();
    if (this.relay === undefined) {
      this.closeDescriptors();
    } else {
      // Its descriptors are closed when the process has ended.
      this.relay.close();
      this.hangUp();
    }
    this.onClose();
  }

  private closeDescriptors(): void {
    for (const fd of this.descriptors) close(fd);
    this.descriptors = [];
  }
}
