/** Opening files, and their length: open(2), openat2(2), truncate(2), fallocate(2), fsync(2), memfd_create(2). */
import type { ByteString } from "../abi/bytes.ts";
import {
  E2BIG,
  EAGAIN,
  EBADF,
  EINVAL,
  EISDIR,
  ENODEV,
  EOPNOTSUPP,
  EPERM,
  Errno,
  ESPIPE,
} from "../abi/errno.ts";
import {
  AT_FDCWD,
  FALLOC_FL_KEEP_SIZE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  openFlags,
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
} from "../abi/file.ts";
import { big64, struct } from "../abi/struct.ts";
import { MemfdFile, memfdFile } from "../fs/memfd.ts";
import { addSeals, getSeals } from "../host/memfd.ts";
import { blockOn } from "../kernel/blocking.ts";
import type { Task } from "../kernel/task.ts";
import { truncate } from "../vfs/attributes.ts";
import { open } from "../vfs/open.ts";
import { POLLIN, POLLOUT } from "../vfs/poll.ts";
import { lookup } from "../vfs/resolve.ts";
import { isPending, type PendingOpen } from "../vfs/special.ts";
import { addr, dirfd, fd, int, long, mode, name, path, size, uint } from "./args.ts";
import { inodeOf, startAt } from "./at.ts";
import { type Result, type Syscall, syscall } from "./define.ts";
import { installFile, registerFcntl } from "./fd.ts";
import { mayResize } from "./size-limit.ts";

/** Flags open(2) knows; it ignores others, openat2(2) refuses them. */
const KNOWN_FLAGS = 0o37777703;
const PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
const RESOLVE_KNOWN = 0x3f;
/** PAGE_SIZE: no `struct open_how` is longer. */
const HOW_SIZE_MAX = 4096;
const OpenHow = struct({ flags: big64, mode: big64, resolve: big64 });

function openAt(
  task: Task,
  dirfd: number,
  path: ByteString,
  flags: number,
  mode: number,
  resolve = 0,
): Result {
  const start =
    (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0
      ? startAt(task, dirfd, "")
      : startAt(task, dirfd, path);
  if (start instanceof Errno) return start;
  const opened = open(task, start, path, { flags, mode, resolve });
  if (opened instanceof Errno) return opened;
  const cloexec = (flags & O_CLOEXEC) !== 0;
  return isPending(opened)
    ? waitForOtherEnd(task, opened, cloexec)
    : installFile(task, opened, cloexec);
}

/** See fifo(7): open waits until the other end is opened too. */
function waitForOtherEnd(task: Task, pending: PendingOpen, cloexec: boolean): Result {
  let installed = false;
  const giveUp = () => {
    if (!installed) pending.file.close();
  };
  const result = blockOn(
    task,
    [{ source: pending.source, events: POLLIN | POLLOUT }],
    () => {
      if (!pending.ready()) return EAGAIN;
      installed = true;
      return installFile(task, pending.file, cloexec);
    },
    { ended: giveUp },
  );
  if (result instanceof Errno) giveUp();
  return result;
}

function openWithFlags(
  task: Task,
  dirfd: number,
  path: ByteString,
  rawFlags: number,
  mode: number,
): Result {
  let flags = openFlags(task.process.isa, rawFlags) & KNOWN_FLAGS;
  if ((flags & O_PATH) !== 0) flags &= PATH_FLAGS;
  return openAt(task, dirfd, path, flags, mode);
}

/** `struct open_how` as the guest has it: longer ones must be zero in what is not known. See openat2(2). */
function readHow(task: Task, address: number, length: number): Uint8Array | Errno {
  if (length < OpenHow.size) return EINVAL;
  if (length > HOW_SIZE_MAX) return E2BIG;
  const bytes = task.memory.copyIn(address, length);
  if (bytes instanceof Errno) return bytes;
  return bytes.subarray(OpenHow.size).every((byte) => byte === 0) ? bytes : E2BIG;
}

function openat2(
  task: Task,
  dirfd: number,
  path: ByteString,
  address: number,
  length: number,
): Result {
  const bytes = readHow(task, address, length);
  if (bytes instanceof Errno) return bytes;
  const how = OpenHow.parse(bytes);
  if (how.flags >> 32n !== 0n || how.mode > 0o7777n || how.resolve >> 32n !== 0n) return EINVAL;
  const flags = openFlags(task.process.isa, Number(how.flags));
  const resolve = Number(how.resolve);
  if ((flags & ~KNOWN_FLAGS) !== 0 || (resolve & ~RESOLVE_KNOWN) !== 0) return EINVAL;
  if ((flags & O_PATH) !== 0 && (flags & ~PATH_FLAGS) !== 0) return EINVAL;
  if (how.mode !== 0n && (flags & (O_CREAT | O_TMPFILE)) === 0) return EINVAL;
  const both = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
  if ((resolve & both) === both) return EINVAL;
  // Nothing here ever waits for a disk to resolve a path: everything counts as cached.
  if ((resolve & RESOLVE_CACHED) !== 0 && (flags & (O_TRUNC | O_CREAT | O_TMPFILE)) !== 0) {
    return EAGAIN;
  }
  return openAt(task, dirfd, path, flags, Number(how.mode), resolve);
}

function ftruncate(task: Task, fd: number, length: number): number | Errno {
  if (length < 0) return EINVAL;
  const file = task.files.get(fd);
  if (file instanceof Errno) return file;
  if ((file.flags & O_PATH) !== 0) return EBADF;
  if (!file.writable) return EINVAL;
  const stat = file.stat();
  if (stat instanceof Errno) return stat;
  return mayResize(task, stat.size, length) ?? file.truncate(length) ?? 0;
}

function fallocate(
  task: Task,
  fd: number,
  mode: number,
  offset: number,
  length: number,
): number | Errno {
  const file = task.files.get(fd);
  if (file instanceof Errno) return file;
  if (!file.writable) return EBADF;
  if (offset < 0 || length <= 0) return EINVAL;
  const stat = file.stat();
  if (stat instanceof Errno) return stat;
  switch (stat.mode & S_IFMT) {
    case S_IFREG:
      break;
    case S_IFIFO:
      return ESPIPE;
    case S_IFDIR:
      return EISDIR;
    default:
      return ENODEV;
  }
  const grown = mode & FALLOC_FL_KEEP_SIZE ? stat.size : offset + length;
  const tooLarge = mayResize(task, stat.size, grown);
  if (tooLarge !== undefined) return tooLarge;
  return file.allocate(mode, offset, length) ?? 0;
}

function fsync(task: Task, fd: number, dataOnly: boolean): number | Errno {
  const file = task.files.get(fd);
  if (file instanceof Errno) return file;
  return (file.flags & O_PATH) !== 0 ? EBADF : (file.sync(dataOnly) ?? 0);
}

function syncAll(task: Task): number {
  // sync(2) reports nothing: each file system does what it can.
  const systems = new Set([...task.fs.root.mount.namespace.mounts].map((mount) => mount.fs));
  for (const fs of systems) fs.sync();
  return 0;
}

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NOEXEC_SEAL = 8;
const MFD_EXEC = 16;
/** Longest name of a memfd: NAME_MAX less `memfd:`. */
const MEMFD_NAME_MAX = 249;

function memfdCreate(task: Task, name: ByteString, flags: number): number | Errno {
  const known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
  if ((flags & ~known) !== 0 || name.length > MEMFD_NAME_MAX) return EINVAL;
  const file = memfdFile(task, name, (flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)) !== 0);
  return file instanceof Errno ? file : installFile(task, file, (flags & MFD_CLOEXEC) !== 0);
}

registerFcntl(1033, (_task, file, seals) =>
  file instanceof MemfdFile ? (addSeals(file.hostFd, seals) ?? 0) : EINVAL,
);
registerFcntl(1034, (_task, file) => (file instanceof MemfdFile ? getSeals(file.hostFd) : EINVAL));

export const FILE: readonly Syscall[] = [
  syscall("open", {
    support: "full",
    args: { pathname: path, flags: uint, mode },
    run: (task, { pathname, flags, mode }) => openWithFlags(task, AT_FDCWD, pathname, flags, mode),
  }),
  syscall("openat", {
    support: "full",
    args: { dirfd, pathname: path, flags: uint, mode },
    run: (task, { dirfd, pathname, flags, mode }) =>
      openWithFlags(task, dirfd, pathname, flags, mode),
  }),
  syscall("creat", {
    support: "full",
    args: { pathname: path, mode },
    run: (task, { pathname, mode }) =>
      openAt(task, AT_FDCWD, pathname, O_CREAT | O_WRONLY | O_TRUNC, mode),
  }),
  syscall("openat2", {
    support: "full",
    args: { dirfd, pathname: path, how: addr, size },
    run: (task, { dirfd, pathname, how, size }) => openat2(task, dirfd, pathname, how, size),
  }),
  syscall("truncate", {
    support: "full",
    args: { path, length: long },
    run: (task, { path, length }) => {
      if (length < 0) return EINVAL;
      const found = lookup(task, task.fs.cwd, path);
      if (found instanceof Errno) return found;
      const mayGrow = (size: number) => mayResize(task, size, length);
      return truncate(task, found, length, mayGrow) ?? 0;
    },
  }),
  syscall("ftruncate", {
    support: "full",
    args: { fd, length: long },
    run: (task, { fd, length }) => ftruncate(task, fd, length),
  }),
  syscall("fallocate", {
    support: "full",
    args: { fd, mode: int, offset: long, len: long },
    run: (task, { fd, mode, offset, len }) => fallocate(task, fd, mode, offset, len),
  }),
  syscall("fsync", {
    support: "full",
    args: { fd },
    run: (task, { fd }) => fsync(task, fd, false),
  }),
  syscall("fdatasync", {
    support: "full",
    args: { fd },
    run: (task, { fd }) => fsync(task, fd, true),
  }),
  syscall("sync_file_range", {
    support: { partial: "the whole file is written, whatever the range" },
    args: { fd, offset: long, nbytes: long, flags: uint },
    run: (task, { fd, offset, nbytes, flags }) => {
      if (offset < 0 || nbytes < 0 || (flags & ~7) !== 0) return EINVAL;
      return fsync(task, fd, true);
    },
  }),
  syscall("sync", { support: "full", args: {}, run: syncAll }),
  syscall("syncfs", {
    support: "full",
    args: { fd },
    run: (task, { fd }) => {
      const file = task.files.get(fd);
      if (file instanceof Errno) return file;
      if ((file.flags & O_PATH) !== 0) return EBADF;
      return inodeOf(file)?.fs.sync() ?? 0;
    },
  }),
  syscall("memfd_create", {
    support: { partial: "no huge pages (MFD_HUGETLB)" },
    args: { name: name(MEMFD_NAME_MAX + 2), flags: uint },
    run: (task, { name, flags }) => memfdCreate(task, name, flags),
  }),
  syscall("name_to_handle_at", {
    support: { partial: "file handles are not supported: EOPNOTSUPP" },
    args: { dirfd, pathname: path, handle: addr, mountId: addr, flags: int },
    run: () => EOPNOTSUPP,
  }),
  syscall("open_by_handle_at", {
    support: { partial: "needs CAP_DAC_READ_SEARCH outside of containers: EPERM" },
    args: { mountFd: fd, handle: addr, flags: int },
    run: () => EPERM,
  }),
];
