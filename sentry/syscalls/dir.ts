/** Names and directories: mkdir(2), unlink(2), rename(2), link(2), readlink(2), getdents(2), chdir(2). */
import type { ByteString } from "../abi/bytes.ts";
import { EACCES, EINVAL, ENOENT, ENOTDIR, EPERM, ERANGE, Errno } from "../abi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  S_IFDIR,
  S_IFLNK,
} from "../abi/file.ts";
import type { Task } from "../kernel/task.ts";
import {
  CAP_DAC_READ_SEARCH,
  CAP_SYS_CHROOT,
  isCapable,
  MAY_EXEC,
  mayAccess,
} from "../vfs/credentials.ts";
import type { IoBuffer } from "../vfs/io-buffer.ts";
import { inodeAt, type Path, pathName } from "../vfs/mount.ts";
import * as namei from "../vfs/namei.ts";
import { dirfd, fd, int, mode, outBuffer, path, uint } from "./args.ts";
import { lookupAt, placeOf, startAt } from "./at.ts";
import { type Syscall, syscall } from "./define.ts";

/** Runs a name operation where `dirfd` and `path` start. */
function from(
  task: Task,
  dirfd: number,
  path: ByteString,
  run: (start: Path) => Errno | undefined,
): number | Errno {
  const start = startAt(task, dirfd, path);
  return start instanceof Errno ? start : (run(start) ?? 0);
}

const mkdirAt = (task: Task, dirfd: number, path: ByteString, mode: number) =>
  from(task, dirfd, path, (start) => namei.mkdir(task, start, path, mode));

const mknodAt = (task: Task, dirfd: number, path: ByteString, mode: number, dev: number) =>
  from(task, dirfd, path, (start) => namei.mknod(task, start, path, mode, dev));

const unlinkAt = (task: Task, dirfd: number, path: ByteString) =>
  from(task, dirfd, path, (start) => namei.unlink(task, start, path));

const rmdirAt = (task: Task, dirfd: number, path: ByteString) =>
  from(task, dirfd, path, (start) => namei.rmdir(task, start, path));

const symlinkAt = (task: Task, target: ByteString, dirfd: number, path: ByteString) =>
  from(task, dirfd, path, (start) => namei.symlink(task, target, start, path));

function renameAt(
  task: Task,
  oldDir: number,
  oldPath: ByteString,
  newDir: number,
  newPath: ByteString,
  flags: number,
): number | Errno {
  return from(task, oldDir, oldPath, (oldStart) => {
    const newStart = startAt(task, newDir, newPath);
    if (newStart instanceof Errno) return newStart;
    return namei.rename(task, oldStart, oldPath, newStart, newPath, flags);
  });
}

function linkAt(
  task: Task,
  oldDir: number,
  oldPath: ByteString,
  newDir: number,
  newPath: ByteString,
  flags: number,
): number | Errno {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  // A descriptor alone must not become a name again for those who could not open the file themselves.
  if (
    (flags & AT_EMPTY_PATH) !== 0 &&
    oldPath === "" &&
    !isCapable(task.credentials, CAP_DAC_READ_SEARCH)
  ) {
    return ENOENT;
  }
  const noFollow = (flags & AT_SYMLINK_FOLLOW) !== 0 ? 0 : AT_SYMLINK_NOFOLLOW;
  const found = lookupAt(task, oldDir, oldPath, noFollow | (flags & AT_EMPTY_PATH));
  if (found instanceof Errno) return found;
  return from(task, newDir, newPath, (start) => namei.link(task, found, start, newPath));
}

function readlinkAt(task: Task, dirfd: number, path: ByteString, buffer: IoBuffer): number | Errno {
  if (buffer.length <= 0) return EINVAL;
  const flags = AT_SYMLINK_NOFOLLOW | (path === "" && dirfd !== AT_FDCWD ? AT_EMPTY_PATH : 0);
  const found = lookupAt(task, dirfd, path, flags);
  if (found instanceof Errno) return found;
  const inode = inodeAt(found);
  if (inode.type !== S_IFLNK) return path === "" ? ENOENT : EINVAL;
  const target = inode.readlink(task);
  if (target instanceof Errno) return target;
  const bytes = Buffer.from(target, "latin1").subarray(0, buffer.length);
  buffer.put(bytes);
  return bytes.length;
}

function getdents64(task: Task, fd: number, buffer: IoBuffer): number | Errno {
  const file = task.files.get(fd);
  if (file instanceof Errno) return file;
  const entries = file.readdir(buffer.length);
  if (entries instanceof Errno) return entries;
  buffer.put(entries);
  return entries.length;
}

/** `struct linux_dirent`: the name one byte earlier, the type in the last byte of the record. */
function getdents(task: Task, fd: number, buffer: IoBuffer): number | Errno {
  const file = task.files.get(fd);
  if (file instanceof Errno) return file;
  const entries = file.readdir(buffer.length);
  if (entries instanceof Errno) return entries;
  const bytes = Buffer.from(entries);
  for (let at = 0; at < bytes.length; at += bytes.readUInt16LE(at + 16)) {
    const size = bytes.readUInt16LE(at + 16);
    const type = bytes.readUInt8(at + 18);
    bytes.copyWithin(at + 18, at + 19, at + size);
    bytes.writeUInt8(type, at + size - 1);
  }
  buffer.put(bytes);
  return bytes.length;
}

function enter(task: Task, place: Path | Errno, go: (place: Path) => void): number | Errno {
  if (place instanceof Errno) return place;
  const inode = inodeAt(place);
  if (inode.type !== S_IFDIR) return ENOTDIR;
  if (!mayAccess(task.credentials, inode, MAY_EXEC)) return EACCES;
  go(place);
  return 0;
}

function getcwd(task: Task, buffer: IoBuffer): number | Errno {
  const { cwd, root } = task.fs;
  if (!cwd.dentry.hashed) return ENOENT;
  const bytes = Buffer.from(`${pathName(cwd, root)}\0`, "latin1");
  if (bytes.length > buffer.length) return ERANGE;
  buffer.put(bytes);
  return bytes.length;
}

export const DIR: readonly Syscall[] = [
  syscall("mkdir", {
    support: "full",
    args: { pathname: path, mode },
    run: (task, { pathname, mode }) => mkdirAt(task, AT_FDCWD, pathname, mode),
  }),
  syscall("mkdirat", {
    support: "full",
    args: { dirfd, pathname: path, mode },
    run: (task, { dirfd, pathname, mode }) => mkdirAt(task, dirfd, pathname, mode),
  }),
  syscall("mknod", {
    support: "full",
    args: { pathname: path, mode, dev: uint },
    run: (task, { pathname, mode, dev }) => mknodAt(task, AT_FDCWD, pathname, mode, dev),
  }),
  syscall("mknodat", {
    support: "full",
    args: { dirfd, pathname: path, mode, dev: uint },
    run: (task, { dirfd, pathname, mode, dev }) => mknodAt(task, dirfd, pathname, mode, dev),
  }),
  syscall("rmdir", {
    support: "full",
    args: { pathname: path },
    run: (task, { pathname }) => rmdirAt(task, AT_FDCWD, pathname),
  }),
  syscall("unlink", {
    support: "full",
    args: { pathname: path },
    run: (task, { pathname }) => unlinkAt(task, AT_FDCWD, pathname),
  }),
  syscall("unlinkat", {
    support: "full",
    args: { dirfd, pathname: path, flags: uint },
    run: (task, { dirfd, pathname, flags }) => {
      if ((flags & ~AT_REMOVEDIR) !== 0) return EINVAL;
      return (flags & AT_REMOVEDIR) !== 0
        ? rmdirAt(task, dirfd, pathname)
        : unlinkAt(task, dirfd, pathname);
    },
  }),
  syscall("rename", {
    support: "full",
    args: { oldpath: path, newpath: path },
    run: (task, { oldpath, newpath }) => renameAt(task, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0),
  }),
  syscall("renameat", {
    support: "full",
    args: { olddirfd: dirfd, oldpath: path, newdirfd: dirfd, newpath: path },
    run: (task, { olddirfd, oldpath, newdirfd, newpath }) =>
      renameAt(task, olddirfd, oldpath, newdirfd, newpath, 0),
  }),
  syscall("renameat2", {
    support: { partial: "RENAME_WHITEOUT is refused with EINVAL" },
    args: { olddirfd: dirfd, oldpath: path, newdirfd: dirfd, newpath: path, flags: uint },
    run: (task, { olddirfd, oldpath, newdirfd, newpath, flags }) =>
      renameAt(task, olddirfd, oldpath, newdirfd, newpath, flags),
  }),
  syscall("link", {
    support: "full",
    args: { oldpath: path, newpath: path },
    run: (task, { oldpath, newpath }) => linkAt(task, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0),
  }),
  syscall("linkat", {
    support: "full",
    args: { olddirfd: dirfd, oldpath: path, newdirfd: dirfd, newpath: path, flags: uint },
    run: (task, { olddirfd, oldpath, newdirfd, newpath, flags }) =>
      linkAt(task, olddirfd, oldpath, newdirfd, newpath, flags),
  }),
  syscall("symlink", {
    support: "full",
    args: { target: path, linkpath: path },
    run: (task, { target, linkpath }) => symlinkAt(task, target, AT_FDCWD, linkpath),
  }),
  syscall("symlinkat", {
    support: "full",
    args: { target: path, newdirfd: dirfd, linkpath: path },
    run: (task, { target, newdirfd, linkpath }) => symlinkAt(task, target, newdirfd, linkpath),
  }),
  syscall("readlink", {
    support: "full",
    args: { pathname: path, buf: outBuffer(2), bufsiz: int },
    run: (task, { pathname, buf }) => readlinkAt(task, AT_FDCWD, pathname, buf),
  }),
  syscall("readlinkat", {
    support: "full",
    args: { dirfd, pathname: path, buf: outBuffer(3), bufsiz: int },
    run: (task, { dirfd, pathname, buf }) => readlinkAt(task, dirfd, pathname, buf),
  }),
  syscall("getdents", {
    support: "full",
    args: { fd, dirp: outBuffer(2), count: uint },
    run: (task, { fd, dirp }) => getdents(task, fd, dirp),
  }),
  syscall("getdents64", {
    support: "full",
    args: { fd, dirp: outBuffer(2), count: uint },
    run: (task, { fd, dirp }) => getdents64(task, fd, dirp),
  }),
  syscall("chdir", {
    support: "full",
    args: { path },
    run: (task, { path }) =>
      enter(task, lookupAt(task, AT_FDCWD, path, 0), (place) => {
        task.fs.cwd = place;
      }),
  }),
  syscall("fchdir", {
    support: "full",
    args: { fd },
    run: (task, { fd }) =>
      enter(task, placeOf(task, fd), (place) => {
        task.fs.cwd = place;
      }),
  }),
  syscall("chroot", {
    support: "full",
    args: { path },
    run: (task, { path }) => {
      const place = lookupAt(task, AT_FDCWD, path, 0);
      if (place instanceof Errno) return place;
      if (!isCapable(task.credentials, CAP_SYS_CHROOT)) return EPERM;
      return enter(task, place, () => {
        task.fs.root = place;
      });
    },
  }),
  syscall("getcwd", {
    support: "full",
    args: { buf: outBuffer(1), size: uint },
    run: (task, { buf }) => getcwd(task, buf),
  }),
  syscall("umask", {
    support: "full",
    args: { mask: mode },
    run: (task, { mask }) => {
      const before = task.fs.umask;
      task.fs.umask = mask & 0o777;
      return before;
    },
  }),
];
