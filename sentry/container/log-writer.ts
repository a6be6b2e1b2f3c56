import {
  closeSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { EAGAIN, EINTR, Errno } from "../abi/errno.ts";
import { readBytes } from "../host/io.ts";
import type { Reactor, Watch } from "../host/reactor.ts";
import { COMPRESSED_LOG_BYTES_MAX, compressedLog, LogCompressor } from "./compressed-log.ts";

const POLLIN = 0x1;
/** A longer line becomes several entries, as docker does it. */
export const LOG_LINE_BYTES_MAX = 16 * 1024;
/** A log that has grown to this size becomes the old one, of which there is one, unless told otherwise. */
export const LOG_FILE_BYTES_MAX = 32 * 1024 * 1024;
const LOG_FILES = 2;
const NEWLINE = 10;
const READ_BYTES = 64 * 1024;
/** How much of the previous log is compressed, at least, with each addition to the present one. */
const COMPRESS_BYTES = 64 * 1024;
/** Reads at the end of a container: more than any pipe holds. */
const DRAIN_READS_MAX = 256;

type StreamName = "stdout" | "stderr";

/** The name of the log that is the `age`th before the one at `path`. */
export function oldLog(path: string, age: number): string {
  return `${path}.${age}`;
}

/** Where what a container prints is kept. */
export interface Log {
  append(stream: StreamName, ...texts: readonly Buffer[]): void;
  close(): void;
}

/** Of a container whose output nobody keeps. */
export const NO_LOG: Log = { append: () => {}, close: () => {} };

export interface LogLimits {
  readonly fileBytes?: number;
  readonly files?: number;
  /** Whether logs before the present one are compressed. */
  readonly compress?: boolean;
  readonly attributes?: Readonly<Record<string, string>>;
}

/**
 * Writes what a container prints to its log, in docker's json-file format: a line
 * `{"log":"text\n","stream":"stdout","time":"2026-01-31T12:00:00.000Z"}` per line printed.
 *
 * A full file is moved out of the way by renames, the oldest first; so at whatever point this process is
 * killed, every file is whole, and no entry is in two of them.
 */
export class LogWriter implements Log {
  private readonly path: string;
  private fd: number;
  private size: number;
  private readonly fileBytes: number;
  private readonly files: number;
  private readonly compress: boolean;
  private compressing: LogCompressor | undefined;
  private readonly extra: { readonly attrs?: Readonly<Record<string, string>> };

  constructor(path: string, limits: LogLimits = {}) {
    this.path = path;
    this.fileBytes = limits.fileBytes ?? LOG_FILE_BYTES_MAX;
    this.files = limits.files ?? LOG_FILES;
    this.compress = limits.compress === true && this.fileBytes <= COMPRESSED_LOG_BYTES_MAX;
    this.extra = limits.attributes === undefined ? {} : { attrs: limits.attributes };
    this.fd = openSync(path, "a+", 0o600);
    this.size = fstatSync(this.fd).size;
    this.endLine();
  }

  /** Appends entries; their texts are bytes of the container, shown as UTF-8. */
  append(stream: StreamName, ...texts: readonly Buffer[]): void {
    if (texts.length === 0) return;
    const time = new Date().toISOString();
    const entries = texts.map(
      (text) => `${JSON.stringify({ log: text.toString("utf8"), stream, ...this.extra, time })}\n`,
    );
    try {
      if (this.size >= this.fileBytes) this.rotate();
      const written = writeSync(this.fd, entries.join(""));
      this.size += written;
      // More than is written, so that it is done before the next one is full.
      if (this.compressing !== undefined) this.compressOn(COMPRESS_BYTES + written);
    } catch {
      // A full disk costs log entries, not the container.
    }
  }

  close(): void {
    this.compressing?.abandon();
    closeSync(this.fd);
  }

  /** A writer that was killed may have left half an entry, which must not spoil the next. */
  private endLine(): void {
    const last = Buffer.alloc(1);
    if (this.size === 0 || readSync(this.fd, last, 0, 1, this.size - 1) === 0) return;
    if (last[0] !== NEWLINE) this.size += writeSync(this.fd, "\n");
  }

  private rotate(): void {
    this.compressOn(this.size + this.fileBytes);
    const { path, files } = this;
    if (files > 1) removeIfThere(compressedLog(oldLog(path, files - 1)));
    for (let age = files - 1; age > 1; age--) {
      const [from, to] = [oldLog(path, age - 1), oldLog(path, age)];
      moveIfThere(from, to);
      moveIfThere(compressedLog(from), compressedLog(to));
    }
    const inode = fstatSync(this.fd).ino;
    if (files > 1) renameSync(path, oldLog(path, 1));
    else unlinkSync(path);
    const fd = openSync(path, "a+", 0o600);
    closeSync(this.fd);
    this.fd = fd;
    this.size = 0;
    if (this.compress && files > 1) this.compressing = new LogCompressor(oldLog(path, 1), inode);
  }

  private compressOn(bytes: number): void {
    const { compressing } = this;
    this.compressing = undefined;
    try {
      if (compressing?.advance(bytes) === false) this.compressing = compressing;
    } catch {
      // Without room for it the log stays as it is.
      compressing?.abandon();
    }
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
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
  private readonly log: Log;
  private readonly audience: Audience | undefined;
  private readonly watch: Watch;
  private readonly room = Buffer.alloc(READ_BYTES);
  private line: Buffer = Buffer.alloc(0);
  private open = true;

  /** @param fd readable, non-blocking; it stays the caller's. */
  constructor(reactor: Reactor, fd: number, stream: StreamName, log: Log, audience?: Audience) {
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
