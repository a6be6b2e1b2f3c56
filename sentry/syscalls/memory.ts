/** Mappings of files, and the memory calls the executor cannot answer by itself. See mmap(2). */
import { EACCES, EBADF, EINVAL, ENODEV, ENOMEM, ENOSYS, Errno, ESPIPE } from "../abi/errno.ts";
import { makeDev, O_RDONLY, O_RDWR, S_IFCHR, S_IFIFO, S_IFMT, S_IFREG } from "../abi/file.ts";
import { call } from "../host/call.ts";
import { statFd } from "../host/fs.ts";
import type { HostBacking, OpenFile } from "../vfs/open-file.ts";
import { addr, int, long, size, uint } from "./args.ts";
import { type Result, type Syscall, syscall } from "./define.ts";

const PAGE = 4096;
/** Pages one mincore(2) may ask about: 64 GiB. */
const MINCORE_MAX = 1 << 24;
const PROT_WRITE = 2;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_SHARED_VALIDATE = 0x03;
const MAP_TYPE = 0x0f;
/** FIXED, NORESERVE, STACK, FIXED_NOREPLACE: what a host mapping takes over from the guest's request. */
const MAP_PASSED = 0x10 | 0x4000 | 0x20000 | 0x100000;
const F_GETFL = 3;
const O_ACCMODE = 3;
const ZERO_DEVICE = makeDev(1, 5);
const MS_ASYNC = 1;
const MS_INVALIDATE = 2;
const MS_SYNC = 4;

/**
 * A descriptor for the backing that can do no more than the guest's own description: what an executor maps
 * it may keep.
 * @returns the descriptor and whether it is to be closed afterwards; ENODEV for what is not a regular file.
 */
function leastPowerful(
  backing: HostBacking,
  writable: boolean,
): { fd: number; own: boolean } | Errno {
  const stat = statFd(backing.fd);
  if (stat instanceof Errno) return stat;
  // Pipes, sockets and terminals cannot be mapped, so no executor ever holds one.
  if ((stat.mode & S_IFMT) !== S_IFREG) return ENODEV;
  const flags = call("fcntl", backing.fd, F_GETFL, 0);
  if (flags instanceof Errno) return flags;
  if (writable || (flags & O_ACCMODE) === O_RDONLY) return { fd: backing.fd, own: false };
  const path = Buffer.from(`/proc/self/fd/${backing.fd}\0`, "latin1");
  const fd = call("openat", -100, path, O_RDONLY | 0o2000000, 0);
  return fd instanceof Errno ? fd : { fd, own: true };
}

/** See zero(4): mapping it gives fresh memory. */
function isZeroDevice(file: OpenFile): boolean {
  const stat = file.stat();
  return !(stat instanceof Errno) && (stat.mode & S_IFMT) === S_IFCHR && stat.rdev === ZERO_DEVICE;
}

const mmap = syscall("mmap", {
  support: {
    partial: "MAP_HUGETLB is refused; MAP_POPULATE, MAP_LOCKED and MAP_GROWSDOWN are ignored",
  },
  args: { addr, length: size, prot: uint, flags: uint, fd: int, offset: long },
  run(task, { length, prot, flags, fd, offset }): Result {
    const type = flags & MAP_TYPE;
    if (length === 0 || offset < 0 || offset % PAGE !== 0) return EINVAL;
    if (type !== MAP_SHARED && type !== MAP_PRIVATE && type !== MAP_SHARED_VALIDATE) return EINVAL;
    const file = task.files.get(fd);
    if (file instanceof Errno) return EBADF;
    if (!file.readable) return EACCES;
    const shared = type !== MAP_PRIVATE;
    if (shared && (prot & PROT_WRITE) !== 0 && !file.writable) return EACCES;
    if (task.thread === undefined) throw new Error("A task that never ran called mmap");
    const passed = (flags & MAP_PASSED) | (shared ? MAP_SHARED : MAP_PRIVATE);
    if (isZeroDevice(file)) return task.thread.mapZeroes(prot, passed);
    const backing = file.backing();
    if (backing instanceof Errno) return backing === EBADF ? ENODEV : backing;
    const donated = leastPowerful(backing, shared && (file.flags & O_ACCMODE) === O_RDWR);
    if (donated instanceof Errno) return donated;
    const stat = file.stat();
    const { dev, ino } = stat instanceof Errno ? { dev: 0, ino: 0 } : stat;
    const shown = { name: file.name, dev, ino, offset, backing };
    return task.thread.mapFile(
      donated.fd,
      donated.own,
      prot,
      passed,
      backing.offset + offset,
      shown,
    );
  },
});

const msync = syscall("msync", {
  support: "full",
  args: { addr, length: size, flags: int },
  run(_task, { addr: start, flags }) {
    // Shared mappings are the host's page cache: what msync promises already holds.
    const known = MS_ASYNC | MS_INVALIDATE | MS_SYNC;
    if (start % PAGE !== 0 || (flags & ~known) !== 0) return EINVAL;
    return (flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0 ? EINVAL : 0;
  },
});

/** Whether the guest has memory at every page of a range; a way to tell ENOMEM. */
function isMapped(task: Parameters<Syscall["invoke"]>[0], start: number, length: number): boolean {
  const last = start + Math.max(length - 1, 0);
  return (
    !(task.memory.copyIn(start, 1) instanceof Errno) &&
    !(task.memory.copyIn(last, 1) instanceof Errno)
  );
}

const mincore = syscall("mincore", {
  support: { partial: "a page of a file counts as resident once it has been touched" },
  args: { addr, length: size, vec: addr },
  run(task, { addr: start, length, vec }) {
    if (start % PAGE !== 0) return EINVAL;
    const pages = Math.ceil(length / PAGE);
    if (pages > MINCORE_MAX) return ENOMEM;
    if (pages === 0) return 0;
    const resident = task.kernel.memoryMap?.resident(task.process, start, pages) ?? ENOMEM;
    return resident instanceof Errno ? resident : (task.memory.copyOut(vec, resident) ?? 0);
  },
});

/** posix_fadvise(2): advice about files is accepted and not needed. */
const fadvise64 = syscall("fadvise64", {
  support: { partial: "advice is checked and then ignored" },
  args: { fd: int, offset: long, length: long, advice: int },
  run(task, { fd, length, advice }) {
    const file = task.files.get(fd);
    if (file instanceof Errno) return file;
    const stat = file.stat();
    if (!(stat instanceof Errno) && (stat.mode & S_IFMT) === S_IFIFO) return ESPIPE;
    return length < 0 || advice < 0 || advice > 5 ? EINVAL : 0;
  },
});

/** readahead(2): the host reads ahead by itself; what is checked is what Linux checks. */
const readahead = syscall("readahead", {
  support: { partial: "arguments are checked, but nothing is read" },
  args: { fd: int, offset: long, count: size },
  run(task, { fd }) {
    const file = task.files.get(fd);
    if (file instanceof Errno) return file;
    if (!file.readable) return EBADF;
    const stat = file.stat();
    if (stat instanceof Errno) return stat;
    return (stat.mode & S_IFMT) === S_IFREG ? 0 : EINVAL;
  },
});

/** mlock(2) and its relatives: memory is never locked, which the limit of 0 bytes of a container also says. */
function lock(name: "mlock" | "munlock" | "mlock2") {
  return syscall(name, {
    support: { partial: "addresses are checked, but nothing is locked" },
    args: { addr, length: size, flags: uint },
    run(task, { addr: start, length, flags }) {
      if (name === "mlock2" && (flags & ~1) !== 0) return EINVAL;
      return length === 0 || isMapped(task, start, length) ? 0 : ENOMEM;
    },
  });
}

const mlockall = syscall("mlockall", {
  support: { partial: "flags are checked, but nothing is locked" },
  args: { flags: int },
  run: (_task, { flags }) => (flags === 0 || flags === 4 || (flags & ~7) !== 0 ? EINVAL : 0),
});

const munlockall = syscall("munlockall", { support: "full", args: {}, run: () => 0 });

/**
 * Calls that the executor answers itself, for the documentation. One that arrives here all the same comes
 * from code that went around the runtime.
 */
function answeredByExecutor(name: Syscall["name"], support: Syscall["support"]): Syscall {
  return syscall(name, { support, args: {}, run: () => ENOSYS });
}

const EXECUTOR: readonly Syscall[] = [
  answeredByExecutor("munmap", "full"),
  answeredByExecutor("mprotect", "full"),
  answeredByExecutor("mremap", "full"),
  answeredByExecutor("brk", "full"),
  answeredByExecutor("madvise", {
    partial:
      "DONTNEED, FREE, DONTFORK and huge-page advice reach the host; other advice is accepted",
  }),
  answeredByExecutor("rt_sigprocmask", "full"),
  answeredByExecutor("rt_sigreturn", "full"),
  answeredByExecutor("sigaltstack", "full"),
  answeredByExecutor("futex", {
    partial: "requeueing wakes instead of moving waiters; priority inheritance (PI) is ENOSYS",
  }),
  answeredByExecutor("set_robust_list", "full"),
  answeredByExecutor("arch_prctl", { partial: "the GS base cannot be set" }),
];

export const MEMORY: readonly Syscall[] = [
  mmap,
  msync,
  mincore,
  fadvise64,
  readahead,
  lock("mlock"),
  lock("munlock"),
  lock("mlock2"),
  mlockall,
  munlockall,
  ...EXECUTOR,
];
