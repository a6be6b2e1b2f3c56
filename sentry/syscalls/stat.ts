/** Looking at files and changing what one sees: stat(2), access(2), chmod(2), chown(2), utimensat(2), statfs(2). */
import type { ByteString } from "../abi/bytes.ts";
import { EACCES, EBADF, EINVAL, EOPNOTSUPP, EROFS, Errno } from "../abi/errno.ts";
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_SYMLINK_NOFOLLOW,
  O_PATH,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
} from "../abi/file.ts";
import { array, i32, i64, struct, u64 } from "../abi/struct.ts";
import { Timespec, Timeval } from "../abi/structs.ts";
import type { Task } from "../kernel/task.ts";
import { chmod, chown, type NewTime, setTimes } from "../vfs/attributes.ts";
import { type Credentials, MAY_EXEC, MAY_READ, MAY_WRITE, mayAccess } from "../vfs/credentials.ts";
import { VfsFile } from "../vfs/file.ts";
import type { Stat, Statfs } from "../vfs/inode.ts";
import { inodeAt, type Mount, type Path } from "../vfs/mount.ts";
import { addr, dirfd, fd, int, mode, optionalStructIn, path, structOut, uint } from "./args.ts";
import { lookupAt, placeOf, startAt, vfsFile } from "./at.ts";
import { type Out, type Syscall, syscall } from "./define.ts";
import { encodeStat, encodeStatx, type StatOut, statOut } from "./stat-layout.ts";

const AT_STATX_SYNC_TYPE = 0x6000;
const AT_STAT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;

/** What there is to know of a file, and through which mount it was reached, if through one. */
interface Seen {
  readonly stat: Stat;
  readonly path: Path | undefined;
}

function see(task: Task, dirfd: number, path: ByteString, flags: number): Seen | Errno {
  if (path === "" && (flags & AT_EMPTY_PATH) !== 0 && dirfd !== AT_FDCWD) {
    const file = task.files.get(dirfd);
    if (file instanceof Errno) return file;
    const stat = file.stat();
    if (stat instanceof Errno) return stat;
    return { stat, path: file instanceof VfsFile ? file.path : undefined };
  }
  const found = lookupAt(task, dirfd, path, flags);
  if (found instanceof Errno) return found;
  const stat = inodeAt(found).stat();
  return stat instanceof Errno ? stat : { stat, path: found };
}

function statAt(
  task: Task,
  dirfd: number,
  path: ByteString,
  flags: number,
  out: StatOut,
): number | Errno {
  if ((flags & ~AT_STAT_FLAGS) !== 0) return EINVAL;
  const seen = see(task, dirfd, path, flags);
  if (seen instanceof Errno) return seen;
  return out(encodeStat(task.process.isa, seen.stat)) ?? 0;
}

function statx(
  task: Task,
  dirfd: number,
  path: ByteString,
  flags: number,
  out: StatOut,
): number | Errno {
  if ((flags & ~(AT_STAT_FLAGS | AT_STATX_SYNC_TYPE)) !== 0) return EINVAL;
  if ((flags & AT_STATX_SYNC_TYPE) === AT_STATX_SYNC_TYPE) return EINVAL;
  const seen = see(task, dirfd, path, flags);
  if (seen instanceof Errno) return seen;
  const place = seen.path;
  const mount =
    place === undefined
      ? undefined
      : { id: place.mount.id, isRoot: place.dentry === place.mount.root };
  return out(encodeStatx(seen.stat, mount)) ?? 0;
}

/** The identity access(2) asks about: the real one, with capabilities only for root. */
function realCredentials(credentials: Credentials): Credentials {
  if (credentials.fsuid === credentials.ruid && credentials.fsgid === credentials.rgid) {
    return credentials;
  }
  const { ruid, rgid } = credentials;
  const capabilities = ruid === 0 ? credentials.capabilities : 0n;
  return { ...credentials, fsuid: ruid, fsgid: rgid, capabilities };
}

function accessAt(
  task: Task,
  dirfd: number,
  path: ByteString,
  wanted: number,
  flags: number,
): number | Errno {
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  if ((wanted & ~(MAY_READ | MAY_WRITE | MAY_EXEC)) !== 0) return EINVAL;
  const credentials =
    (flags & AT_EACCESS) !== 0 ? task.credentials : realCredentials(task.credentials);
  const start = startAt(task, dirfd, path);
  if (start instanceof Errno) return start;
  const found = lookupAt(task, dirfd, path, flags);
  if (found instanceof Errno) return found;
  const inode = inodeAt(found);
  const { type } = inode;
  if ((wanted & MAY_EXEC) !== 0 && type === S_IFREG && found.mount.noExec) return EACCES;
  if (!mayAccess(credentials, inode, wanted)) return EACCES;
  const bytes = type === S_IFREG || type === S_IFDIR || type === S_IFLNK;
  return (wanted & MAY_WRITE) !== 0 && bytes && found.mount.readOnly ? EROFS : 0;
}

function chmodAt(
  task: Task,
  dirfd: number,
  path: ByteString,
  mode: number,
  flags: number,
): number | Errno {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  const found = lookupAt(task, dirfd, path, flags);
  if (found instanceof Errno) return found;
  if (inodeAt(found).type === S_IFLNK) return EOPNOTSUPP;
  return chmod(task, found, mode) ?? 0;
}

function chownAt(
  task: Task,
  dirfd: number,
  path: ByteString,
  uid: number,
  gid: number,
  flags: number,
): number | Errno {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  const found = lookupAt(task, dirfd, path, flags);
  return found instanceof Errno ? found : (chown(task, found, uid, gid) ?? 0);
}

/** The place of a descriptor that may be used for more than its path. @returns `EBADF` for `O_PATH`. */
function usable(task: Task, fd: number): Path | Errno {
  const file = vfsFile(task, fd, EINVAL);
  if (file instanceof Errno) return file;
  return (file.flags & O_PATH) !== 0 ? EBADF : file.path;
}

const UTIME_NOW = 0x3fffffff;
const UTIME_OMIT = 0x3ffffffe;
const TimespecPair = struct({ atime: Timespec, mtime: Timespec });
const TimevalPair = struct({ atime: Timeval, mtime: Timeval });
const Utimbuf = struct({ actime: i64, modtime: i64 });

function newTime(time: { readonly sec: number; readonly nsec: number }): NewTime | Errno {
  if (time.nsec === UTIME_NOW) return "now";
  if (time.nsec === UTIME_OMIT) return undefined;
  if (time.nsec < 0 || time.nsec > 999_999_999) return EINVAL;
  return BigInt(time.sec) * 1_000_000_000n + BigInt(time.nsec);
}

function setTimesAt(
  task: Task,
  found: Path | Errno,
  times: { atime: { sec: number; nsec: number }; mtime: { sec: number; nsec: number } } | undefined,
): number | Errno {
  const atime = times === undefined ? "now" : newTime(times.atime);
  const mtime = times === undefined ? "now" : newTime(times.mtime);
  if (atime instanceof Errno) return atime;
  if (mtime instanceof Errno) return mtime;
  if (found instanceof Errno) return found;
  return setTimes(task, found, atime, mtime) ?? 0;
}

function fromTimeval(time: { readonly sec: number; readonly usec: number }) {
  // Out of range on purpose where the microseconds are: newTime refuses it.
  const valid = time.usec >= 0 && time.usec < 1_000_000;
  return { sec: time.sec, nsec: valid ? time.usec * 1000 : -1 };
}

/** `struct statfs`, `<asm-generic/statfs.h>`. */
const StatfsLayout = struct({
  type: u64,
  bsize: u64,
  blocks: u64,
  bfree: u64,
  bavail: u64,
  files: u64,
  ffree: u64,
  fsid: array(i32, 2),
  namelen: u64,
  frsize: u64,
  flags: u64,
  spare: array(u64, 4),
});
type StatfsOut = Out<Parameters<typeof StatfsLayout.bytes>[0]>;
const ST_VALID = 0x20;
const ST_RELATIME = 0x1000;

function statfs(mount: Mount, out: StatfsOut): number | Errno {
  const stat: Statfs | Errno = mount.fs.statfs();
  if (stat instanceof Errno) return stat;
  return (
    out.write({
      ...stat,
      fsid: [mount.fs.dev, 0],
      namelen: 255,
      frsize: stat.bsize,
      // The low bits of MS_* and ST_* agree.
      flags: ST_VALID | ST_RELATIME | (mount.flags & 0xf) | (mount.readOnly ? 1 : 0),
      spare: [0, 0, 0, 0],
    }) ?? 0
  );
}

export const STAT: readonly Syscall[] = [
  syscall("stat", {
    support: "full",
    args: { pathname: path, statbuf: statOut },
    run: (task, { pathname, statbuf }) => statAt(task, AT_FDCWD, pathname, 0, statbuf),
  }),
  syscall("lstat", {
    support: "full",
    args: { pathname: path, statbuf: statOut },
    run: (task, { pathname, statbuf }) =>
      statAt(task, AT_FDCWD, pathname, AT_SYMLINK_NOFOLLOW, statbuf),
  }),
  syscall("fstat", {
    support: "full",
    args: { fd, statbuf: statOut },
    run: (task, { fd, statbuf }) => statAt(task, fd, "", AT_EMPTY_PATH, statbuf),
  }),
  syscall("newfstatat", {
    support: "full",
    args: { dirfd, pathname: path, statbuf: statOut, flags: uint },
    run: (task, { dirfd, pathname, statbuf, flags }) =>
      statAt(task, dirfd, pathname, flags, statbuf),
  }),
  syscall("statx", {
    support: { partial: "the attributes of a file are always those of stat(2) and its birth time" },
    args: { dirfd, pathname: path, flags: uint, mask: uint, statxbuf: statOut },
    run: (task, { dirfd, pathname, flags, mask, statxbuf }) =>
      (mask & 0x80000000) !== 0 ? EINVAL : statx(task, dirfd, pathname, flags, statxbuf),
  }),
  syscall("access", {
    support: "full",
    args: { pathname: path, mode: uint },
    run: (task, { pathname, mode }) => accessAt(task, AT_FDCWD, pathname, mode, 0),
  }),
  syscall("faccessat", {
    support: "full",
    args: { dirfd, pathname: path, mode: uint },
    run: (task, { dirfd, pathname, mode }) => accessAt(task, dirfd, pathname, mode, 0),
  }),
  syscall("faccessat2", {
    support: "full",
    args: { dirfd, pathname: path, mode: uint, flags: uint },
    run: (task, { dirfd, pathname, mode, flags }) => accessAt(task, dirfd, pathname, mode, flags),
  }),
  syscall("chmod", {
    support: "full",
    args: { pathname: path, mode },
    run: (task, { pathname, mode }) => chmodAt(task, AT_FDCWD, pathname, mode, 0),
  }),
  syscall("fchmod", {
    support: "full",
    args: { fd, mode },
    run: (task, { fd, mode }) => {
      const found = usable(task, fd);
      return found instanceof Errno ? found : (chmod(task, found, mode) ?? 0);
    },
  }),
  syscall("fchmodat", {
    support: "full",
    args: { dirfd, pathname: path, mode },
    run: (task, { dirfd, pathname, mode }) => chmodAt(task, dirfd, pathname, mode, 0),
  }),
  syscall("fchmodat2", {
    support: "full",
    args: { dirfd, pathname: path, mode, flags: uint },
    run: (task, { dirfd, pathname, mode, flags }) => chmodAt(task, dirfd, pathname, mode, flags),
  }),
  syscall("chown", {
    support: "full",
    args: { pathname: path, owner: uint, group: uint },
    run: (task, { pathname, owner, group }) => chownAt(task, AT_FDCWD, pathname, owner, group, 0),
  }),
  syscall("lchown", {
    support: "full",
    args: { pathname: path, owner: uint, group: uint },
    run: (task, { pathname, owner, group }) =>
      chownAt(task, AT_FDCWD, pathname, owner, group, AT_SYMLINK_NOFOLLOW),
  }),
  syscall("fchown", {
    support: "full",
    args: { fd, owner: uint, group: uint },
    run: (task, { fd, owner, group }) => {
      const found = usable(task, fd);
      return found instanceof Errno ? found : (chown(task, found, owner, group) ?? 0);
    },
  }),
  syscall("fchownat", {
    support: "full",
    args: { dirfd, pathname: path, owner: uint, group: uint, flags: uint },
    run: (task, { dirfd, pathname, owner, group, flags }) =>
      chownAt(task, dirfd, pathname, owner, group, flags),
  }),
  syscall("utime", {
    support: "full",
    args: { filename: path, times: optionalStructIn(Utimbuf) },
    run: (task, { filename, times }) =>
      setTimesAt(
        task,
        lookupAt(task, AT_FDCWD, filename, 0),
        times === undefined
          ? undefined
          : { atime: { sec: times.actime, nsec: 0 }, mtime: { sec: times.modtime, nsec: 0 } },
      ),
  }),
  syscall("utimes", {
    support: "full",
    args: { filename: path, times: optionalStructIn(TimevalPair) },
    run: (task, { filename, times }) =>
      setTimesAt(
        task,
        lookupAt(task, AT_FDCWD, filename, 0),
        times && { atime: fromTimeval(times.atime), mtime: fromTimeval(times.mtime) },
      ),
  }),
  syscall("futimesat", {
    support: "full",
    args: { dirfd, pathname: path, times: optionalStructIn(TimevalPair) },
    run: (task, { dirfd, pathname, times }) =>
      setTimesAt(
        task,
        lookupAt(task, dirfd, pathname, 0),
        times && { atime: fromTimeval(times.atime), mtime: fromTimeval(times.mtime) },
      ),
  }),
  syscall("utimensat", {
    support: "full",
    // The path may be null: then the descriptor itself is meant, so it is read by the handler.
    args: { dirfd, pathname: addr, times: optionalStructIn(TimespecPair), flags: int },
    run: (task, { dirfd, pathname, times, flags }, frame) => {
      if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
      if (pathname === 0) {
        if (dirfd === AT_FDCWD) return EINVAL;
        return setTimesAt(task, usable(task, dirfd), times);
      }
      const name = frame.string(1, 4096);
      return name instanceof Errno
        ? name
        : setTimesAt(task, lookupAt(task, dirfd, name, flags), times);
    },
  }),
  syscall("statfs", {
    support: "full",
    args: { path, buf: structOut(StatfsLayout) },
    run: (task, { path, buf }) => {
      const found = lookupAt(task, AT_FDCWD, path, 0);
      return found instanceof Errno ? found : statfs(found.mount, buf);
    },
  }),
  syscall("fstatfs", {
    support: { partial: "descriptors without a place in the tree answer EBADF" },
    args: { fd, buf: structOut(StatfsLayout) },
    run: (task, { fd, buf }) => {
      const place = placeOf(task, fd);
      return place instanceof Errno ? EBADF : statfs(place.mount, buf);
    },
  }),
];
