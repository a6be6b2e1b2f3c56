/** Advisory locks on host files: flock(2), and the record locks of open file descriptions, fcntl(2). */
import { Errno } from "../abi/errno.ts";
import { call } from "./call.ts";
import { failure } from "./fs.ts";

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

/** See flock(2). */
export function flock(fd: number, operation: number): Errno | undefined {
  return failure(call("flock", fd, operation));
}

const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const FLOCK_SIZE = 32;

/** A record lock of an open file description; `end` is exclusive, `Infinity` for all there will ever be. */
export interface HostRecordLock {
  /** `F_RDLCK`, `F_WRLCK`, `F_UNLCK`. */
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

function recordLock(fd: number, command: number, lock: HostRecordLock): HostRecordLock | Errno {
  const bytes = Buffer.alloc(FLOCK_SIZE);
  const length = lock.end === Number.POSITIVE_INFINITY ? 0 : lock.end - lock.start;
  bytes.writeInt16LE(lock.type, 0);
  bytes.writeBigInt64LE(BigInt(lock.start), 8);
  bytes.writeBigInt64LE(BigInt(length), 16);
  const result = call("fcntl", fd, command, bytes);
  if (result instanceof Errno) return result;
  const start = Number(bytes.readBigInt64LE(8));
  const found = Number(bytes.readBigInt64LE(16));
  const end = found === 0 ? Number.POSITIVE_INFINITY : start + found;
  return { type: bytes.readInt16LE(0), start, end };
}

/** Takes or gives up a lock of the description `fd`; see `F_OFD_SETLK` in fcntl(2). @returns `EAGAIN`. */
export function setRecordLock(fd: number, lock: HostRecordLock): Errno | undefined {
  const result = recordLock(fd, F_OFD_SETLK, lock);
  return result instanceof Errno ? result : undefined;
}

/** Somebody else's lock that is in the way of `lock`; its type is `F_UNLCK` when there is none. */
export function getRecordLock(fd: number, lock: HostRecordLock): HostRecordLock | Errno {
  return recordLock(fd, F_OFD_GETLK, lock);
}
