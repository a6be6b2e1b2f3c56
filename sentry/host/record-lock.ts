import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { EACCES, EAGAIN, type Errno } from "../abi/errno.ts";
import { call } from "./call.ts";

/** `struct flock` of <bits/fcntl.h>, equal on both 64-bit ISAs: type, whence, start, len, pid. */
const FLOCK_BYTES = 32;
const L_TYPE = 0;
const L_PID = 24;

const F_GETLK = 5;
const F_SETLK = 6;
const F_SETLKW = 7;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** Locks this process holds, by the file's identity. */
const held = new Set<string>();

/**
 * An exclusive lock on a file, held by this process until {@link release} or its end, however it ends.
 *
 * It is a record lock of fcntl(2), which children of fork(2) do not inherit: the processes of a trusted
 * container are forks of its sentry, and must not keep it looking alive. The price, a lock lost when any
 * descriptor of the file is closed, is paid by the set above: a file this process has locked is never
 * opened twice.
 */
export class RecordLock {
  private readonly fd: number;
  private readonly identity: string;

  private constructor(fd: number, identity: string) {
    this.fd = fd;
    this.identity = identity;
  }

  /**
   * Takes the lock on the existing file `path` if nobody has it.
   * @returns undefined when somebody has, this process included.
   * @throws the error of open(2); `ENOENT` also when the file was removed meanwhile.
   */
  static tryAcquire(path: string): RecordLock | undefined {
    return RecordLock.acquireBy(F_SETLK, path);
  }

  /** Takes the lock, waiting for whoever has it. For sections of a few milliseconds only. */
  static acquire(path: string): RecordLock {
    const lock = RecordLock.acquireBy(F_SETLKW, path);
    if (lock === undefined) throw new Error(`This process already holds the lock ${path}`);
    return lock;
  }

  private static acquireBy(command: number, path: string): RecordLock | undefined {
    if (held.has(identityOf(statSync(path)))) return undefined;
    const fd = openSync(path, "r+");
    const identity = identityOf(fstatSync(fd));
    const result = call("fcntl", fd, command, writeLock());
    if (typeof result !== "number") {
      closeSync(fd);
      if (result === EAGAIN || result === EACCES) return undefined;
      throw new Error(`Locking ${path} failed: ${(result as Errno).name}`);
    }
    const lock = new RecordLock(fd, identity);
    held.add(identity);
    try {
      // The file may have been removed, or replaced, between open and lock.
      if (identityOf(statSync(path)) === identity) return lock;
    } catch (error) {
      lock.release();
      throw error;
    }
    lock.release();
    return RecordLock.acquireBy(command, path);
  }

  /** The id of the process that has the lock on `path`, or undefined. 0: one in another pid namespace. */
  static holder(path: string): number | undefined {
    if (held.has(identityOf(statSync(path)))) return process.pid;
    const fd = openSync(path, "r");
    try {
      const lock = writeLock();
      const result = call("fcntl", fd, F_GETLK, lock);
      if (typeof result !== "number") throw new Error(`Asking for the lock ${path} failed`);
      return lock.readInt16LE(L_TYPE) === F_UNLCK
        ? undefined
        : Math.max(0, lock.readInt32LE(L_PID));
    } finally {
      closeSync(fd);
    }
  }

  release(): void {
    held.delete(this.identity);
    closeSync(this.fd);
  }
}

function writeLock(): Buffer {
  const lock = Buffer.alloc(FLOCK_BYTES);
  lock.writeInt16LE(F_WRLCK, L_TYPE);
  return lock;
}

function identityOf(stat: { dev: number; ino: number }): string {
  return `${stat.dev}:${stat.ino}`;
}
