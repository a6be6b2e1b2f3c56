/**
 * Numbers of the file calls: `<fcntl.h>`, `<sys/stat.h>`, `<sys/mount.h>`. Flags that differ between the
 * instruction sets have the values of x86-64 here and everywhere inside the sentry; see {@link openFlags}.
 */
import type { Isa } from "./numbers.ts";

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;

export const O_ACCMODE = 0o3;
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DSYNC = 0o10000;
export const O_ASYNC = 0o20000;
export const O_DIRECT = 0o40000;
export const O_LARGEFILE = 0o100000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_NOATIME = 0o1000000;
export const O_CLOEXEC = 0o2000000;
export const O_SYNC = 0o4010000;
export const O_PATH = 0o10000000;
/** `__O_TMPFILE`; the flag of the man page is this and `O_DIRECTORY`. */
export const O_TMPFILE = 0o20000000;

/** The four flags that arm64 numbers differently, `<asm/fcntl.h>`: [x86-64, arm64]. */
const RENUMBERED = [
  [O_DIRECT, 0o200000],
  [O_LARGEFILE, 0o400000],
  [O_DIRECTORY, 0o40000],
  [O_NOFOLLOW, 0o100000],
] as const;

function renumber(flags: number, from: 0 | 1): number {
  let out = flags;
  for (const pair of RENUMBERED) out &= ~pair[from];
  for (const pair of RENUMBERED) if (flags & pair[from]) out |= pair[1 - from] as number;
  return out;
}

/** The flags of a guest's open(2) with the values used here. */
export function openFlags(isa: Isa, flags: number): number {
  return isa === "arm64" ? renumber(flags, 1) : flags;
}

/** The flags of an open file as the guest wants to see them (`F_GETFL`). */
export function guestOpenFlags(isa: Isa, flags: number): number {
  return isa === "arm64" ? renumber(flags, 0) : flags;
}

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_EACCESS = 0x200;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_NO_AUTOMOUNT = 0x800;
export const AT_EMPTY_PATH = 0x1000;

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;
export const RESOLVE_IN_ROOT = 0x10;
export const RESOLVE_CACHED = 0x20;

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_NOATIME = 1024;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_SILENT = 32768;
export const MS_UNBINDABLE = 1 << 17;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MS_SHARED = 1 << 20;
export const MS_RELATIME = 1 << 21;

export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const FALLOC_FL_ZERO_RANGE = 16;

/** NAME_MAX: bytes of one component. `<linux/limits.h>` */
export const NAME_MAX = 255;

/** `st_rdev` of a device, `<linux/kdev_t.h>`'s encoding for user space. */
export function makeDev(major: number, minor: number): number {
  return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12);
}

export function majorOf(dev: number): number {
  return (dev >>> 8) & 0xfff;
}

export function minorOf(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & ~0xff);
}

/** The `d_type` of a file with `mode`, `<dirent.h>`: the type bits shifted down. */
export function direntType(mode: number): number {
  return (mode & S_IFMT) >>> 12;
}
