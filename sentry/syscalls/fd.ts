/** Descriptors and what they refer to: close(2), dup(2), fcntl(2), pipe(2). */
import { EBADF, EINVAL, EMFILE, Errno } from "../abi/errno.ts";
import {
  guestOpenFlags,
  O_APPEND,
  O_ASYNC,
  O_CLOEXEC,
  O_DIRECT,
  O_NOATIME,
  O_NONBLOCK,
  O_PATH,
  openFlags,
} from "../abi/file.ts";
import { SIGMAX } from "../abi/signal.ts";
import { i32, struct } from "../abi/struct.ts";
import { makePipe, PipeEnd } from "../fs/pipe.ts";
import { RLIMIT_NOFILE } from "../kernel/limits.ts";
import type { Task } from "../kernel/task.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { fd, int, long, structOut, uint } from "./args.ts";
import { type Out, type Result, type Syscall, syscall } from "./define.ts";

const CLOSE_RANGE_UNSHARE = 2;
const CLOSE_RANGE_CLOEXEC = 4;
const FD_CLOEXEC = 1;

const PipeFds = struct({ read: i32, write: i32 });

/** RLIMIT_NOFILE of the caller. */
export function descriptorLimit(task: Task): number {
  return task.process.limits.soft(RLIMIT_NOFILE);
}

/** Gives `file` the lowest free descriptor; closes it when there is none. @returns `EMFILE`. */
export function installFile(task: Task, file: OpenFile, cloexec: boolean): number | Errno {
  const number = task.files.install(file, { cloexec, limit: descriptorLimit(task) });
  if (number instanceof Errno) file.close();
  return number;
}

function duplicate(task: Task, from: number, min: number, cloexec: boolean): number | Errno {
  const file = task.files.get(from);
  if (file instanceof Errno) return file;
  const limit = descriptorLimit(task);
  if (min < 0 || min >= limit) return EINVAL;
  const number = task.files.install(file.retain(), { cloexec, min, limit });
  if (number instanceof Errno) file.close();
  return number;
}

function duplicateTo(task: Task, from: number, to: number, cloexec: boolean): number | Errno {
  const file = task.files.get(from);
  if (file instanceof Errno) return file;
  const number = task.files.set(to, file.retain(), cloexec, descriptorLimit(task));
  if (number instanceof Errno) file.close();
  return number;
}

function openPipe(task: Task, out: Out<{ read: number; write: number }>, rawFlags: number): Result {
  const flags = openFlags(task.process.isa, rawFlags);
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) !== 0) return EINVAL;
  const owner = { uid: task.credentials.fsuid, gid: task.credentials.fsgid };
  const ends = makePipe(task.kernel.reactor, flags & (O_NONBLOCK | O_DIRECT), owner);
  if (ends instanceof Errno) return ends;
  const [reader, writer] = ends;
  const cloexec = (flags & O_CLOEXEC) !== 0;
  const read = installFile(task, reader, cloexec);
  if (read instanceof Errno) {
    writer.close();
    return read;
  }
  const write = installFile(task, writer, cloexec);
  if (write instanceof Errno) {
    task.files.close(read);
    return write;
  }
  const error = out.write({ read, write });
  if (error === undefined) return 0;
  task.files.close(read);
  task.files.close(write);
  return error;
}

/** What `F_SETFL` can change. */
const SETTABLE = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;

function setStatus(file: OpenFile, wanted: number): void {
  file.flags = (file.flags & ~SETTABLE) | (wanted & SETTABLE);
  file.flagsChanged();
}

/** Who is sent SIGIO, and which signal instead; remembered for `F_GETOWN` and `F_GETSIG`. */
const ownership = new WeakMap<OpenFile, { owner: number; signo: number }>();

function ownershipOf(file: OpenFile): { owner: number; signo: number } {
  let entry = ownership.get(file);
  if (entry === undefined) {
    entry = { owner: 0, signo: 0 };
    ownership.set(file, entry);
  }
  return entry;
}

type FcntlCommand = (task: Task, file: OpenFile, argument: number, fd: number) => Result;

const INVALID_LEASE: FcntlCommand = () => EINVAL;

/** Commands by number, `<asm-generic/fcntl.h>` and `<linux/fcntl.h>`. Locks and seals register theirs. */
const COMMANDS = new Map<number, FcntlCommand>([
  [0, (task, _file, argument, from) => duplicate(task, from, argument, false)], // F_DUPFD
  [1030, (task, _file, argument, from) => duplicate(task, from, argument, true)], // F_DUPFD_CLOEXEC
  [
    1, // F_GETFD
    (task, _file, _argument, number) => {
      const cloexec = task.files.cloexec(number);
      return cloexec instanceof Errno ? cloexec : cloexec ? FD_CLOEXEC : 0;
    },
  ],
  [
    2, // F_SETFD
    (task, _file, argument, number) =>
      task.files.setCloexec(number, (argument & FD_CLOEXEC) !== 0) ?? 0,
  ],
  [3, (task, file) => guestOpenFlags(task.process.isa, file.flags)], // F_GETFL
  [
    4, // F_SETFL
    (task, file, argument) => {
      const wanted = openFlags(task.process.isa, argument & 0xffff_ffff);
      setStatus(file, wanted);
      return 0;
    },
  ],
  [
    8, // F_SETOWN
    (_task, file, argument) => {
      ownershipOf(file).owner = argument | 0;
      return 0;
    },
  ],
  [9, (_task, file) => ownershipOf(file).owner], // F_GETOWN
  [
    10, // F_SETSIG
    (_task, file, argument) => {
      if (argument < 0 || argument > SIGMAX) return EINVAL;
      ownershipOf(file).signo = argument;
      return 0;
    },
  ],
  [11, (_task, file) => ownershipOf(file).signo], // F_GETSIG
  [1024, INVALID_LEASE], // F_SETLEASE
  [1025, () => 2], // F_GETLEASE: F_UNLCK
  [
    1031, // F_SETPIPE_SZ
    (_task, file, argument) => (file instanceof PipeEnd ? file.setCapacity(argument) : EBADF),
  ],
  [1032, (_task, file) => (file instanceof PipeEnd ? file.capacity() : EBADF)], // F_GETPIPE_SZ
]);

/** Adds fcntl commands that belong to another family, such as record locks. */
export function registerFcntl(command: number, run: FcntlCommand): void {
  if (COMMANDS.has(command)) throw new Error(`fcntl command ${command} has two handlers`);
  COMMANDS.set(command, run);
}

/** Commands that an `O_PATH` descriptor allows. See open(2). */
const PATH_COMMANDS: ReadonlySet<number> = new Set([0, 1, 2, 3, 1030]);

export const FD: readonly Syscall[] = [
  syscall("close", {
    support: "full",
    args: { fd },
    run: (task, { fd: number }) => task.files.close(number) ?? 0,
  }),
  syscall("close_range", {
    support: "full",
    args: { first: uint, last: uint, flags: uint },
    run: (task, { first, last, flags }) => {
      if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) !== 0 || first > last) {
        return EINVAL;
      }
      if ((flags & CLOSE_RANGE_UNSHARE) !== 0 && task.files.shared) {
        const own = task.files.copy();
        task.files.leave();
        task.files = own;
      }
      for (const { fd: number } of [...task.files.entries()]) {
        if (number < first || number > last) continue;
        if ((flags & CLOSE_RANGE_CLOEXEC) !== 0) task.files.setCloexec(number, true);
        else task.files.close(number);
      }
      return 0;
    },
  }),
  syscall("dup", {
    support: "full",
    args: { oldfd: fd },
    run: (task, { oldfd }) => {
      const number = duplicate(task, oldfd, 0, false);
      return number === EINVAL ? EMFILE : number;
    },
  }),
  syscall("dup2", {
    support: "full",
    args: { oldfd: fd, newfd: fd },
    run: (task, { oldfd, newfd }) => {
      const file = task.files.get(oldfd);
      if (file instanceof Errno) return file;
      return oldfd === newfd ? newfd : duplicateTo(task, oldfd, newfd, false);
    },
  }),
  syscall("dup3", {
    support: "full",
    args: { oldfd: fd, newfd: fd, flags: uint },
    run: (task, { oldfd, newfd, flags }) => {
      if ((flags & ~O_CLOEXEC) !== 0 || oldfd === newfd) return EINVAL;
      return duplicateTo(task, oldfd, newfd, (flags & O_CLOEXEC) !== 0);
    },
  }),
  syscall("fcntl", {
    support: {
      partial: "leases, F_NOTIFY and the delivery of SIGIO (O_ASYNC) are missing; owners are kept",
    },
    args: { fd, cmd: int, arg: long },
    run: (task, { fd: number, cmd, arg: argument }) => {
      const file = task.files.get(number);
      if (file instanceof Errno) return file;
      if ((file.flags & O_PATH) !== 0 && !PATH_COMMANDS.has(cmd)) return EBADF;
      return COMMANDS.get(cmd)?.(task, file, argument, number) ?? EINVAL;
    },
  }),
  syscall("pipe", {
    support: "full",
    args: { pipefd: structOut(PipeFds) },
    run: (task, { pipefd }) => openPipe(task, pipefd, 0),
  }),
  syscall("pipe2", {
    support: "full",
    args: { pipefd: structOut(PipeFds), flags: uint },
    run: (task, { pipefd, flags }) => openPipe(task, pipefd, flags),
  }),
];
