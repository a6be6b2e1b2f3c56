import { Errno } from "../abi/errno.ts";
import { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY, S_IFDIR, S_IFLNK, S_IFREG } from "../abi/file.ts";
import { copyRange } from "../host/fs.ts";
import { chmod, chown, setTimes } from "../vfs/attributes.ts";
import type { Actor } from "../vfs/fs-context.ts";
import { inodeAt, type Path } from "../vfs/mount.ts";
import * as namei from "../vfs/namei.ts";
import { openNow, openPath } from "../vfs/open.ts";
import { OpenFile } from "../vfs/open-file.ts";
import { lookup } from "../vfs/resolve.ts";

/** How deep directories are copied. */
const DEPTH_MAX = 256;

/**
 * Copies what is in one directory into another: directories, files and symlinks, with modes and times, and
 * owners where the target allows. What cannot be copied (devices, sockets) is left out.
 * @returns the first failure, such as `ENOSPC`; what was copied before stays.
 */
export function copyTree(actor: Actor, from: Path, to: Path, depth = 0): Errno | undefined {
  if (depth > DEPTH_MAX) return undefined;
  const entries = inodeAt(from).entries(actor);
  if (entries instanceof Errno) return entries;
  for (const { name } of [...entries]) {
    const source = lookup(actor, from, name, { noFollow: true });
    if (source instanceof Errno) return source;
    const failed = copyOne(actor, source, to, name, depth);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

function copyOne(
  actor: Actor,
  source: Path,
  to: Path,
  name: string,
  depth: number,
): Errno | undefined {
  const inode = inodeAt(source);
  const made = make(actor, source, to, name);
  if (made !== undefined) return made instanceof Errno ? made : undefined;
  const copy = lookup(actor, to, name, { noFollow: true });
  if (copy instanceof Errno) return copy;
  if (inode.type === S_IFDIR) {
    const failed = copyTree(actor, source, copy, depth + 1);
    if (failed !== undefined) return failed;
  }
  return copyAttributes(actor, source, copy);
}

/** Gives `to` the owner, as far as it can have it, the mode and the times of `from`. */
export function copyAttributes(actor: Actor, from: Path, to: Path): Errno | undefined {
  const inode = inodeAt(from);
  const stat = inode.stat();
  if (stat instanceof Errno) return stat;
  // An ordinary user cannot give files away on the host: then they stay his.
  chown(actor, to, stat.uid, stat.gid);
  if (inode.type !== S_IFLNK) chmod(actor, to, stat.mode & 0o7777);
  return setTimes(actor, to, stat.atimeNs, stat.mtimeNs);
}

/** @returns undefined when the file was made, `"skipped"`, or an error. */
function make(actor: Actor, source: Path, to: Path, name: string): Errno | "skipped" | undefined {
  const inode = inodeAt(source);
  switch (inode.type) {
    case S_IFDIR:
      return namei.mkdir(actor, to, name, 0o755);
    case S_IFLNK: {
      const target = inode.readlink(actor);
      return target instanceof Errno ? target : namei.symlink(actor, target, to, name);
    }
    case S_IFREG:
      return copyFile(actor, source, to, name);
    default:
      return "skipped";
  }
}

function copyFile(actor: Actor, source: Path, to: Path, name: string): Errno | undefined {
  const input = openPath(actor, source, O_RDONLY);
  if (input instanceof Errno) return input;
  if (!(input instanceof OpenFile)) return undefined;
  const how = { flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600 };
  const output = openNow(actor, to, name, how);
  if (output instanceof Errno) {
    input.close();
    return output;
  }
  const failed = copyBytes(input, output);
  input.close();
  output.close();
  return failed;
}

function copyBytes(input: OpenFile, output: OpenFile): Errno | undefined {
  const stat = input.stat();
  const from = input.backing();
  const to = output.backing();
  if (stat instanceof Errno) return stat;
  if (from instanceof Errno) return from;
  if (to instanceof Errno) return to;
  return copyRange(from.fd, from.offset, to.fd, to.offset, from.length ?? stat.size);
}
