/** Advisory locks: whole-file ones of flock(2), and the record locks of fcntl(2) in both kinds. */
import { EAGAIN, EDEADLK, EINVAL, ENOLCK, type Errno } from "../abi/errno.ts";
import type { Inode } from "./inode.ts";
import type { OpenFile } from "./open-file.ts";
import { POLLIN, WaitQueue } from "./poll.ts";

export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

/** The most record locks on one file. */
const RECORD_MAX = 65536;
/** How long a circle of processes that wait for one another may be and still be seen; Linux's number. */
const CIRCLE_MAX = 10;

/**
 * Where locks must also hold outside of the container: on a directory of the host, which other containers
 * and the host itself use too.
 */
export interface OuterLocks {
  /** Takes or gives up the whole-file lock of an open file. @returns `EAGAIN`. */
  flock(file: OpenFile, operation: number): Errno | undefined;
  /** Takes a record lock. @returns `EAGAIN`. */
  lock(file: OpenFile, wanted: RecordLock): Errno | undefined;
  unlock(owner: LockOwner, start: number, end: number): void;
  release(owner: LockOwner): void;
  /** Somebody's lock outside that is in the way. */
  conflict(file: OpenFile, wanted: RecordLock): RecordLock | undefined;
}

/** Who holds a record lock: a process (POSIX locks), or an open file description (`F_OFD_*`). */
export type LockOwner = object;

/** A locked range of bytes; `end` is exclusive, `Infinity` to the end of the file whatever its size. */
export interface RecordLock {
  readonly owner: LockOwner;
  /** The process to name to `F_GETLK`; -1 for an open file description's. */
  readonly pid: number;
  readonly type: typeof F_RDLCK | typeof F_WRLCK;
  readonly start: number;
  readonly end: number;
}

class Locks {
  /** flock(2): who, and whether exclusively. */
  readonly whole = new Map<OpenFile, boolean>();
  records: RecordLock[] = [];
  readonly waiters = new WaitQueue();
}

const byInode = new WeakMap<Inode, Locks>();

function locksOf(inode: Inode): Locks {
  let locks = byInode.get(inode);
  if (locks === undefined) {
    locks = new Locks();
    byInode.set(inode, locks);
  }
  return locks;
}

/** Where to wait after `EAGAIN`: woken (POLLIN) whenever a lock of the file is released. */
export function lockWaiters(inode: Inode): WaitQueue {
  return locksOf(inode).waiters;
}

/** See flock(2). @returns `EAGAIN` when somebody else's lock is in the way, whatever `LOCK_NB` says. */
export function flock(file: OpenFile, inode: Inode, operation: number): Errno | undefined {
  const locks = locksOf(inode);
  switch (operation & ~LOCK_NB) {
    case LOCK_UN:
      if (locks.whole.delete(file)) {
        inode.outerLocks?.flock(file, LOCK_UN);
        locks.waiters.wake(POLLIN);
      }
      return undefined;
    case LOCK_SH:
    case LOCK_EX: {
      const exclusive = (operation & LOCK_EX) !== 0;
      for (const [holder, theirs] of locks.whole) {
        if (holder !== file && (exclusive || theirs)) return EAGAIN;
      }
      const refused = inode.outerLocks?.flock(file, operation);
      if (refused !== undefined) return refused;
      const downgraded = locks.whole.get(file) === true && !exclusive;
      locks.whole.set(file, exclusive);
      if (downgraded) locks.waiters.wake(POLLIN);
      return undefined;
    }
    default:
      return EINVAL;
  }
}

/** The last descriptor of `file` is gone, and its locks with it. */
export function releaseFlock(file: OpenFile, inode: Inode): void {
  const locks = byInode.get(inode);
  if (locks === undefined) return;
  flock(file, inode, LOCK_UN);
  releaseRecords(inode, file);
}

/** A lock that keeps `wanted` from being granted. See `F_GETLK`. */
export function conflictingRecord(
  inode: Inode,
  wanted: RecordLock,
  file?: OpenFile,
): RecordLock | undefined {
  const inner = byInode
    .get(inode)
    ?.records.find(
      (held) =>
        held.owner !== wanted.owner &&
        held.start < wanted.end &&
        wanted.start < held.end &&
        (held.type === F_WRLCK || wanted.type === F_WRLCK),
    );
  if (inner !== undefined || file === undefined) return inner;
  return inode.outerLocks?.conflict(file, wanted);
}

/**
 * Grants `wanted`, replacing the owner's own locks in its range.
 * @param file by which the owner has the inode open.
 * @returns `EAGAIN`, `ENOLCK`.
 */
export function lockRecord(inode: Inode, wanted: RecordLock, file: OpenFile): Errno | undefined {
  const locks = locksOf(inode);
  if (conflictingRecord(inode, wanted) !== undefined) return EAGAIN;
  if (locks.records.length >= RECORD_MAX) return ENOLCK;
  const refused = inode.outerLocks?.lock(file, wanted);
  if (refused !== undefined) return refused;
  cut(locks, wanted.owner, wanted.start, wanted.end);
  let { start, end } = wanted;
  // Locks of one owner and type that touch are one lock.
  locks.records = locks.records.filter((held) => {
    if (held.owner !== wanted.owner || held.type !== wanted.type) return true;
    if (held.end < start || end < held.start) return true;
    start = Math.min(start, held.start);
    end = Math.max(end, held.end);
    return false;
  });
  locks.records.push({ ...wanted, start, end });
  // A write lock that became a read lock lets readers in.
  locks.waiters.wake(POLLIN);
  return undefined;
}

/** Gives up the owner's locks in a range. */
export function unlockRecord(inode: Inode, owner: LockOwner, start: number, end: number): void {
  const locks = byInode.get(inode);
  if (locks === undefined) return;
  cut(locks, owner, start, end);
  inode.outerLocks?.unlock(owner, start, end);
  locks.waiters.wake(POLLIN);
}

/** All locks of `owner` on the file go: a process closed any descriptor of it, or ended. */
export function releaseRecords(inode: Inode, owner: LockOwner): void {
  const locks = byInode.get(inode);
  if (locks === undefined || locks.records.length === 0) return;
  const before = locks.records.length;
  locks.records = locks.records.filter((held) => held.owner !== owner);
  if (locks.records.length === before) return;
  inode.outerLocks?.release(owner);
  locks.waiters.wake(POLLIN);
}

/** A record lock that its owner waits for. */
interface Wanted {
  readonly inode: Inode;
  readonly lock: RecordLock;
}

/** What the owners that wait in `F_SETLKW` wait for, in the order in which they came. */
const wantedBy = new Map<LockOwner, Set<Wanted>>();

/** The wait of one `F_SETLKW`: it is known to those that come to wait after it. */
export class RecordWait {
  readonly #wanted: Wanted;
  readonly #file: OpenFile;

  constructor(inode: Inode, lock: RecordLock, file: OpenFile) {
    this.#wanted = { inode, lock };
    this.#file = file;
  }

  /** As {@link lockRecord}. @returns also `EDEADLK`, when the lock's holder waits for this very owner. */
  attempt(): Errno | undefined {
    const { inode, lock } = this.#wanted;
    const error = lockRecord(inode, lock, this.#file);
    if (error !== EAGAIN) return error;
    if (closesCircle(this.#wanted)) return EDEADLK;
    const waits = wantedBy.get(lock.owner);
    if (waits === undefined) wantedBy.set(lock.owner, new Set([this.#wanted]));
    else waits.add(this.#wanted);
    return EAGAIN;
  }

  /** Whatever came of it: nobody waits any more. Calling it twice is harmless. */
  end(): void {
    const { owner } = this.#wanted.lock;
    const waits = wantedBy.get(owner);
    if (waits?.delete(this.#wanted) && waits.size === 0) wantedBy.delete(owner);
  }
}

/**
 * Whether who holds the wanted lock waits for a lock whose holder waits ... for the one who wants it. As
 * on Linux only locks of processes count, only the first wait of each, and only inside of the container.
 */
function closesCircle(wanted: Wanted): boolean {
  const { owner } = wanted.lock;
  let next: Wanted | undefined = wanted;
  for (let steps = 0; next !== undefined && steps < CIRCLE_MAX; steps++) {
    const holder: LockOwner | undefined = conflictingRecord(next.inode, next.lock)?.owner;
    if (holder === undefined) return false;
    if (holder === owner) return true;
    next = wantedBy.get(holder)?.values().next().value;
  }
  return false;
}

function cut(locks: Locks, owner: LockOwner, start: number, end: number): void {
  const rest: RecordLock[] = [];
  for (const held of locks.records) {
    if (held.owner !== owner || held.end <= start || end <= held.start) {
      rest.push(held);
      continue;
    }
    if (held.start < start) rest.push({ ...held, end: start });
    if (end < held.end) rest.push({ ...held, start: end });
  }
  locks.records = rest;
}
