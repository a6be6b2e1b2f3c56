/** Extended attributes: which names there are, and who may read and write them. See xattr(7). */
import type { ByteString } from "../abi/bytes.ts";
import { EACCES, ENODATA, EOPNOTSUPP, EPERM, EROFS, Errno } from "../abi/errno.ts";
import { S_IFDIR, S_IFREG, S_ISVTX } from "../abi/file.ts";
import {
  CAP_SETFCAP,
  CAP_SYS_ADMIN,
  isCapable,
  MAY_READ,
  MAY_WRITE,
  mayAccess,
  ownsOrCapable,
} from "./credentials.ts";
import type { Actor } from "./fs-context.ts";
import type { Inode } from "./inode.ts";
import { inodeAt, type Path } from "./mount.ts";
import { IN_ATTRIB, notifyPath } from "./notify.ts";

const isUser = (name: ByteString) => name.startsWith("user.");
const isTrusted = (name: ByteString) => name.startsWith("trusted.");
const isSecurity = (name: ByteString) => name.startsWith("security.");

function mayRead(actor: Actor, inode: Inode, name: ByteString): Errno | undefined {
  if (isTrusted(name)) return isCapable(actor.credentials, CAP_SYS_ADMIN) ? undefined : ENODATA;
  if (isSecurity(name)) return undefined;
  if (!isUser(name)) return EOPNOTSUPP;
  if (inode.type !== S_IFREG && inode.type !== S_IFDIR) return ENODATA;
  return mayAccess(actor.credentials, inode, MAY_READ) ? undefined : EACCES;
}

function mayChange(actor: Actor, path: Path, name: ByteString): Errno | undefined {
  if (path.mount.readOnly) return EROFS;
  const inode = inodeAt(path);
  const { credentials } = actor;
  if (isTrusted(name)) return isCapable(credentials, CAP_SYS_ADMIN) ? undefined : EPERM;
  if (isSecurity(name)) {
    const capability = name === "security.capability" ? CAP_SETFCAP : CAP_SYS_ADMIN;
    return isCapable(credentials, capability) ? undefined : EPERM;
  }
  if (!isUser(name)) return EOPNOTSUPP;
  if (inode.type !== S_IFREG && inode.type !== S_IFDIR) return EPERM;
  const sticky = inode.type === S_IFDIR && (inode.mode & S_ISVTX) !== 0;
  if (sticky && !ownsOrCapable(credentials, inode)) return EPERM;
  return mayAccess(credentials, inode, MAY_WRITE) ? undefined : EACCES;
}

/** See getxattr(2). */
export function getxattr(actor: Actor, path: Path, name: ByteString): Uint8Array | Errno {
  const inode = inodeAt(path);
  return mayRead(actor, inode, name) ?? inode.getxattr(name);
}

/** See setxattr(2). */
export function setxattr(
  actor: Actor,
  path: Path,
  name: ByteString,
  value: Uint8Array,
  flags: number,
): Errno | undefined {
  const failed = mayChange(actor, path, name) ?? inodeAt(path).setxattr(name, value, flags);
  if (failed === undefined) notifyPath(path, IN_ATTRIB);
  return failed;
}

/** See removexattr(2). */
export function removexattr(actor: Actor, path: Path, name: ByteString): Errno | undefined {
  const failed = mayChange(actor, path, name) ?? inodeAt(path).removexattr(name);
  if (failed === undefined) notifyPath(path, IN_ATTRIB);
  return failed;
}

/** The names the actor may know of. See listxattr(2). */
export function listxattr(actor: Actor, path: Path): readonly ByteString[] | Errno {
  const names = inodeAt(path).listxattr();
  if (names instanceof Errno) return names;
  const privileged = isCapable(actor.credentials, CAP_SYS_ADMIN);
  return names.filter((name) => privileged || !isTrusted(name));
}
