/** open(2): from a name, or the wish for one, to an open file. */
import type { ByteString } from "../abi/bytes.ts";
import {
  EACCES,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EPERM,
  EROFS,
  Errno,
} from "../abi/errno.ts";
import {
  O_ACCMODE,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
} from "../abi/file.ts";
import { sizeChange } from "./attributes.ts";
import { MAY_EXEC, MAY_READ, MAY_WRITE, mayAccess, ownsOrCapable } from "./credentials.ts";
import { Dentry } from "./dentry.ts";
import { PathFile } from "./file.ts";
import type { Actor } from "./fs-context.ts";
import type { Inode } from "./inode.ts";
import { inodeAt, type Path } from "./mount.ts";
import { birth, born, mayModify, newName } from "./namei.ts";
import { IN_ISDIR, IN_OPEN, notifyPath } from "./notify.ts";
import type { OpenFile } from "./open-file.ts";
import { lookup, lookupChild, Walk } from "./resolve.ts";
import { isPending, type PendingOpen } from "./special.ts";

/** What to open and how; flags with the sentry's numbers (`abi/file.ts`). */
export interface OpenHow {
  readonly flags: number;
  /** Permission bits of a file that is made. */
  readonly mode: number;
  /** `RESOLVE_*`. */
  readonly resolve?: number;
}

/** An open file, one that still waits for its other end, or why there is none. */
export type Opened = OpenFile | PendingOpen | Errno;

/** Flags that describe the act of opening and are no part of the open file. */
const CREATION_FLAGS = O_CREAT | O_EXCL | O_TRUNC | O_NOFOLLOW | O_DIRECTORY | O_TMPFILE;

/** Opens, and with `O_CREAT` makes, the file `path` names. See open(2). */
export function open(actor: Actor, start: Path, path: ByteString, how: OpenHow): Opened {
  const { flags } = how;
  const resolve = how.resolve ?? 0;
  if ((flags & O_TMPFILE) !== 0) return openTmpfile(actor, start, path, how);
  if ((flags & O_CREAT) === 0 || (flags & O_PATH) !== 0) {
    const noFollow = (flags & O_NOFOLLOW) !== 0;
    const found = lookup(actor, start, path, { noFollow, resolve });
    return found instanceof Errno ? found : openPath(actor, found, flags);
  }
  if ((flags & O_DIRECTORY) !== 0) return EINVAL;
  if (path.length === 0) return ENOENT;

  const walk = new Walk(actor, start, resolve);
  let failed = walk.run(path, false, true);
  for (;;) {
    if (failed !== undefined) return failed;
    const last = walk.last();
    if (last.kind !== "name" || last.slash) return EISDIR;
    const child = lookupChild(walk.dentry, last.name, actor);
    if (child === ENOENT) return create(actor, walk, how);
    if (child instanceof Errno) return child;
    const inode = child.inode as Inode;
    if ((flags & O_EXCL) !== 0) return EEXIST;
    if (inode.type !== S_IFLNK) {
      const moved = walk.enter(child);
      return moved ?? openPath(actor, { mount: walk.mount, dentry: walk.dentry }, flags);
    }
    if ((flags & O_NOFOLLOW) !== 0) return ELOOP;
    const target = walk.follow(inode);
    if (target instanceof Errno) return target;
    if (target === undefined) {
      return openPath(actor, { mount: walk.mount, dentry: walk.dentry }, flags);
    }
    failed = walk.run(target, false, true);
  }
}

function create(actor: Actor, walk: Walk, how: OpenHow): Opened {
  const slot = newName(actor, walk.last(), false);
  if (slot instanceof Errno) return slot;
  const made = slot.directory.create(
    slot.name,
    birth(actor, slot.directory, S_IFREG | (how.mode & 0o7777)),
    how.flags,
  );
  if (made instanceof Errno) return made;
  const dentry = born(slot, made);
  return openInode(actor, { mount: slot.parent.mount, dentry }, how.flags);
}

function openTmpfile(actor: Actor, start: Path, path: ByteString, how: OpenHow): Opened {
  if ((how.flags & O_DIRECTORY) === 0 || (how.flags & O_ACCMODE) === O_RDONLY) return EINVAL;
  if ((how.flags & O_CREAT) !== 0) return EINVAL;
  const parent = lookup(actor, start, path, { resolve: how.resolve ?? 0 });
  if (parent instanceof Errno) return parent;
  const directory = inodeAt(parent);
  if (directory.type !== S_IFDIR) return ENOTDIR;
  const refused = mayModify(actor, parent);
  if (refused !== undefined) return refused;
  const made = directory.tmpfile(birth(actor, directory, S_IFREG | (how.mode & 0o7777)));
  if (made instanceof Errno) return made;
  const dentry = new Dentry(`#${made.ino}`, parent.dentry, made);
  dentry.hashed = false;
  return openInode(actor, { mount: parent.mount, dentry }, how.flags);
}

/** Opens an existing place after the checks that open(2) makes. */
export function openPath(actor: Actor, path: Path, flags: number): Opened {
  const inode = inodeAt(path);
  const { type } = inode;
  if ((flags & O_DIRECTORY) !== 0 && type !== S_IFDIR) {
    return type === S_IFLNK && (flags & O_NOFOLLOW) !== 0 && (flags & O_PATH) === 0
      ? ELOOP
      : ENOTDIR;
  }
  if ((flags & O_PATH) !== 0) return new PathFile(flags & ~CREATION_FLAGS, path);
  if (type === S_IFLNK) return ELOOP;
  const access = flags & O_ACCMODE;
  const wanted =
    (access !== O_WRONLY ? MAY_READ : 0) |
    (access !== O_RDONLY || (flags & O_TRUNC) !== 0 ? MAY_WRITE : 0);
  if (type === S_IFDIR && ((wanted & MAY_WRITE) !== 0 || (flags & O_CREAT) !== 0)) return EISDIR;
  if ((type === S_IFCHR || type === S_IFBLK) && path.mount.noDev) return EACCES;
  if (!mayAccess(actor.credentials, inode, wanted)) return EACCES;
  if (type === S_IFREG && (wanted & MAY_WRITE) !== 0 && path.mount.readOnly) return EROFS;
  if ((flags & O_NOATIME) !== 0 && !ownsOrCapable(actor.credentials, inode)) return EPERM;
  if ((flags & O_TRUNC) !== 0 && type === S_IFREG) {
    const failed = inode.setattr(sizeChange(actor, inode, 0));
    if (failed !== undefined) return failed;
  }
  return openInode(actor, path, flags);
}

function openInode(actor: Actor, path: Path, allFlags: number): Opened {
  const inode = inodeAt(path);
  const flags = allFlags & ~CREATION_FLAGS;
  const opened = openByType(actor, inode, path, flags);
  if (opened instanceof Errno) return opened;
  notifyPath(path, IN_OPEN | (inode.type === S_IFDIR ? IN_ISDIR : 0));
  return opened;
}

function openByType(actor: Actor, inode: Inode, path: Path, flags: number): Opened {
  const { special } = path.mount.namespace;
  if (inode.opensItself) return inode.open(flags, path, actor);
  switch (inode.type) {
    case S_IFCHR:
      return special.openCharacter(inode.rdev, flags, path, actor);
    case S_IFIFO:
      return special.openFifo(inode, flags, path);
    case S_IFBLK:
    case S_IFSOCK:
      return ENXIO;
    default:
      return inode.open(flags, path, actor);
  }
}

/** A program file ready to be read and mapped, for execve(2). */
export interface Executable {
  readonly file: OpenFile;
  readonly path: Path;
  readonly inode: Inode;
}

/**
 * Opens a program. @param noFollow `AT_SYMLINK_NOFOLLOW`. @param emptyPath `AT_EMPTY_PATH`.
 * @returns `EACCES` for what is no executable regular file, `ELOOP`, `ENOENT`...
 */
export function openExecutable(
  actor: Actor,
  start: Path,
  path: ByteString,
  options: { readonly noFollow?: boolean; readonly emptyPath?: boolean } = {},
): Executable | Errno {
  const found = lookup(actor, start, path, options);
  if (found instanceof Errno) return found;
  const inode = inodeAt(found);
  if (inode.type === S_IFLNK) return ELOOP;
  if (inode.type !== S_IFREG || found.mount.noExec) return EACCES;
  if (!mayAccess(actor.credentials, inode, MAY_EXEC)) return EACCES;
  const file = inode.open(O_RDONLY, found, actor);
  return file instanceof Errno ? file : { file, path: found, inode };
}

/** Opens what cannot keep the caller waiting: everything but a FIFO. @returns `ENXIO` for those. */
export function openNow(
  actor: Actor,
  start: Path,
  path: ByteString,
  how: OpenHow,
): OpenFile | Errno {
  const opened = open(actor, start, path, how);
  if (opened instanceof Errno || !isPending(opened)) return opened;
  opened.file.close();
  return ENXIO;
}
