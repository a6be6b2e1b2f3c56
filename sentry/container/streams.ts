import { openSync } from "node:fs";
import { join } from "node:path";
import { Errno } from "../abi/errno.ts";
import { close, dup, O_NONBLOCK, pipe, setStatusFlags } from "../host/io.ts";
import type { ProcessHandle, SentryContainer, Stdio, WindowSize } from "../spec.ts";
import { Attachers } from "./attachers.ts";
import { type Log, LogPump, LogWriter, NO_LOG } from "./log-writer.ts";
import type { HeldContainer } from "./store.ts";
import { Pump, TerminalRelay } from "./terminal-relay.ts";

export const LOG_FILE = "container.log";
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
  /**
   * The container's log, and whoever attaches. As its record says it has a terminal, and an input that
   * clients write to.
   */
  | {
      readonly kind: "log";
      /** Of its terminal, if it has one; absent: of one that nobody sees. */
      readonly size?: WindowSize;
      /** Clients that are there from the first byte on; owned by the container. */
      readonly clients: readonly ClientEnds[];
    };

/** Ends of pipes to a client, as it asked to be joined with the container's streams. */
export interface ClientEnds {
  /** Read from. */
  readonly stdin: number | undefined;
  /** Written to; with a terminal everything is printed there. */
  readonly stdout: number | undefined;
  readonly stderr: number | undefined;
}

/** Size of a terminal that nobody looks at. */
const UNSEEN_TERMINAL: WindowSize = { rows: 24, cols: 80 };

/** What is between the first process and the outside: nothing, a terminal's relay, or the log and clients. */
export class Streams {
  readonly stdio: Stdio;
  readonly logged: boolean;
  private readonly sentry: SentryContainer;
  private readonly attachment: Attachment;
  private readonly log: Log | undefined;
  private readonly tty: boolean;
  private readonly stdinOnce: boolean;
  private readonly pumps: LogPump[] = [];
  private readonly stdout: Attachers;
  private readonly stderr: Attachers;
  /** How each client's input is left. */
  private readonly inputs = new Set<() => void>();
  private relay: TerminalRelay | undefined;
  private owned: number[] = [];
  /** Ends that the process has duplicates of once it is started. */
  private lent: number[] = [];
  /** Where clients' input goes: the end of a pipe, or a terminal's master; undefined: nowhere. */
  private input: number | undefined;

  constructor(sentry: SentryContainer, held: HeldContainer, attachment: Attachment) {
    this.sentry = sentry;
    this.attachment = attachment;
    const { tty, openStdin, stdinOnce, log: logSpec } = held.record;
    this.logged = attachment.kind === "log" && logSpec?.driver !== "none";
    this.tty = tty;
    this.stdinOnce = stdinOnce ?? false;
    const resume = () => {
      for (const pump of this.pumps) pump.resume();
    };
    this.stdout = new Attachers(sentry.reactor, resume);
    this.stderr = new Attachers(sentry.reactor, resume);
    switch (attachment.kind) {
      case "descriptors":
        this.stdio = attachment;
        break;
      case "terminal":
        this.stdio = { terminal: attachment.size };
        break;
      case "log":
        this.log = this.logged ? new LogWriter(join(held.directory, LOG_FILE), logSpec) : NO_LOG;
        this.stdio = tty
          ? { terminal: attachment.size ?? UNSEEN_TERMINAL }
          : {
              stdin: openStdin ? this.inputPipe() : this.nothing(),
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
    const { attachment, sentry, log } = this;
    if (master !== undefined) this.owned.push(master);
    if (attachment.kind === "terminal" && master !== undefined) {
      const { input, output } = attachment;
      this.relay = new TerminalRelay(sentry.reactor, master, { input, output }, () =>
        process.signal(SIGHUP),
      );
    } else if (log !== undefined && master !== undefined) {
      this.input = master;
      this.pumps.push(new LogPump(sentry.reactor, master, "stdout", log, this.stdout));
    }
    if (attachment.kind === "log") {
      for (const client of attachment.clients) this.join(client);
    }
  }

  /**
   * Joins a client with the container's streams, until the container ends or the client closes its ends.
   * @param ends owned from now on.
   * @returns false, and nothing is owned, when the streams are not shared: the container runs in somebody's
   *   foreground.
   */
  join(ends: ClientEnds): boolean {
    if (this.attachment.kind !== "log") return false;
    if (ends.stdout !== undefined) this.stdout.add(ends.stdout);
    if (ends.stderr !== undefined) this.stderr.add(ends.stderr);
    if (ends.stdin !== undefined) this.joinInput(ends.stdin);
    return true;
  }

  /** Logs what was printed last, and frees everything but the clients. */
  finish(): void {
    this.closeLent();
    this.relay?.finish();
    for (const pump of this.pumps) pump.finish();
    for (const leave of [...this.inputs]) leave();
    for (const fd of this.owned) close(fd);
    this.owned = [];
    this.input = undefined;
    this.stdout.stopWatching();
    this.stderr.stopWatching();
    this.log?.close();
  }

  /** Ends the clients' streams, waiting so long for those who are behind; after {@link finish}. */
  endClients(patienceMs: number): void {
    this.stdout.end(patienceMs);
    this.stderr.end(patienceMs);
  }

  private joinInput(from: number): void {
    const to = this.input === undefined ? undefined : dup(this.input);
    if (to === undefined || to instanceof Errno) {
      close(from);
      return;
    }
    setStatusFlags(from, O_NONBLOCK);
    let open = true;
    const leave = () => {
      if (!open) return;
      open = false;
      pump.close();
      this.inputs.delete(leave);
      close(from);
      close(to);
      if (this.stdinOnce && !this.tty) this.closeInput();
    };
    const pump = new Pump(this.sentry.reactor, from, to, leave);
    this.inputs.add(leave);
  }

  /** The process reads the end of its input. */
  private closeInput(): void {
    const { input } = this;
    if (input === undefined) return;
    this.input = undefined;
    this.owned = this.owned.filter((fd) => fd !== input);
    close(input);
  }

  private inputPipe(): number {
    const [readEnd, writeEnd] = newPipe();
    setStatusFlags(writeEnd, O_NONBLOCK);
    this.input = writeEnd;
    this.owned.push(writeEnd);
    this.lent.push(readEnd);
    return readEnd;
  }

  private nothing(): number {
    const fd = openSync("/dev/null", "r");
    this.lent.push(fd);
    return fd;
  }

  private loggedPipe(stream: "stdout" | "stderr", log: Log): number {
    const [readEnd, writeEnd] = newPipe();
    setStatusFlags(readEnd, O_NONBLOCK);
    this.owned.push(readEnd);
    this.lent.push(writeEnd);
    this.pumps.push(new LogPump(this.sentry.reactor, readEnd, stream, log, this[stream]));
    return writeEnd;
  }

  private closeLent(): void {
    for (const fd of this.lent) close(fd);
    this.lent = [];
  }
}

function newPipe(): readonly [readEnd: number, writeEnd: number] {
  const ends = pipe(0);
  if (ends instanceof Errno) throw new Error(`A pipe for the container failed: ${ends.text}`);
  return ends;
}
