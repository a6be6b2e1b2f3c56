/** Watching files: inotify(7). Its relative fanotify(7) needs CAP_SYS_ADMIN and is refused. */
import type { ByteString } from "../abi/bytes.ts";
import { EACCES, EBADF, EINVAL, ENOTDIR, EPERM, Errno } from "../abi/errno.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  S_IFDIR,
} from "../abi/file.ts";
import { InotifyFile } from "../fs/inotify.ts";
import type { Task } from "../kernel/task.ts";
import { MAY_READ, mayAccess } from "../vfs/credentials.ts";
import { inodeAt } from "../vfs/mount.ts";
import { fd, int, path, uint } from "./args.ts";
import { lookupAt } from "./at.ts";
import { type Syscall, syscall } from "./define.ts";
import { installFile } from "./fd.ts";

const IN_ONLYDIR = 0x01000000;
const IN_DONT_FOLLOW = 0x02000000;

function init(task: Task, flags: number): number | Errno {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return EINVAL;
  const { fsuid, fsgid } = task.credentials;
  const file = new InotifyFile(O_RDONLY | (flags & O_NONBLOCK), { uid: fsuid, gid: fsgid });
  return installFile(task, file, (flags & O_CLOEXEC) !== 0);
}

/** The instance behind a descriptor. */
function instance(task: Task, fd: number): InotifyFile | Errno {
  const file = task.files.get(fd);
  if (file instanceof Errno) return file;
  return file instanceof InotifyFile ? file : EINVAL;
}

function addWatch(task: Task, fd: number, path: ByteString, mask: number): number | Errno {
  const inotify = instance(task, fd);
  if (inotify instanceof Errno) return inotify;
  const noFollow = (mask & IN_DONT_FOLLOW) !== 0 ? AT_SYMLINK_NOFOLLOW : 0;
  const found = lookupAt(task, AT_FDCWD, path, noFollow);
  if (found instanceof Errno) return found;
  const inode = inodeAt(found);
  if ((mask & IN_ONLYDIR) !== 0 && inode.type !== S_IFDIR) return ENOTDIR;
  if (!mayAccess(task.credentials, inode, MAY_READ)) return EACCES;
  return inotify.add(inode, mask);
}

const CHANGES = {
  partial:
    "reports what is done through the container's tree: not what the host does on bind mounts, nor " +
    "transfers on the direct plane",
} as const;

export const INOTIFY: readonly Syscall[] = [
  syscall("inotify_init", { support: CHANGES, args: {}, run: (task) => init(task, 0) }),
  syscall("inotify_init1", {
    support: CHANGES,
    args: { flags: uint },
    run: (task, { flags }) => init(task, flags),
  }),
  syscall("inotify_add_watch", {
    support: CHANGES,
    args: { fd, pathname: path, mask: uint },
    run: (task, { fd, pathname, mask }) => addWatch(task, fd, pathname, mask),
  }),
  syscall("inotify_rm_watch", {
    support: CHANGES,
    args: { fd, wd: int },
    run: (task, { fd, wd }) => {
      const inotify = instance(task, fd);
      return inotify instanceof Errno ? inotify : (inotify.remove(wd) ?? 0);
    },
  }),
  syscall("fanotify_init", {
    support: { partial: "always EPERM, as without CAP_SYS_ADMIN" },
    args: { flags: uint, eventFlags: uint },
    run: () => EPERM,
  }),
  syscall("fanotify_mark", {
    support: { partial: "always EBADF: there are no fanotify descriptors" },
    args: { fd, flags: uint },
    run: () => EBADF,
  }),
];
