/** Changing what stat(2) shows: chmod(2), chown(2), utimensat(2), truncate(2), and who may. */
import { EACCES, EFBIG, EINVAL, EISDIR, EPERM, EROFS, Errno } from "../abi/errno.ts";
import { S_IFDIR, S_IFLNK, S_IFREG, S_ISGID, S_ISUID } from "../abi/file.ts";
import { wallClockNs } from "./clock.ts";
import {
  CAP_CHOWN,
  CAP_FSETID,
  inGroup,
  isCapable,
  MAY_WRITE,
  mayAccess,
  ownsOrCapable,
} from "./credentials.ts";
import type { Actor } from "./fs-context.ts";
import type { AttributeChange, Inode } from "./inode.ts";
import { inodeAt, type Path } from "./mount.ts";
import { IN_ATTRIB, IN_MODIFY, notifyPath } from "./notify.ts";

/** The largest file: what a signed 64-bit offset in JavaScript's exact range can say. */
export const FILE_SIZE_MAX: number = Number.MAX_SAFE_INTEGER;

function apply(path: Path, change: AttributeChange, event: number): Errno | undefined {
  const failed = inodeAt(path).setattr(change);
  if (failed === undefined) notifyPath(path, event);
  return failed;
}

/** See chmod(2). */
export function chmod(actor: Actor, path: Path, mode: number): Errno | undefined {
  if (path.mount.readOnly) return EROFS;
  const inode = inodeAt(path);
  if (!ownsOrCapable(actor.credentials, inode)) return EPERM;
  let bits = mode & 0o7777;
  if (
    inode.type !== S_IFDIR &&
    (bits & S_ISGID) !== 0 &&
    !inGroup(actor.credentials, inode.gid) &&
    !isCapable(actor.credentials, CAP_FSETID)
  ) {
    bits &= ~S_ISGID;
  }
  return apply(path, { mode: bits }, IN_ATTRIB);
}

/** See chown(2). @param uid,gid `-1` (all ones) leaves one as it is. */
export function chown(actor: Actor, path: Path, uid: number, gid: number): Errno | undefined {
  if (path.mount.readOnly) return EROFS;
  const inode = inodeAt(path);
  const { credentials } = actor;
  const newUid = uid === 0xffffffff || uid === -1 ? undefined : uid;
  const newGid = gid === 0xffffffff || gid === -1 ? undefined : gid;
  if (!isCapable(credentials, CAP_CHOWN)) {
    const owner = credentials.fsuid === inode.uid;
    if (newUid !== undefined && !(owner && newUid === inode.uid)) return EPERM;
    if (
      newGid !== undefined &&
      !(owner && (inGroup(credentials, newGid) || newGid === inode.gid))
    ) {
      return EPERM;
    }
  }
  let mode: number | undefined;
  if (inode.type !== S_IFDIR && inode.type !== S_IFLNK) mode = withoutPrivileges(inode.mode);
  return apply(
    path,
    {
      ...(newUid === undefined ? {} : { uid: newUid }),
      ...(newGid === undefined ? {} : { gid: newGid }),
      ...(mode === undefined ? {} : { mode }),
    },
    IN_ATTRIB,
  );
}

/** The permission bits without setuid and setgid, or undefined when there is nothing to take away. */
export function withoutPrivileges(mode: number): number | undefined {
  let bits = mode & 0o7777 & ~S_ISUID;
  // Setgid without group execution marked mandatory locking and stays.
  if ((mode & 0o010) !== 0) bits &= ~S_ISGID;
  return bits === (mode & 0o7777) ? undefined : bits;
}

/** A new time: an instant, the present, or none (`UTIME_OMIT`). */
export type NewTime = bigint | "now" | undefined;

/** See utimensat(2). */
export function setTimes(
  actor: Actor,
  path: Path,
  atime: NewTime,
  mtime: NewTime,
): Errno | undefined {
  if (atime === undefined && mtime === undefined) return undefined;
  if (path.mount.readOnly) return EROFS;
  const inode = inodeAt(path);
  if (!ownsOrCapable(actor.credentials, inode)) {
    if (atime !== "now" || mtime !== "now") return EPERM;
    if (!mayAccess(actor.credentials, inode, MAY_WRITE)) return EACCES;
  }
  const now = wallClockNs();
  const atimeNs = atime === "now" ? now : atime;
  const mtimeNs = mtime === "now" ? now : mtime;
  return apply(
    path,
    {
      ...(atimeNs === undefined ? {} : { atimeNs }),
      ...(mtimeNs === undefined ? {} : { mtimeNs }),
    },
    IN_ATTRIB,
  );
}

/** See truncate(2). @param mayResize refuses the new length for a file of `size` bytes: RLIMIT_FSIZE. */
export function truncate(
  actor: Actor,
  path: Path,
  length: number,
  mayResize: (size: number) => Errno | undefined = () => undefined,
): Errno | undefined {
  const inode = inodeAt(path);
  if (inode.type === S_IFDIR) return EISDIR;
  if (inode.type !== S_IFREG || length < 0) return EINVAL;
  if (!mayAccess(actor.credentials, inode, MAY_WRITE)) return EACCES;
  if (path.mount.readOnly) return EROFS;
  if (length > FILE_SIZE_MAX) return EFBIG;
  const stat = inode.stat();
  if (stat instanceof Errno) return stat;
  const refused = mayResize(stat.size);
  if (refused !== undefined) return refused;
  return apply(path, sizeChange(actor, inode, length), IN_MODIFY);
}

/** What a change of the length changes: whoever lacks CAP_FSETID takes setuid and setgid away. */
export function sizeChange(actor: Actor, inode: Inode, size: number): AttributeChange {
  const mode = isCapable(actor.credentials, CAP_FSETID) ? undefined : withoutPrivileges(inode.mode);
  return mode === undefined ? { size } : { size, mode };
}
