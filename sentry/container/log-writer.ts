import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { EAGAIN, EINTR, Errno } from "../abi/errno.ts";
import { readBytes } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";

const POLLIN = 0x1;
/** A longer line becomes several entries, as docker does it. */
export const LOG_LINE_BYTES_MAX = 16 * 1024;
/** A log that has grown to this size becomes the old one, of which there is one. */
export const LOG_FILE_BYTES_MAX = 32 * 1024 * 1024;
/** Appended to the name of the log for the one before. */
export const OLD_LOG = ".1";
const NEWLINE = 10;
const READ_BYTES = 64 * 1024;
/** Reads at the end of a container: more than any pipe holds. */
const DRAIN_READS_MAX = 256;

type StreamName = "stdout" | "stderr";

/**
 * Writes what a container prints to its log, in docker's json-file format: a line
 * `{"log":"text\n","stream":"stdout","time":"2026-01-31T12:00:00.000Z"}` per line printed.
 */
export class LogWriter {
  private readonly path: string;
  private fd: number;
  private size: number;
  private readonly limits: { readonly fileBytes: number };

  constructor(path: string, limits = { fileBytes: LOG_FILE_BYTES_MAX }) {
    this.path = path;
    this.limits = limits;
    this.fd = openSync(path, "a", 0o600);
    this.size = fstatSync(this.fd).size;
  }

  /** Appends entries; their texts are bytes of the container, shown as UTF-8. */
  append(stream: StreamName, ...texts: readonly Buffer[]): void {
    if (texts.length === 0) return;
    const time = new Date().toISOString();
    const entries = texts.map(
      (text) => `${JSON.stringify({ log: text.toString("utf8"), stream, time })}\n`,
    );
    try {
      if (this.size >= this.limits.fileBytes) this.rotate();
      this.size += writeSync(this.fd, entries.join(""));
    } catch {
      // A full disk costs log entries, not the container.
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  private rotate(): void {
    renameSync(this.path, `${this.path}${OLD_LOG}`);
    const fd = openSync(this.path, "a", 0o600);
    closeSync(this.fd);
    this.fd = fd;
    this.size = 0;
  }
}

/** Who else wants what a container prints, while it prints it. */
export interface Audience {
  /** @returns whether the container has to wait until {@link LogPump.resume} is called. */
  write(bytes: Uint8Array): boolean;
}

/** One stream of a container on its way to the log. */
export class LogPump {
  private readonly fd: number;
  private readonly stream: StreamName;
  private readonly log: LogWriter;
  private readonly audience: Audience | undefined;
  private readonly watch: Watch;
  private readonly room = Buffer.alloc(READ_BYTES);
  private line: Buffer = Buffer.alloc(0);
  private open = true;

  /** @param fd readable, non-blocking; it stays the caller's. */
  constructor(
    reactor: Reactor,
    fd: number,
    stream: StreamName,
    log: LogWriter,
    audience?: Audience,
  ) {
    this.fd = fd;
    this.stream = stream;
    this.log = log;
    this.audience = audience;
    this.watch = reactor.watch(fd, POLLIN, () => this.read());
  }

  /** The audience has taken what it was given. */
  resume(): void {
    if (this.open) this.watch.setEvents(POLLIN);
  }

  /** Logs what is still there, also an unfinished line, and stops. */
  finish(): void {
    for (let reads = 0; reads < DRAIN_READS_MAX && this.read() > 0; reads++);
    this.stop();
    if (this.line.length > 0) this.log.append(this.stream, this.line);
    this.line = Buffer.alloc(0);
  }

  private read(): number {
    if (!this.open) return 0;
    const length = readBytes(this.fd, this.room);
    if (length === EAGAIN || length === EINTR) return 0;
    if (length instanceof Errno || length === 0) {
      this.stop();
      return 0;
    }
    const bytes = this.room.subarray(0, length);
    if (this.audience?.write(bytes) === true) this.watch.setEvents(0);
    this.take(bytes);
    return length;
  }

  private take(bytes: Buffer): void {
    let rest = Buffer.concat([this.line, bytes]);
    const complete: Buffer[] = [];
    while (rest.length > 0) {
      const newline = rest.subarray(0, LOG_LINE_BYTES_MAX).indexOf(NEWLINE);
      if (newline < 0 && rest.length < LOG_LINE_BYTES_MAX) break;
      const end = newline < 0 ? wholeCharacters(rest, LOG_LINE_BYTES_MAX) : newline + 1;
      complete.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    this.line = rest;
    this.log.append(this.stream, ...complete);
  }

  private stop(): void {
    if (!this.open) return;
    this.open = false;
    this.watch.close();
  }
}

/** The largest cut at most `end` that does not divide a UTF-8 character. */
function wholeCharacters(bytes: Uint8Array, end: number): number {
  for (let cut = end; cut > end - 4; cut--) {
    if (((bytes[cut] ?? 0) & 0xc0) !== 0x80) return cut;
  }
  return end;
}
