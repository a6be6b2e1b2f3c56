/** Changing the tree of mounts: mount(2), umount2(2), pivot_root(2). Containers lack CAP_SYS_ADMIN by default. */
import type { ByteString } from "../abi/bytes.ts";
import { EBUSY, EINVAL, ENODEV, ENOTDIR, EPERM, Errno } from "../abi/errno.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  MS_BIND,
  MS_MOVE,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  S_IFDIR,
} from "../abi/file.ts";
import type { Task } from "../kernel/task.ts";
import { CAP_SYS_ADMIN, isCapable } from "../vfs/credentials.ts";
import { inodeAt, MOUNT_MAX, type Mount, type Path } from "../vfs/mount.ts";
import { addr, path, uint } from "./args.ts";
import { lookupAt } from "./at.ts";
import { type CallFrame, type Syscall, syscall } from "./define.ts";

const PROPAGATION = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;
const MOUNT_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
/** Longest options string: one page. */
const DATA_MAX = 4096;

function isMountRoot(path: Path): boolean {
  return path.dentry === path.mount.root;
}

function optionalString(frame: CallFrame, index: number): ByteString | Errno {
  return frame.u64(index) === 0 ? "" : frame.string(index, DATA_MAX);
}

function mount(
  task: Task,
  source: ByteString,
  target: ByteString,
  type: ByteString,
  flags: number,
  data: ByteString,
): number | Errno {
  if (!isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
  const at = lookupAt(task, AT_FDCWD, target, 0);
  if (at instanceof Errno) return at;
  if ((flags & MS_REMOUNT) !== 0) {
    if (!isMountRoot(at)) return EINVAL;
    at.mount.flags = flags & MOUNT_FLAGS;
    return 0;
  }
  // Nothing propagates between the mounts of one container: every kind of propagation is private.
  if ((flags & PROPAGATION) !== 0) return isMountRoot(at) ? 0 : EINVAL;
  const { namespace } = at.mount;
  if (namespace.mounts.size >= MOUNT_MAX) return EINVAL;
  if ((flags & (MS_BIND | MS_MOVE)) !== 0) {
    const from = lookupAt(task, AT_FDCWD, source, 0);
    if (from instanceof Errno) return from;
    return (flags & MS_MOVE) !== 0 ? move(from, at) : bind(from, at, flags);
  }
  const fs = namespace.makeFileSystem(type, data);
  if (fs instanceof Errno) return fs;
  namespace.attach(fs.rootDentry, at, { flags: flags & MOUNT_FLAGS, source });
  return 0;
}

function bind(from: Path, at: Path, flags: number): number | Errno {
  const directory = inodeAt(from).type === S_IFDIR;
  if (directory !== (inodeAt(at).type === S_IFDIR)) return ENOTDIR;
  const { namespace } = at.mount;
  const below = (flags & MS_REC) !== 0 ? [...namespace.childrenOf(from.mount)] : [];
  const { flags: inherited, source } = from.mount;
  const bound = namespace.attach(from.dentry, at, { flags: inherited, source });
  for (const child of below) {
    const point = child.at?.dentry;
    if (point === undefined || !point.isWithin(from.dentry)) continue;
    const copy = { flags: child.flags, source: child.source };
    namespace.attach(child.root, { mount: bound, dentry: point }, copy);
  }
  return 0;
}

function move(from: Path, at: Path): number | Errno {
  if (!isMountRoot(from) || from.mount.at === undefined) return EINVAL;
  for (let up: Mount | undefined = at.mount; up !== undefined; up = up.at?.mount) {
    if (up === from.mount) return EINVAL;
  }
  at.mount.namespace.move(from.mount, at);
  return 0;
}

const MNT_DETACH = 2;
const MNT_EXPIRE = 4;
const UMOUNT_NOFOLLOW = 8;

function umount(task: Task, target: ByteString, flags: number): number | Errno {
  if ((flags & ~0xf) !== 0 || (flags & MNT_EXPIRE) !== 0) return EINVAL;
  if (!isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
  const noFollow = (flags & UMOUNT_NOFOLLOW) !== 0 ? AT_SYMLINK_NOFOLLOW : 0;
  const at = lookupAt(task, AT_FDCWD, target, noFollow);
  if (at instanceof Errno) return at;
  const { mount } = at;
  if (!isMountRoot(at)) return EINVAL;
  if (mount.at === undefined) return EBUSY;
  const { namespace } = mount;
  const children = [...namespace.childrenOf(mount)];
  if (children.length > 0 && (flags & MNT_DETACH) === 0) return EBUSY;
  const { cwd, root } = task.fs;
  if ((flags & MNT_DETACH) === 0 && (cwd.mount === mount || root.mount === mount)) return EBUSY;
  detach(mount);
  return 0;
}

function detach(mount: Mount): void {
  for (const child of [...mount.namespace.childrenOf(mount)]) detach(child);
  mount.namespace.detach(mount);
}

function pivotRoot(task: Task, newRoot: ByteString, putOld: ByteString): number | Errno {
  if (!isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
  const to = lookupAt(task, AT_FDCWD, newRoot, 0);
  if (to instanceof Errno) return to;
  const old = lookupAt(task, AT_FDCWD, putOld, 0);
  if (old instanceof Errno) return old;
  if (inodeAt(to).type !== S_IFDIR || inodeAt(old).type !== S_IFDIR) return ENOTDIR;
  const { namespace } = to.mount;
  if (!isMountRoot(to) || task.fs.root.mount !== namespace.root) return EINVAL;
  if (to.mount === namespace.root || old.mount === namespace.root) return EBUSY;
  if (old.mount !== to.mount) return EINVAL;
  const before = namespace.root;
  namespace.pivot(to.mount, old);
  // Whoever is at the old root is at the new one now; Linux does the same for all processes.
  for (const process of task.kernel.pids.processes()) {
    for (const { fs } of process.tasks) {
      if (fs.root.mount === before && fs.root.dentry === before.root) fs.root = to.mount.rootPath;
      if (fs.cwd.mount === before && fs.cwd.dentry === before.root) fs.cwd = to.mount.rootPath;
    }
  }
  return 0;
}

export const MOUNT: readonly Syscall[] = [
  syscall("mount", {
    support: {
      partial:
        "binds, moves, remounts and tmpfs, for whoever has CAP_SYS_ADMIN; without propagation; " +
        "other file systems are ENODEV",
    },
    args: { source: addr, target: path, type: addr, flags: uint, data: addr },
    run: (task, { target, flags }, frame) => {
      const source = optionalString(frame, 0);
      if (source instanceof Errno) return source;
      const type = optionalString(frame, 2);
      if (type instanceof Errno) return type;
      const data = type === "tmpfs" ? optionalString(frame, 4) : "";
      return data instanceof Errno ? data : mount(task, source, target, type, flags, data);
    },
  }),
  syscall("umount2", {
    support: { partial: "MNT_EXPIRE is EINVAL; open files do not keep a mount busy" },
    args: { target: path, flags: uint },
    run: (task, { target, flags }) => umount(task, target, flags),
  }),
  syscall("pivot_root", {
    support: { partial: "the new root must be a mount other than the current root's" },
    args: { newRoot: path, putOld: path },
    run: (task, { newRoot, putOld }) => pivotRoot(task, newRoot, putOld),
  }),
  ...(["fsopen", "fsmount", "open_tree", "move_mount", "mount_setattr"] as const).map((name) =>
    syscall(name, {
      support: { partial: "EPERM without CAP_SYS_ADMIN, and ENODEV with it" },
      args: {},
      run: (task) => (isCapable(task.credentials, CAP_SYS_ADMIN) ? ENODEV : EPERM),
    }),
  ),
];
