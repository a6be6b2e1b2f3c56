/**
 * The log of an upper layer: a file of frames, each with the changes that belong together.
 *
 * frame = length (u32) · CRC-32 of the payload (u32) · payload; before the first one, eight bytes of magic.
 * A frame that is cut off or does not match its checksum, and whatever follows it, never happened.
 */
import { EIO, Errno } from "../../abi/errno.ts";
import {
  closeFd,
  fsync,
  ftruncate,
  HOST_O,
  openAt,
  readFully,
  renameAt,
  statFd,
  unlinkAt,
  writeFully,
} from "../../host/fs.ts";
import type { Change, ChangeLog } from "../tree/changes.ts";
import { crc32 } from "./crc32.ts";
import { decodeChanges, encodeChanges } from "./records.ts";

const NAME = "journal";
const NEW_NAME = "journal.new";
const MAGIC = Buffer.from("ddupper1", "latin1");
const HEADER = 8;
/** The longest payload: more than the largest transaction, two inodes full of attributes, can need. */
const FRAME_MAX = 1 << 22;
/** How many changes of a snapshot go into one frame. */
const SNAPSHOT_BATCH = 256;
/** A history longer than this, in bytes, is replaced by a snapshot when the container stops. */
const COMPACT_AT_STOP = 64 << 10;
/** The same at the next start: after a kill. */
export const COMPACT_AT: number = 4 << 20;

/** The journal of one upper layer, open for appending. */
export class Journal implements ChangeLog {
  readonly #dirfd: number;
  #fd: number;
  #end: number;

  private constructor(dirfd: number, fd: number, end: number) {
    this.#dirfd = dirfd;
    this.#fd = fd;
    this.#end = end;
  }

  /**
   * Opens or begins the journal in a private directory, and cuts off what a crash left unfinished.
   * @param dirfd the journal's from now on, unless opening it fails.
   * @returns the journal and all changes in it, oldest first.
   */
  static open(dirfd: number): { readonly journal: Journal; readonly changes: Change[] } | Errno {
    unlinkAt(dirfd, NEW_NAME);
    const fd = openAt(dirfd, NAME, HOST_O.RDWR | HOST_O.CREAT, 0o600);
    if (fd instanceof Errno) return fd;
    const failed = (error: Errno): Errno => {
      closeFd(fd);
      return error;
    };
    const stat = statFd(fd);
    if (stat instanceof Errno) return failed(stat);
    const bytes = readFully(fd, 0, stat.size);
    if (bytes instanceof Errno) return failed(bytes);
    if (bytes.length >= MAGIC.length && !MAGIC.equals(bytes.subarray(0, MAGIC.length))) {
      return failed(EIO);
    }
    const read = readFrames(bytes);
    if (read === undefined) return failed(EIO);
    const { changes, end } = read;
    const refused = writeFully(fd, MAGIC, 0) ?? ftruncate(fd, end);
    if (refused !== undefined) return failed(refused);
    return { journal: new Journal(dirfd, fd, end), changes };
  }

  /** How long the history is, in bytes. */
  get length(): number {
    return this.#end;
  }

  append(changes: readonly Change[]): Errno | undefined {
    const bytes = frame(changes);
    const failed = writeFully(this.#fd, bytes, this.#end);
    if (failed !== undefined) {
      // Take away what got through; should even that fail, the checksum keeps it from counting.
      ftruncate(this.#fd, this.#end);
      return failed;
    }
    this.#end += bytes.length;
    return undefined;
  }

  sync(): Errno | undefined {
    return fsync(this.#fd);
  }

  /** Replaces the history by a snapshot, all at once. @returns why not; the history then still holds. */
  compact(snapshot: Iterable<Change>): Errno | undefined {
    const fd = openAt(this.#dirfd, NEW_NAME, HOST_O.RDWR | HOST_O.CREAT | HOST_O.TRUNC, 0o600);
    if (fd instanceof Errno) return fd;
    const end = writeSnapshot(fd, snapshot);
    const failed =
      end instanceof Errno
        ? end
        : (fsync(fd) ?? renameAt(this.#dirfd, NEW_NAME, this.#dirfd, NAME));
    if (failed !== undefined || end instanceof Errno) {
      closeFd(fd);
      unlinkAt(this.#dirfd, NEW_NAME);
      return failed;
    }
    closeFd(this.#fd);
    this.#fd = fd;
    this.#end = end;
    return undefined;
  }

  close(snapshot: () => Iterable<Change>): void {
    // A short history is read as fast as its snapshot, and need not wait for the disk.
    if (this.#end > COMPACT_AT_STOP) this.compact(snapshot());
    closeFd(this.#fd);
    closeFd(this.#dirfd);
  }
}

function frame(changes: readonly Change[]): Buffer {
  const payload = encodeChanges(changes);
  const bytes = Buffer.allocUnsafe(HEADER + payload.length);
  bytes.writeUInt32LE(payload.length, 0);
  bytes.writeUInt32LE(crc32(payload), 4);
  payload.copy(bytes, HEADER);
  return bytes;
}

/** The changes of all whole frames; undefined when one that is whole says what nobody here wrote. */
function readFrames(
  bytes: Uint8Array,
): { readonly changes: Change[]; readonly end: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const changes: Change[] = [];
  let at = MAGIC.length;
  while (at + HEADER <= bytes.length) {
    const length = view.getUint32(at, true);
    const payload = bytes.subarray(at + HEADER, at + HEADER + length);
    if (length > FRAME_MAX || payload.length < length) break;
    if (crc32(payload) !== view.getUint32(at + 4, true)) break;
    const decoded = decodeChanges(payload);
    if (decoded === undefined) return undefined;
    for (const change of decoded) changes.push(change);
    at += HEADER + length;
  }
  return { changes, end: Math.min(at, Math.max(bytes.length, MAGIC.length)) };
}

function writeSnapshot(fd: number, snapshot: Iterable<Change>): number | Errno {
  let end = MAGIC.length;
  let batch: Change[] = [];
  const flush = (): Errno | undefined => {
    const bytes = frame(batch);
    batch = [];
    const failed = writeFully(fd, bytes, end);
    end += bytes.length;
    return failed;
  };
  let failed = writeFully(fd, MAGIC, 0);
  for (const change of snapshot) {
    if (failed !== undefined) return failed;
    batch.push(change);
    if (batch.length === SNAPSHOT_BATCH) failed = flush();
  }
  return failed ?? flush() ?? end;
}
