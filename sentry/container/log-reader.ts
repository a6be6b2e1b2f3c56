import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { compressedFrom, compressedLog, readCompressed } from "./compressed-log.ts";
import { oldLog } from "./log-writer.ts";

/** One entry of a log; see {@link import("./log-writer.ts").LogWriter}. */
export interface LogEntry {
  /** With its newline, if it had one. */
  readonly log: string;
  readonly stream: "stdout" | "stderr";
  /** RFC 3339. */
  readonly time: string;
  /** Chosen labels and variables of the container; see log-options.ts. */
  readonly attrs?: Readonly<Record<string, string>>;
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
/** More than a log ever has. */
const FILES_MAX = 2000;

/**
 * Reads a log from its beginning, and the files before it, as far as there are some.
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
  const follower = new LogFollower(path, selection, show);
  follower.readAll(take);
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
  }

  /** Reads from the oldest file on; the newest stays open. */
  readAll(take: (entry: LogEntry) => void): void {
    this.lines = LineReader.open(this.path, oldestAge(this.path));
    this.readOn(take);
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
    this.lines ??= LineReader.open(this.path, oldestAge(this.path));
    this.readOn(take);
  }

  /** Reads to the end of the newest file, from file to file in the order they were written. */
  private readOn(take: (entry: LogEntry) => void): void {
    for (let files = 0; this.lines !== undefined && files < FILES_MAX; files++) {
      const age = this.lines.age(this.path);
      // Looked at before the reading: what is written until a file is moved away is then read, too.
      this.lines.read(take);
      if (age === 0) return;
      // Of a file that is gone the oldest that is left comes next.
      const next = age === undefined ? oldestAge(this.path) : age - 1;
      const following = LineReader.openFrom(this.path, next);
      if (following === undefined) return;
      // The log may have been rotated once more meanwhile.
      if (age !== undefined && this.lines.age(this.path) !== age) {
        following.close();
        continue;
      }
      this.lines.close();
      this.lines = following;
    }
  }
}

/** The entries of one file, read from where the last call ended. */
class LineReader {
  /** Kept open, so that no other file gets its inode. */
  private readonly fd: number;
  private readonly inode: number;
  private readonly compressed: boolean;
  private readonly room = Buffer.alloc(CHUNK_BYTES);
  private rest: Buffer = Buffer.alloc(0);

  constructor(fd: number, compressed: boolean) {
    this.fd = fd;
    this.inode = fstatSync(fd).ino;
    this.compressed = compressed;
    if (compressed) this.rest = readCompressed(fd);
  }

  read(take: (entry: LogEntry) => void): void {
    this.rest = takeLines(this.rest, take);
    if (this.compressed) return;
    for (;;) {
      const length = readSync(this.fd, this.room, 0, CHUNK_BYTES, null);
      if (length === 0) return;
      this.rest = takeLines(Buffer.concat([this.rest, this.room.subarray(0, length)]), take);
    }
  }

  /** The file that is the `age`th before the newest; undefined when there is none. */
  static open(path: string, age: number): LineReader | undefined {
    const name = nameOf(path, age);
    const fd = openIfThere(name);
    if (fd !== undefined) return new LineReader(fd, false);
    const compressed = openIfThere(compressedLog(name));
    return compressed === undefined ? undefined : new LineReader(compressed, true);
  }

  /** The first there is from that age on: a writer that was killed while it rotated leaves a gap. */
  static openFrom(path: string, age: number): LineReader | undefined {
    for (let at = age; at > 0; at--) {
      const reader = LineReader.open(path, at);
      if (reader !== undefined) return reader;
    }
    return LineReader.open(path, 0);
  }

  /** How many files have been begun since this one; undefined: so many that it is gone. */
  age(path: string): number | undefined {
    for (let age = 0; age <= oldestAge(path); age++) {
      const name = nameOf(path, age);
      if (this.isFrom(name)) return age;
    }
    return undefined;
  }

  close(): void {
    closeSync(this.fd);
  }

  /** Whether this is the file of that name, or what it has been compressed to. */
  private isFrom(name: string): boolean {
    const compressed = compressedLog(name);
    if (this.compressed) return inoOf(compressed) === this.inode;
    return inoOf(name) === this.inode || compressedFrom(compressed) === this.inode;
  }
}

/** @returns what comes after the last newline. */
function takeLines(bytes: Buffer, take: (entry: LogEntry) => void): Buffer {
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    const entry = parseEntry(bytes.toString("utf8", start, end));
    if (entry !== undefined) take(entry);
    start = end + 1;
  }
  return bytes.subarray(start);
}

function nameOf(path: string, age: number): string {
  return age === 0 ? path : oldLog(path, age);
}

/** The age of the oldest file of a log. */
function oldestAge(path: string): number {
  const name = basename(path);
  let oldest = 0;
  try {
    for (const entry of readdirSync(dirname(path))) {
      const suffix = entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : "";
      const [, age = "0"] = /^([1-9]\d{0,3})(?:\.gz)?$/.exec(suffix) ?? [];
      oldest = Math.max(oldest, Number(age));
    }
  } catch {
    // The container has just been removed.
  }
  return oldest;
}

function inoOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
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
          ...(isTexts(entry.attrs) ? { attrs: entry.attrs } : {}),
        }
      : undefined;
  } catch {
    return undefined;
  }
}

function isTexts(value: unknown): value is Record<string, string> {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every((each) => typeof each === "string")
  );
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
