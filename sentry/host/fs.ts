/**
 * Files of the host, by descriptor. Every name given here is one component (or the operator's own path),
 * every flag set says what happens with symlinks: nothing in this file can be led elsewhere.
 */
import { type ByteString, cstring, untilNul } from "../abi/bytes.ts";
import { ENOSYS, Errno } from "../abi/errno.ts";
import { call } from "./call.ts";

export const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const AT_STATX_DONT_SYNC = 0x4000;

const arm = process.arch === "arm64";
/** Flags of open(2) with the host's numbers. */
export const HOST_O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DIRECTORY: arm ? 0o40000 : 0o200000,
  NOFOLLOW: arm ? 0o100000 : 0o400000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
} as const;

const STATX_BASIC_AND_BTIME = 0xfff;
const statxBytes = Buffer.alloc(256);
const statxView = new DataView(statxBytes.buffer, statxBytes.byteOffset, 256);
const EMPTY = cstring("");
const WORD = 4294967296;

function word64(offset: number): number {
  return statxView.getUint32(offset, true) + statxView.getUint32(offset + 4, true) * WORD;
}

function device(offset: number): number {
  const major = statxView.getUint32(offset, true);
  const minor = statxView.getUint32(offset + 4, true);
  return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12);
}

/** A `struct statx_timestamp`: whole seconds, and nanoseconds. */
class Time {
  readonly seconds: number;
  readonly nanoseconds: number;

  constructor(offset: number) {
    this.seconds = statxView.getUint32(offset, true) + statxView.getInt32(offset + 4, true) * WORD;
    this.nanoseconds = statxView.getUint32(offset + 8, true);
  }

  get ns(): bigint {
    return BigInt(this.seconds) * 1_000_000_000n + BigInt(this.nanoseconds);
  }

  equals(other: Time): boolean {
    return this.seconds === other.seconds && this.nanoseconds === other.nanoseconds;
  }
}

/** What the host tells of a file. Times, in nanoseconds since the epoch, are worked out when asked for. */
export class HostStat {
  readonly dev: number = device(136);
  readonly ino: number = word64(32);
  readonly mode: number = statxView.getUint16(28, true);
  readonly nlink: number = statxView.getUint32(16, true);
  readonly uid: number = statxView.getUint32(20, true);
  readonly gid: number = statxView.getUint32(24, true);
  readonly rdev: number = device(128);
  readonly size: number = word64(40);
  readonly blksize: number = statxView.getUint32(4, true);
  readonly blocks: number = word64(48);
  readonly #atime = new Time(64);
  readonly #btime = new Time(80);
  readonly #ctime = new Time(96);
  readonly #mtime = new Time(112);

  get atimeNs(): bigint {
    return this.#atime.ns;
  }
  get mtimeNs(): bigint {
    return this.#mtime.ns;
  }
  get ctimeNs(): bigint {
    return this.#ctime.ns;
  }
  get btimeNs(): bigint {
    return this.#btime.ns;
  }

  /**
   * Whether both are of one file. The host gives the number of a removed file to a new one: the time of
   * birth tells them apart.
   */
  isSameFile(other: HostStat): boolean {
    return this.ino === other.ino && this.dev === other.dev && this.#btime.equals(other.#btime);
  }
}

/** Reads what statx(2) left in the one buffer. */
function statx(dirfd: number, name: Uint8Array, flags: number): HostStat | Errno {
  const result = call("statx", dirfd, name, flags, STATX_BASIC_AND_BTIME, statxBytes);
  return result instanceof Errno ? result : new HostStat();
}

/** The file called `name` in `dirfd`; a symlink itself, not its target. */
export function statAt(dirfd: number, name: ByteString): HostStat | Errno {
  return statx(dirfd, cstring(name), AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC);
}

/** The file a descriptor refers to; `O_PATH` descriptors too. */
export function statFd(fd: number): HostStat | Errno {
  return statx(fd, EMPTY, AT_EMPTY_PATH | AT_STATX_DONT_SYNC);
}

/** Opens the component `name` of `dirfd`, never a symlink. The caller owns the descriptor (close-on-exec). */
export function openAt(dirfd: number, name: ByteString, flags: number, mode = 0): number | Errno {
  return call(
    "openat",
    dirfd,
    cstring(name),
    flags | HOST_O.NOFOLLOW | HOST_O.CLOEXEC | HOST_O.NOCTTY,
    mode,
  );
}

/** Opens a path of the operator (never the guest's), following symlinks. */
export function openHostPath(path: ByteString, flags: number): number | Errno {
  return call("openat", AT_FDCWD, cstring(path), flags | HOST_O.CLOEXEC | HOST_O.NOCTTY, 0);
}

/** A second open file description of what `fd` (also `O_PATH`) refers to. Needs the host's `/proc`. */
export function reopen(fd: number, flags: number): number | Errno {
  return openHostPath(`/proc/self/fd/${fd}`, flags);
}

export function closeFd(fd: number): void {
  call("close", fd);
}

/** A second descriptor of the same open file description. */
export function duplicate(fd: number): number | Errno {
  const F_DUPFD_CLOEXEC = 1030;
  return call("fcntl", fd, F_DUPFD_CLOEXEC, 3);
}

/** Sets the status flags (`O_APPEND`, `O_NONBLOCK`...) of the open file description. */
export function setStatusFlags(fd: number, flags: number): Errno | undefined {
  const F_SETFL = 4;
  return failure(call("fcntl", fd, F_SETFL, flags));
}

/** The error of a call whose success has no value. */
export function failure(result: number | Errno): Errno | undefined {
  return result instanceof Errno ? result : undefined;
}

/** @param buffer an address, or bytes; `length` of them. */
export function read(fd: number, buffer: number | Uint8Array, length: number): number | Errno {
  return call("read", fd, buffer, length);
}
export function write(fd: number, buffer: number | Uint8Array, length: number): number | Errno {
  return call("write", fd, buffer, length);
}
export function pread(
  fd: number,
  buffer: number | Uint8Array,
  length: number,
  offset: number,
): number | Errno {
  return call("pread64", fd, buffer, length, offset);
}
export function pwrite(
  fd: number,
  buffer: number | Uint8Array,
  length: number,
  offset: number,
): number | Errno {
  return call("pwrite64", fd, buffer, length, offset);
}
export function lseek(fd: number, offset: number, whence: number): number | Errno {
  return call("lseek", fd, offset, whence);
}
export function ftruncate(fd: number, length: number): Errno | undefined {
  return failure(call("ftruncate", fd, length));
}
export function fallocate(
  fd: number,
  mode: number,
  offset: number,
  length: number,
): Errno | undefined {
  return failure(call("fallocate", fd, mode, offset, length));
}
export function fsync(fd: number, dataOnly = false): Errno | undefined {
  return failure(call(dataOnly ? "fdatasync" : "fsync", fd));
}
export function syncfs(fd: number): Errno | undefined {
  return failure(call("syncfs", fd));
}

const COPY_STEP = 1 << 24;
const COPY_BUFFER = 1 << 18;

/** Copies `length` bytes between files, sharing blocks where the host can. @returns e.g. `ENOSPC`. */
export function copyRange(
  from: number,
  fromOffset: number,
  to: number,
  toOffset: number,
  length: number,
): Errno | undefined {
  const offsets = new BigUint64Array(2);
  let done = 0;
  while (done < length) {
    offsets[0] = BigInt(fromOffset + done);
    offsets[1] = BigInt(toOffset + done);
    const step = Math.min(length - done, COPY_STEP);
    const moved = call(
      "copy_file_range",
      from,
      offsets.subarray(0, 1),
      to,
      offsets.subarray(1),
      step,
      0,
    );
    if (moved instanceof Errno) {
      if (done === 0 && COPY_UNSUPPORTED.has(moved.name)) {
        return copyByHand(from, fromOffset, to, toOffset, length);
      }
      return moved;
    }
    if (moved === 0) return undefined;
    done += moved;
  }
  return undefined;
}

/** copy_file_range(2) answers these where two file systems cannot do it. */
const COPY_UNSUPPORTED: ReadonlySet<string> = new Set([
  "EXDEV",
  "EINVAL",
  "EOPNOTSUPP",
  "ENOSYS",
  "EBADF",
]);

function copyByHand(
  from: number,
  fromOffset: number,
  to: number,
  toOffset: number,
  length: number,
): Errno | undefined {
  const buffer = Buffer.allocUnsafeSlow(Math.min(length, COPY_BUFFER));
  for (let done = 0; done < length; ) {
    const got = pread(from, buffer, Math.min(buffer.length, length - done), fromOffset + done);
    if (got instanceof Errno) return got;
    if (got === 0) return undefined;
    const failed = writeFully(to, buffer.subarray(0, got), toOffset + done);
    if (failed !== undefined) return failed;
    done += got;
  }
  return undefined;
}

/** Writes all of `bytes` at `offset`. @returns the error that stopped it; part may have been written. */
export function writeFully(fd: number, bytes: Uint8Array, offset: number): Errno | undefined {
  for (let done = 0; done < bytes.length; ) {
    const count = pwrite(fd, bytes.subarray(done), bytes.length - done, offset + done);
    if (count instanceof Errno) return count;
    done += count;
  }
  return undefined;
}

/** Up to `length` bytes at `offset`; fewer only at the end of the file. */
export function readFully(fd: number, offset: number, length: number): Uint8Array | Errno {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = pread(fd, bytes.subarray(done), length - done, offset + done);
    if (count instanceof Errno) return count;
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

export function mkdirAt(dirfd: number, name: ByteString, mode: number): Errno | undefined {
  return failure(call("mkdirat", dirfd, cstring(name), mode));
}
export function mknodAt(dirfd: number, name: ByteString, mode: number): Errno | undefined {
  return failure(call("mknodat", dirfd, cstring(name), mode, 0));
}
export function symlinkAt(target: ByteString, dirfd: number, name: ByteString): Errno | undefined {
  return failure(call("symlinkat", cstring(target), dirfd, cstring(name)));
}
export function linkAt(
  fromDir: number,
  from: ByteString,
  toDir: number,
  to: ByteString,
): Errno | undefined {
  return failure(call("linkat", fromDir, cstring(from), toDir, cstring(to), 0));
}
export function unlinkAt(dirfd: number, name: ByteString): Errno | undefined {
  return failure(call("unlinkat", dirfd, cstring(name), 0));
}
export function rmdirAt(dirfd: number, name: ByteString): Errno | undefined {
  return failure(call("unlinkat", dirfd, cstring(name), AT_REMOVEDIR));
}
export function renameAt(
  fromDir: number,
  from: ByteString,
  toDir: number,
  to: ByteString,
  flags = 0,
): Errno | undefined {
  return failure(call("renameat2", fromDir, cstring(from), toDir, cstring(to), flags));
}

const linkBytes = Buffer.alloc(4097);

/** The target of the symlink `name`. @returns `EINVAL` when it is none. */
export function readlinkAt(dirfd: number, name: ByteString): ByteString | Errno {
  const length = call("readlinkat", dirfd, cstring(name), linkBytes, linkBytes.length);
  return length instanceof Errno ? length : linkBytes.toString("latin1", 0, length);
}

/** Sets permission bits of `name`, which must not be a symlink. */
export function chmodAt(dirfd: number, name: ByteString, mode: number): Errno | undefined {
  const result = call("fchmodat2", dirfd, cstring(name), mode, AT_SYMLINK_NOFOLLOW);
  if (result !== ENOSYS) return failure(result);
  // Before Linux 6.6: pin the inode without following, then change what was pinned.
  const fd = openAt(dirfd, name, HOST_O.PATH);
  if (fd instanceof Errno) return fd;
  const changed = call("fchmodat", AT_FDCWD, cstring(`/proc/self/fd/${fd}`), mode);
  closeFd(fd);
  return failure(changed);
}

export function chmodFd(fd: number, mode: number): Errno | undefined {
  return failure(call("fchmod", fd, mode));
}

/** @param uid,gid `-1` leaves one as it is. */
export function chownAt(
  dirfd: number,
  name: ByteString,
  uid: number,
  gid: number,
): Errno | undefined {
  return failure(call("fchownat", dirfd, cstring(name), uid, gid, AT_SYMLINK_NOFOLLOW));
}

/** @param uid,gid `-1` leaves one as it is. */
export function chownFd(fd: number, uid: number, gid: number): Errno | undefined {
  return failure(call("fchown", fd, uid, gid));
}

const UTIME_OMIT = 0x3ffffffen;

function timespecs(atimeNs: bigint | undefined, mtimeNs: bigint | undefined): BigUint64Array {
  const times = new BigUint64Array(4);
  const put = (at: number, ns: bigint | undefined) => {
    if (ns === undefined) {
      times[at + 1] = UTIME_OMIT;
      return;
    }
    const nanoseconds = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    times[at] = BigInt.asUintN(64, (ns - nanoseconds) / 1_000_000_000n);
    times[at + 1] = nanoseconds;
  };
  put(0, atimeNs);
  put(2, mtimeNs);
  return times;
}

/** Sets the times that are given; of a symlink itself. */
export function setTimesAt(
  dirfd: number,
  name: ByteString,
  atimeNs: bigint | undefined,
  mtimeNs: bigint | undefined,
): Errno | undefined {
  const times = timespecs(atimeNs, mtimeNs);
  return failure(call("utimensat", dirfd, cstring(name), times, AT_SYMLINK_NOFOLLOW));
}

/** Sets the times that are given, of an open file. */
export function setTimesFd(
  fd: number,
  atimeNs: bigint | undefined,
  mtimeNs: bigint | undefined,
): Errno | undefined {
  return failure(call("utimensat", fd, 0, timespecs(atimeNs, mtimeNs), 0));
}

/** A name in a host directory. */
export interface HostEntry {
  readonly name: ByteString;
  readonly ino: number;
  readonly type: number;
}

const DIRENT_BUFFER = 1 << 15;

/** The names in the directory that `fd` has open (not `O_PATH`), from where it stands, without `.` and `..`. */
export function* readDirectory(fd: number): Generator<HostEntry, Errno | undefined> {
  const bytes = Buffer.allocUnsafeSlow(DIRENT_BUFFER);
  for (;;) {
    const length = call("getdents64", fd, bytes, bytes.length);
    if (length instanceof Errno) return length;
    if (length === 0) return undefined;
    for (let at = 0; at < length; ) {
      const size = bytes.readUInt16LE(at + 16);
      const name = untilNul(bytes.subarray(at + 19, at + size));
      if (name !== "." && name !== "..") {
        yield {
          name,
          ino: bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * WORD,
          type: bytes.readUInt8(at + 18),
        };
      }
      at += size;
    }
  }
}

/** What the host tells of the file system behind `fd`. */
export interface HostStatfs {
  /** The magic number, `<linux/magic.h>`. */
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

export function statfsFd(fd: number): HostStatfs | Errno {
  const words = new BigUint64Array(16);
  const result = call("fstatfs", fd, words);
  if (result instanceof Errno) return result;
  const at = (index: number) => Number(words[index] ?? 0n);
  const type = at(0);
  return {
    type,
    bsize: at(1),
    blocks: at(2),
    bfree: at(3),
    bavail: at(4),
    files: at(5),
    ffree: at(6),
  };
}

/** The directory a path of the operator names, made if it is missing (its parent exists). `O_PATH`. */
export function openDirectory(path: ByteString, mode = 0o700): number | Errno {
  const made = call("mkdirat", AT_FDCWD, cstring(path), mode);
  if (made instanceof Errno && made.name !== "EEXIST") return made;
  return openHostPath(path, HOST_O.PATH | HOST_O.DIRECTORY);
}

/** The user and group the sentry itself runs as. */
export function ownIds(): { readonly uid: number; readonly gid: number } {
  const uid = call("geteuid");
  const gid = call("getegid");
  if (uid instanceof Errno || gid instanceof Errno)
    throw new Error("The host refuses to say who we are");
  return { uid, gid };
}
