import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { OLD_LOG } from "./log-writer.ts";

/** One entry of a log; see {@link import("./log-writer.ts").LogWriter}. */
export interface LogEntry {
  /** With its newline, if it had one. */
  readonly log: string;
  readonly stream: "stdout" | "stderr";
  /** RFC 3339. */
  readonly time: string;
}

/** Which entries are wanted. */
export interface LogSelection {
  /** Only the last so many; undefined: all. */
  readonly tail: number | undefined;
  /** Milliseconds since the epoch. */
  readonly since: number | undefined;
  readonly until: number | undefined;
}

const CHUNK_BYTES = 64 * 1024;
const FOLLOW_INTERVAL_MS = 50;

/**
 * Reads a log from its beginning, and the file before it, if there is one.
 * @param show called with each wanted entry in order.
 * @returns how to go on from there.
 */
export function readLog(
  path: string,
  selection: LogSelection,
  show: (entry: LogEntry) => void,
): LogFollower {
  const last: LogEntry[] = [];
  const take = (entry: LogEntry) => {
    if (!isWanted(entry, selection)) return;
    if (selection.tail === undefined) {
      show(entry);
      return;
    }
    last.push(entry);
    if (last.length > selection.tail) last.shift();
  };
  const old = openIfThere(`${path}${OLD_LOG}`);
  if (old !== undefined) {
    const lines = new LineReader(old);
    lines.read(take);
    lines.close();
  }
  const follower = new LogFollower(path, selection, show);
  follower.lines?.read(take);
  for (const entry of last) show(entry);
  return follower;
}

/** A log as it grows. */
export class LogFollower {
  lines: LineReader | undefined;
  private readonly path: string;
  private readonly selection: LogSelection;
  private readonly show: (entry: LogEntry) => void;

  constructor(path: string, selection: LogSelection, show: (entry: LogEntry) => void) {
    this.path = path;
    this.selection = selection;
    this.show = show;
    const fd = openIfThere(path);
    this.lines = fd === undefined ? undefined : new LineReader(fd);
  }

  /** Shows what has come since, as long as `running` says so, and what came before it said no. */
  async follow(running: () => boolean): Promise<void> {
    for (;;) {
      // Asked first: what was written before the end is then there to be read.
      const goOn = running();
      this.readNew();
      if (!goOn) break;
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_INTERVAL_MS));
    }
    this.close();
  }

  close(): void {
    this.lines?.close();
    this.lines = undefined;
  }

  /** Shows what has come since the last time. */
  readNew(): void {
    const take = (entry: LogEntry) => {
      if (isWanted(entry, this.selection)) this.show(entry);
    };
    this.lines?.read(take);
    if (this.lines?.isFile(this.path) === true) return;
    // The log was rotated, or has only now begun.
    this.close();
    const fd = openIfThere(this.path);
    if (fd === undefined) return;
    this.lines = new LineReader(fd);
    this.lines.read(take);
  }
}

/** The entries of one file, read from where the last call ended. */
class LineReader {
  private readonly fd: number;
  private readonly room = Buffer.alloc(CHUNK_BYTES);
  private rest: Buffer = Buffer.alloc(0);

  constructor(fd: number) {
    this.fd = fd;
  }

  read(take: (entry: LogEntry) => void): void {
    for (;;) {
      const length = readSync(this.fd, this.room, 0, CHUNK_BYTES, null);
      if (length === 0) return;
      const bytes = Buffer.concat([this.rest, this.room.subarray(0, length)]);
      let start = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
        const entry = parseEntry(bytes.toString("utf8", start, end));
        if (entry !== undefined) take(entry);
        start = end + 1;
      }
      this.rest = bytes.subarray(start);
    }
  }

  isFile(path: string): boolean {
    try {
      return statSync(path).ino === fstatSync(this.fd).ino;
    } catch {
      return false;
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Lines that a crash or a full disk cut short are skipped. */
function parseEntry(line: string): LogEntry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<LogEntry>;
    return typeof entry.log === "string" && typeof entry.time === "string"
      ? {
          log: entry.log,
          stream: entry.stream === "stderr" ? "stderr" : "stdout",
          time: entry.time,
        }
      : undefined;
  } catch {
    return undefined;
  }
}

function isWanted(entry: LogEntry, { since, until }: LogSelection): boolean {
  if (since === undefined && until === undefined) return true;
  const time = Date.parse(entry.time);
  return (since === undefined || time >= since) && (until === undefined || time <= until);
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
