import { Errno } from "../abi/errno.ts";
import { O_RDONLY, O_RDWR, O_WRONLY } from "../abi/file.ts";
import { flock, getRecordLock, setRecordLock } from "../host/file-lock.ts";
import { closeFd, reopen } from "../host/fs.ts";
import {
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  LOCK_NB,
  type LockOwner,
  type OuterLocks,
  type RecordLock,
} from "../vfs/lock.ts";
import type { OpenFile } from "../vfs/open-file.ts";

/**
 * The locks of one host file as the host has them. A record lock of the container is one of an open file
 * description made for its owner, so that it ends when the owner gives it up, or the sentry ends.
 */
export class HostLocks implements OuterLocks {
  readonly #descriptions = new Map<LockOwner, number>();

  flock(file: OpenFile, operation: number): Errno | undefined {
    const backing = file.backing();
    return backing instanceof Errno ? backing : flock(backing.fd, operation | LOCK_NB);
  }

  lock(file: OpenFile, wanted: RecordLock): Errno | undefined {
    const fd = this.#description(file, wanted.owner);
    return fd instanceof Errno ? fd : setRecordLock(fd, wanted);
  }

  unlock(owner: LockOwner, start: number, end: number): void {
    const fd = this.#descriptions.get(owner);
    if (fd !== undefined) setRecordLock(fd, { type: F_UNLCK, start, end });
  }

  release(owner: LockOwner): void {
    const fd = this.#descriptions.get(owner);
    if (fd === undefined) return;
    // Said in so many words: a forked process may still have the description.
    setRecordLock(fd, { type: F_UNLCK, start: 0, end: Number.POSITIVE_INFINITY });
    closeFd(fd);
    this.#descriptions.delete(owner);
  }

  conflict(file: OpenFile, wanted: RecordLock): RecordLock | undefined {
    const known = this.#descriptions.get(wanted.owner);
    const backing = file.backing();
    if (backing instanceof Errno) return undefined;
    const held = getRecordLock(known ?? backing.fd, wanted);
    if (held instanceof Errno || (held.type !== F_RDLCK && held.type !== F_WRLCK)) return undefined;
    // Who it is has no number in the container.
    return { owner: this, pid: -1, type: held.type, start: held.start, end: held.end };
  }

  #description(file: OpenFile, owner: LockOwner): number | Errno {
    const known = this.#descriptions.get(owner);
    if (known !== undefined) return known;
    const backing = file.backing();
    if (backing instanceof Errno) return backing;
    // The owner may lock for reading and for writing later: the most that the host allows.
    const access = file.writable ? (file.readable ? O_RDWR : O_WRONLY) : O_RDONLY;
    const both = reopen(backing.fd, O_RDWR);
    const fd = both instanceof Errno ? reopen(backing.fd, access) : both;
    if (fd instanceof Errno) return fd;
    this.#descriptions.set(owner, fd);
    return fd;
  }
}
