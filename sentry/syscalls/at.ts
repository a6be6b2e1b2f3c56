/** What the calls that end in `at` share: a directory descriptor, a path, and flags. */
import type { ByteString } from "../abi/bytes.ts";
import { EBADF, ENOTDIR, Errno } from "../abi/errno.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFDIR } from "../abi/file.ts";
import type { Task } from "../kernel/task.ts";
import { VfsFile } from "../vfs/file.ts";
import type { Inode } from "../vfs/inode.ts";
import { inodeAt, type Path } from "../vfs/mount.ts";
import type { OpenFile } from "../vfs/open-file.ts";
import { lookup } from "../vfs/resolve.ts";

/** Where `path` starts: `dirfd` counts only for a relative path. @returns `EBADF`, `ENOTDIR`. */
export function startAt(task: Task, dirfd: number, path: ByteString): Path | Errno {
  if (path.charCodeAt(0) === 0x2f) return task.fs.root;
  if (dirfd === AT_FDCWD) return task.fs.cwd;
  const place = placeOf(task, dirfd);
  if (place instanceof Errno) return place;
  if (path.length > 0 && inodeAt(place).type !== S_IFDIR) return ENOTDIR;
  return place;
}

/** The place an open descriptor has in the tree. @returns `EBADF`; `ENOTDIR` for pipes and the like. */
export function placeOf(task: Task, fd: number): Path | Errno {
  const file = task.files.get(fd);
  if (file instanceof Errno) return file;
  return file instanceof VfsFile ? file.path : ENOTDIR;
}

/** The existing file that `dirfd`, `path` and `AT_*` flags mean. */
export function lookupAt(task: Task, dirfd: number, path: ByteString, flags: number): Path | Errno {
  const start = startAt(task, dirfd, path);
  if (start instanceof Errno) return start;
  return lookup(task, start, path, {
    noFollow: (flags & AT_SYMLINK_NOFOLLOW) !== 0,
    emptyPath: (flags & AT_EMPTY_PATH) !== 0,
  });
}

/** The file behind a descriptor that has a place in the tree. @returns `EBADF`, also for `O_PATH`. */
export function vfsFile(task: Task, fd: number, errno: Errno = EBADF): VfsFile | Errno {
  const file = task.files.get(fd);
  if (file instanceof Errno) return file;
  return file instanceof VfsFile ? file : errno;
}

/** The inode behind an open file, when it has one. */
export function inodeOf(file: OpenFile): Inode | undefined {
  return file instanceof VfsFile ? file.inode : undefined;
}
