/** Advisory locks: flock(2), and the lock commands of fcntl(2). */
import { EBADF, EINVAL, EOVERFLOW, Errno } from "../abi/errno.ts";
import { O_PATH, SEEK_CUR, SEEK_END, SEEK_SET } from "../abi/file.ts";
import { i16, i32, i64, struct } from "../abi/struct.ts";
import type { Timer } from "../host/reactor.ts";
import { blockOn, PARKED, type WaitOptions } from "../kernel/blocking.ts";
import type { Task } from "../kernel/task.ts";
import type { VfsFile } from "../vfs/file.ts";
import {
  conflictingRecord,
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  flock,
  LOCK_NB,
  LOCK_UN,
  type LockOwner,
  lockRecord,
  lockWaiters,
  type RecordLock,
  RecordWait,
  unlockRecord,
} from "../vfs/lock.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { POLLIN, type Pollable } from "../vfs/poll.ts";
import { fd, int } from "./args.ts";
import { vfsFile } from "./at.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { registerFcntl } from "./fd.ts";

/** `struct flock`, `<asm-generic/fcntl.h>`. */
const Flock = struct({ type: i16, whence: i16, start: i64, len: i64, pid: i32 });

const F_GETLK = 5;
const F_SETLK = 6;
const F_SETLKW = 7;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_OFD_SETLKW = 38;

/** What to wait on for a lock of the file. */
function released(file: VfsFile): Pollable {
  const queue = lockWaiters(file.inode);
  return { poll: () => 0, subscribe: (events, waiter) => queue.subscribe(events, waiter) };
}

/** How often a lock is tried again that somebody outside of the container may hold: nobody tells us. */
const RETRY_NS = 10_000_000n;

/** A source that is heard of regularly. */
function regularly(task: Task): Pollable {
  const { reactor } = task.kernel;
  return {
    poll: () => 0,
    subscribe: (_events, waiter) => {
      let timer: Timer;
      const arm = () => {
        timer = reactor.at(reactor.now() + RETRY_NS, () => {
          arm();
          waiter(POLLIN);
        });
      };
      arm();
      return () => timer.cancel();
    },
  };
}

function waitForLock(
  task: Task,
  file: VfsFile,
  attempt: () => Errno | undefined,
  options: WaitOptions = {},
): Result {
  const waits = [{ source: released(file), events: POLLIN }];
  if (file.inode.outerLocks !== undefined) waits.push({ source: regularly(task), events: POLLIN });
  return blockOn(task, waits, () => attempt() ?? 0, options);
}

/** Waits for a lock of the process, unless that would be for ever. */
function waitForRecord(task: Task, file: VfsFile, wait: RecordWait): Result {
  const ended = () => wait.end();
  const result = waitForLock(task, file, () => wait.attempt(), { ended });
  if (result !== PARKED) wait.end();
  return result;
}

/** The range a `struct flock` means. @returns `EINVAL`, `EOVERFLOW`. */
function range(
  file: OpenFile,
  lock: { readonly whence: number; readonly start: number; readonly len: number },
): { readonly start: number; readonly end: number } | Errno {
  let base: number | Errno = 0;
  if (lock.whence === SEEK_CUR) base = file.seek(0, SEEK_CUR);
  else if (lock.whence === SEEK_END) {
    const stat = file.stat();
    base = stat instanceof Errno ? stat : stat.size;
  } else if (lock.whence !== SEEK_SET) return EINVAL;
  if (base instanceof Errno) return base;
  const start = base + lock.start;
  const end = lock.len === 0 ? Number.POSITIVE_INFINITY : start + lock.len;
  if (start < 0 || end < 0) return EINVAL;
  if (!Number.isSafeInteger(start)) return EOVERFLOW;
  return end < start ? { start: end, end: start } : { start, end };
}

/** One lock command of fcntl(2). POSIX locks belong to the descriptor table, as Linux has it. */
function recordCommand(
  task: Task,
  file: OpenFile,
  address: number,
  command: number,
  number: number,
): Result {
  const vfs = vfsFile(task, number);
  if (vfs instanceof Errno) return vfs;
  const bytes = task.memory.copyIn(address, Flock.size);
  if (bytes instanceof Errno) return bytes;
  const lock = Flock.parse(bytes);
  const ofd = command >= F_OFD_GETLK;
  if (ofd && lock.pid !== 0) return EINVAL;
  const span = range(file, lock);
  if (span instanceof Errno) return span;
  const owner: LockOwner = ofd ? file : task.files;
  const pid = ofd ? -1 : task.process.pid;

  if (command === F_GETLK || command === F_OFD_GETLK) {
    if (lock.type !== F_RDLCK && lock.type !== F_WRLCK) return EINVAL;
    const held = conflictingRecord(vfs.inode, { owner, pid, type: lock.type, ...span }, file);
    return task.memory.copyOut(address, answer(lock, held)) ?? 0;
  }
  if (lock.type === F_UNLCK) {
    unlockRecord(vfs.inode, owner, span.start, span.end);
    return 0;
  }
  if (lock.type !== F_RDLCK && lock.type !== F_WRLCK) return EINVAL;
  if (lock.type === F_RDLCK ? !file.readable : !file.writable) return EBADF;
  const wanted: RecordLock = { owner, pid, type: lock.type, ...span };
  const attempt = () => lockRecord(vfs.inode, wanted, file);
  if (command === F_SETLKW)
    return waitForRecord(task, vfs, new RecordWait(vfs.inode, wanted, file));
  return command === F_OFD_SETLKW ? waitForLock(task, vfs, attempt) : (attempt() ?? 0);
}

function answer(
  asked: Parameters<typeof Flock.bytes>[0],
  held: RecordLock | undefined,
): Uint8Array {
  if (held === undefined) return Flock.bytes({ ...asked, type: F_UNLCK });
  const len = held.end === Number.POSITIVE_INFINITY ? 0 : held.end - held.start;
  return Flock.bytes({ type: held.type, whence: SEEK_SET, start: held.start, len, pid: held.pid });
}

for (const command of [F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW]) {
  registerFcntl(command, (task, file, argument, number) =>
    recordCommand(task, file, argument, command, number),
  );
}

export const LOCK: readonly Syscall[] = [
  syscall("flock", {
    support: "full",
    args: { fd, operation: int },
    run: (task, { fd, operation }) => {
      const file = vfsFile(task, fd);
      if (file instanceof Errno) return file;
      if ((file.flags & O_PATH) !== 0) return EBADF;
      const attempt = () => flock(file, file.inode, operation);
      const waits = (operation & (LOCK_NB | LOCK_UN)) === 0;
      return waits ? waitForLock(task, file, attempt) : (attempt() ?? 0);
    },
  }),
];
