/** Making, removing and renaming names: what the calls of that kind have in common, whatever the file system. */
import type { ByteString } from "../abi/bytes.ts";
import {
  EACCES,
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  EROFS,
  Errno,
  EXDEV,
} from "../abi/errno.ts";
import {
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISVTX,
} from "../abi/file.ts";
import {
  CAP_FOWNER,
  CAP_FSETID,
  CAP_MKNOD,
  inGroup,
  isCapable,
  MAY_EXEC,
  MAY_WRITE,
  mayAccess,
} from "./credentials.ts";
import { Dentry } from "./dentry.ts";
import type { Actor } from "./fs-context.ts";
import type { Birth, Inode } from "./inode.ts";
import { inodeAt, type Path } from "./mount.ts";
import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_ISDIR,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  notify,
} from "./notify.ts";
import { type Last, lookupChild, lookupLast } from "./resolve.ts";

/** A directory in which a name may be made or removed, and the name. */
export interface Slot {
  readonly parent: Path;
  readonly directory: Inode;
  readonly name: ByteString;
}

/** What an inode made in `directory` starts with: umask, owner, and what a setgid directory passes on. */
export function birth(actor: Actor, directory: Inode, mode: number): Birth {
  const { credentials, fs } = actor;
  let bits = mode & (S_IFMT | (0o7777 & ~fs.umask));
  let gid = credentials.fsgid;
  if ((directory.mode & S_ISGID) !== 0) {
    gid = directory.gid;
    if ((mode & S_IFMT) === S_IFDIR) bits |= S_ISGID;
    else if (
      (bits & (S_ISGID | 0o010)) === (S_ISGID | 0o010) &&
      !inGroup(credentials, gid) &&
      !isCapable(credentials, CAP_FSETID)
    ) {
      bits &= ~S_ISGID;
    }
  }
  return { mode: bits, uid: credentials.fsuid, gid };
}

/** Whether names may be made and removed in the directory. */
export function mayModify(actor: Actor, parent: Path): Errno | undefined {
  if (parent.mount.readOnly) return EROFS;
  const directory = inodeAt(parent);
  return mayAccess(actor.credentials, directory, MAY_WRITE | MAY_EXEC) ? undefined : EACCES;
}

/** The slot for a new name. @param asDirectory whether slashes may follow it. @returns `EEXIST`. */
export function newName(actor: Actor, last: Last, asDirectory: boolean): Slot | Errno {
  if (last.kind !== "name") return EEXIST;
  const { parent, name } = last;
  const existing = lookupChild(parent.dentry, name, actor);
  if (!(existing instanceof Errno)) return EEXIST;
  if (existing !== ENOENT) return existing;
  if (last.slash && !asDirectory) return ENOENT;
  const refused = mayModify(actor, parent);
  if (refused !== undefined) return refused;
  if (!parent.dentry.hashed) return ENOENT;
  return { parent, directory: inodeAt(parent), name };
}

/** Enters a fresh inode in the tree of dentries and reports it. */
export function born(slot: Slot, inode: Inode): Dentry {
  const dentry = new Dentry(slot.name, slot.parent.dentry, inode);
  slot.parent.dentry.hash(dentry);
  notify(slot.directory, IN_CREATE | (inode.type === S_IFDIR ? IN_ISDIR : 0), slot.name);
  return dentry;
}

/** See mkdir(2). */
export function mkdir(
  actor: Actor,
  start: Path,
  path: ByteString,
  mode: number,
): Errno | undefined {
  const last = lookupLast(actor, start, path);
  if (last instanceof Errno) return last;
  const slot = newName(actor, last, true);
  if (slot instanceof Errno) return slot;
  const made = slot.directory.mkdir(
    slot.name,
    birth(actor, slot.directory, S_IFDIR | (mode & 0o1777)),
  );
  if (made instanceof Errno) return made;
  born(slot, made);
  return undefined;
}

/** See mknod(2). */
export function mknod(
  actor: Actor,
  start: Path,
  path: ByteString,
  mode: number,
  rdev: number,
): Errno | undefined {
  const type = (mode & S_IFMT) === 0 ? S_IFREG : mode & S_IFMT;
  if (type === S_IFDIR) return EPERM;
  if (type === S_IFLNK) return EINVAL;
  const last = lookupLast(actor, start, path);
  if (last instanceof Errno) return last;
  const slot = newName(actor, last, false);
  if (slot instanceof Errno) return slot;
  const device = type === S_IFCHR || type === S_IFBLK;
  if (device && !isCapable(actor.credentials, CAP_MKNOD)) return EPERM;
  const made = slot.directory.mknod(
    slot.name,
    birth(actor, slot.directory, type | (mode & 0o7777)),
    device ? rdev : 0,
  );
  if (made instanceof Errno) return made;
  born(slot, made);
  return undefined;
}

/** See symlink(2). */
export function symlink(
  actor: Actor,
  target: ByteString,
  start: Path,
  path: ByteString,
): Errno | undefined {
  if (target.length === 0) return ENOENT;
  const last = lookupLast(actor, start, path);
  if (last instanceof Errno) return last;
  const slot = newName(actor, last, false);
  if (slot instanceof Errno) return slot;
  const { uid, gid } = birth(actor, slot.directory, S_IFLNK);
  const made = slot.directory.symlink(slot.name, target, { mode: S_IFLNK | 0o777, uid, gid });
  if (made instanceof Errno) return made;
  born(slot, made);
  return undefined;
}

/** See link(2). `from` is what gets one more name. */
export function link(actor: Actor, from: Path, start: Path, path: ByteString): Errno | undefined {
  const last = lookupLast(actor, start, path);
  if (last instanceof Errno) return last;
  const slot = newName(actor, last, false);
  if (slot instanceof Errno) return slot;
  const inode = inodeAt(from);
  if (slot.parent.mount !== from.mount) return EXDEV;
  if (inode.type === S_IFDIR) return EPERM;
  const failed = slot.directory.link(slot.name, inode);
  if (failed !== undefined) return failed;
  born(slot, inode);
  if (!from.dentry.hashed) {
    // A file that had no name (O_TMPFILE) is known by the one it got.
    from.dentry.name = slot.name;
    from.dentry.parent = slot.parent.dentry;
    from.dentry.hashed = true;
  }
  notify(inode, IN_ATTRIB);
  return undefined;
}

/** Whether the actor may take the name away from `directory`: the sticky bit, and mounts on top. */
function mayDelete(actor: Actor, parent: Path, victim: Dentry): Errno | undefined {
  const refused = mayModify(actor, parent);
  if (refused !== undefined) return refused;
  const directory = inodeAt(parent);
  if ((directory.mode & S_ISVTX) !== 0) {
    const { credentials } = actor;
    const owner = victim.inode?.uid;
    if (
      credentials.fsuid !== owner &&
      credentials.fsuid !== directory.uid &&
      !isCapable(credentials, CAP_FOWNER)
    ) {
      return EPERM;
    }
  }
  return undefined;
}

/** See unlink(2). */
export function unlink(actor: Actor, start: Path, path: ByteString): Errno | undefined {
  const last = lookupLast(actor, start, path);
  if (last instanceof Errno) return last;
  if (last.kind !== "name") return EISDIR;
  const victim = lookupChild(last.parent.dentry, last.name, actor);
  if (victim instanceof Errno) return victim;
  const inode = victim.inode as Inode;
  if (last.slash) return inode.type === S_IFDIR ? EISDIR : ENOTDIR;
  const refused = mayDelete(actor, last.parent, victim);
  if (refused !== undefined) return refused;
  if (inode.type === S_IFDIR) return EISDIR;
  if (victim.mounts !== undefined) return EBUSY;
  const directory = inodeAt(last.parent);
  const failed = directory.unlink(last.name);
  if (failed !== undefined) return failed;
  victim.unhash();
  notify(inode, IN_ATTRIB);
  gone(inode);
  notify(directory, IN_DELETE, last.name);
  return undefined;
}

/** Reports that the last name is gone, if it is. */
function gone(inode: Inode): void {
  if (inode.watchers === undefined) return;
  const stat = inode.stat();
  if (stat instanceof Errno || stat.nlink === 0 || inode.type === S_IFDIR) {
    notify(inode, IN_DELETE_SELF);
  }
}

/** See rmdir(2). */
export function rmdir(actor: Actor, start: Path, path: ByteString): Errno | undefined {
  const last = lookupLast(actor, start, path);
  if (last instanceof Errno) return last;
  if (last.kind === "root") return EBUSY;
  if (last.kind === "dot") return EINVAL;
  if (last.kind === "dotdot") return ENOTEMPTY;
  const victim = lookupChild(last.parent.dentry, last.name, actor);
  if (victim instanceof Errno) return victim;
  const refused = mayDelete(actor, last.parent, victim);
  if (refused !== undefined) return refused;
  const inode = victim.inode as Inode;
  if (inode.type !== S_IFDIR) return ENOTDIR;
  if (victim.mounts !== undefined) return EBUSY;
  const directory = inodeAt(last.parent);
  const failed = directory.rmdir(last.name);
  if (failed !== undefined) return failed;
  victim.unhash();
  gone(inode);
  notify(directory, IN_DELETE | IN_ISDIR, last.name);
  return undefined;
}

let nextCookie = 1;

/** See renameat2(2). */
export function rename(
  actor: Actor,
  fromStart: Path,
  fromPath: ByteString,
  toStart: Path,
  toPath: ByteString,
  flags: number,
): Errno | undefined {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return EINVAL;
  if ((flags & RENAME_WHITEOUT) !== 0) return EINVAL;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (exchange && (flags & RENAME_NOREPLACE) !== 0) return EINVAL;
  const from = lookupLast(actor, fromStart, fromPath);
  if (from instanceof Errno) return from;
  const to = lookupLast(actor, toStart, toPath);
  if (to instanceof Errno) return to;
  if (from.parent.mount !== to.parent.mount) return EXDEV;
  if (from.kind !== "name") return EBUSY;
  if (to.kind !== "name") return (flags & RENAME_NOREPLACE) !== 0 ? EEXIST : EBUSY;

  const source = lookupChild(from.parent.dentry, from.name, actor);
  if (source instanceof Errno) return source;
  const found = lookupChild(to.parent.dentry, to.name, actor);
  if (found instanceof Errno && (found !== ENOENT || exchange)) return found;
  const target = found instanceof Errno ? undefined : found;
  if (target !== undefined && (flags & RENAME_NOREPLACE) !== 0) return EEXIST;

  const inode = source.inode as Inode;
  const isDirectory = inode.type === S_IFDIR;
  if (!isDirectory && (from.slash || (to.slash && !exchange))) return ENOTDIR;
  if (exchange && to.slash && target?.inode?.type !== S_IFDIR) return ENOTDIR;
  // A directory cannot move below itself, nor replace what it lies in.
  if (to.parent.dentry.isWithin(source)) return EINVAL;
  if (target !== undefined && from.parent.dentry.isWithin(target)) {
    return exchange ? EINVAL : ENOTEMPTY;
  }
  const refused =
    mayDelete(actor, from.parent, source) ??
    (target === undefined
      ? mayModify(actor, to.parent)
      : target === source
        ? undefined
        : mayDelete(actor, to.parent, target));
  if (refused !== undefined) return refused;
  if (!to.parent.dentry.hashed) return ENOENT;
  if (target?.inode === inode) return undefined;
  if (target !== undefined && !exchange) {
    const targetIsDirectory = target.inode?.type === S_IFDIR;
    if (isDirectory && !targetIsDirectory) return ENOTDIR;
    if (!isDirectory && targetIsDirectory) return EISDIR;
  }
  if (source.mounts !== undefined || target?.mounts !== undefined) return EBUSY;
  // Its `..` changes, so the directory itself must be writable.
  if (from.parent.dentry !== to.parent.dentry) {
    if (isDirectory && !mayAccess(actor.credentials, inode, MAY_WRITE)) return EACCES;
    const other = exchange ? target?.inode : undefined;
    if (other?.type === S_IFDIR && !mayAccess(actor.credentials, other, MAY_WRITE)) return EACCES;
  }

  const fromDirectory = inodeAt(from.parent);
  const toDirectory = inodeAt(to.parent);
  const failed = fromDirectory.rename(from.name, toDirectory, to.name, flags);
  if (failed !== undefined) return failed;
  source.unhash();
  target?.unhash();
  if (exchange && target !== undefined) {
    target.name = from.name;
    from.parent.dentry.hash(target);
  }
  source.name = to.name;
  to.parent.dentry.hash(source);
  report(from, to, inode, exchange ? undefined : target?.inode);
  return undefined;
}

function report(from: Last, to: Last, inode: Inode, replaced: Inode | undefined): void {
  const directoryBit = inode.type === S_IFDIR ? IN_ISDIR : 0;
  const cookie = nextCookie++ & 0x7fffffff;
  notify(inodeAt(from.parent), IN_MOVED_FROM | directoryBit, from.name, cookie);
  notify(inodeAt(to.parent), IN_MOVED_TO | directoryBit, to.name, cookie);
  notify(inode, IN_MOVE_SELF);
  if (replaced !== undefined) gone(replaced);
}
