import {
  closeSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";

/** Larger logs stay as they are: whoever reads one has all of it in memory. */
export const COMPRESSED_LOG_BYTES_MAX = 64 * 1024 * 1024;
/** A log is somewhat larger than it may be when it is put away. */
const CONTENT_BYTES_MAX = 2 * COMPRESSED_LOG_BYTES_MAX;
const CHUNK_BYTES = 64 * 1024;
const HEAD_BYTES = 64;
/** RFC 1952: deflate, a comment follows, no time, no level, no system. */
const HEAD = Buffer.from([0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0, 0, 255]);
/** Nothing, compressed; its checksum; its length. */
const NOTHING = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

/** The name of a log once it is compressed. */
export function compressedLog(path: string): string {
  return `${path}.gz`;
}

/**
 * Compresses a log that is no longer written, a piece at a time, so that a container never waits for all of
 * it. The file is there when it is complete; only then the other one goes. It consists of several gzip
 * members. The first is empty and tells in its comment the inode it was made from, so that whoever has been
 * reading that one finds its place again.
 */
export class LogCompressor {
  private readonly path: string;
  private readonly source: number;
  private readonly target: number;
  private readonly room = Buffer.alloc(CHUNK_BYTES);
  private open = true;

  constructor(path: string, inode: number) {
    this.path = path;
    this.source = openSync(path, "r");
    this.target = openSync(`${path}.new`, "w", 0o600);
    this.write(Buffer.concat([HEAD, Buffer.from(`inode ${inode}\0`), NOTHING]));
  }

  /** Goes on for so many bytes of the log, or a piece more. @returns whether that was the end of it. */
  advance(bytes: number): boolean {
    for (let done = 0; done < bytes; ) {
      const length = readSync(this.source, this.room, 0, CHUNK_BYTES, null);
      if (length === 0) {
        this.close();
        renameSync(`${this.path}.new`, compressedLog(this.path));
        unlinkSync(this.path);
        return true;
      }
      this.write(gzipSync(this.room.subarray(0, length)));
      done += length;
    }
    return false;
  }

  /** Leaves the log as it is. */
  abandon(): void {
    this.close();
    unlinkSync(`${this.path}.new`);
  }

  private write(bytes: Buffer): void {
    if (writeSync(this.target, bytes) !== bytes.length) throw new Error("The disk is full");
  }

  private close(): void {
    if (!this.open) return;
    this.open = false;
    closeSync(this.source);
    closeSync(this.target);
  }
}

/** The inode a compressed log was made from; undefined when there is no such file. */
export function compressedFrom(path: string): number | undefined {
  const head = Buffer.alloc(HEAD_BYTES);
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    const length = readSync(fd, head, 0, HEAD_BYTES, 0);
    const [, inode] = /^inode (\d+)\0/.exec(head.toString("latin1", HEAD.length, length)) ?? [];
    return inode === undefined ? undefined : Number(inode);
  } finally {
    closeSync(fd);
  }
}

/** All of a compressed log; of a damaged one nothing. */
export function readCompressed(fd: number): Buffer {
  try {
    return gunzipSync(readFileSync(fd), { maxOutputLength: CONTENT_BYTES_MAX });
  } catch {
    return Buffer.alloc(0);
  }
}
