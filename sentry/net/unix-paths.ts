/** AF_UNIX names in the file tree. See unix(7), "Pathname socket ownership and permissions". */
import type { ByteString } from "../abi/bytes.ts";
import { EACCES, EADDRINUSE, ECONNREFUSED, EEXIST, Errno } from "../abi/errno.ts";
import { S_IFSOCK } from "../abi/file.ts";
import { MAY_WRITE, mayAccess } from "../vfs/credentials.ts";
import type { Actor } from "../vfs/fs-context.ts";
import type { Inode } from "../vfs/inode.ts";
import { inodeAt } from "../vfs/mount.ts";
import { mknod } from "../vfs/namei.ts";
import { lookup } from "../vfs/resolve.ts";

/** Makes a socket node. @returns its inode; `EADDRINUSE` when the name is taken. */
export function createSocketNode(actor: Actor, path: ByteString): Inode | Errno {
  const { cwd } = actor.fs;
  const failed = mknod(actor, cwd, path, S_IFSOCK | 0o777, 0);
  if (failed !== undefined) return failed === EEXIST ? EADDRINUSE : failed;
  const place = lookup(actor, cwd, path, { noFollow: true });
  return place instanceof Errno ? place : inodeAt(place);
}

/** The socket node a path leads to. @returns `ECONNREFUSED` for anything else, `EACCES` if read-only. */
export function findSocketNode(actor: Actor, path: ByteString): Inode | Errno {
  const place = lookup(actor, actor.fs.cwd, path);
  if (place instanceof Errno) return place;
  const inode = inodeAt(place);
  if (inode.type !== S_IFSOCK) return ECONNREFUSED;
  return mayAccess(actor.credentials, inode, MAY_WRITE) ? inode : EACCES;
}
